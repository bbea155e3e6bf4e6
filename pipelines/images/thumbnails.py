"""Small pictures of samples, to stand inside the report."""

import base64
import io
from dataclasses import dataclass

import pyarrow as pa
from PIL import Image

from ...lance.store import VectorStore
from ...lance.tables import IMAGES
from ..database import literal
from ..lake import Lake
from .decode import image_limits

LONG_SIDE = 96  # pixels
_QUALITY = 80
_IDS_PER_SCAN = 1_000


@dataclass(frozen=True)
class Thumbnail:
    """A WebP of at most 96 × 96 pixels as a data URI."""

    uri: str
    width: int
    height: int


def read_thumbnails(lake: Lake, sample_ids: list[str]) -> dict[str, Thumbnail]:
    """The thumbnail of each sample that has an image, by sample_id."""
    store = VectorStore(lake.vectors)
    thumbnails: dict[str, Thumbnail] = {}
    if not store.exists(IMAGES.name):
        return thumbnails
    for start in range(0, len(sample_ids), _IDS_PER_SCAN):
        ids = ", ".join(literal(sample_id) for sample_id in sample_ids[start:][:_IDS_PER_SCAN])
        where = f"status = 'ok' and sample_id in ({ids})"
        with image_limits(None):
            for batch in store.reader(IMAGES.name, ["sample_id", "image"], where):
                thumbnails |= _thumbnails(batch)
    return thumbnails


def make_thumbnail(encoded: bytes) -> Thumbnail:
    """Make a stored image small; it is upright, opaque and one frame already."""
    with Image.open(io.BytesIO(encoded)) as image:
        image.draft("RGB", (2 * LONG_SIDE, 2 * LONG_SIDE))  # a JPEG decodes at a fraction
        picture = image.convert("RGB")
    picture.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=_QUALITY, method=6)
    uri = "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
    return Thumbnail(uri, *picture.size)


def _thumbnails(batch: pa.RecordBatch) -> dict[str, Thumbnail]:
    return {row["sample_id"]: make_thumbnail(row["image"]) for row in batch.to_pylist()}
