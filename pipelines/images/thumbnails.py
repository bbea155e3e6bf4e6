"""Small pictures of samples and generations, to stand inside the report."""

import base64
import io
from dataclasses import dataclass

from PIL import Image

from ...lance.store import VectorStore
from ..lake import Lake
from ..quoting import literal
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


def read_thumbnails(lake: Lake, table: str, key: str, ids: list[str]) -> dict[str, Thumbnail]:
    """The thumbnail of each image that a Lance table holds, by its key: sample_id or image_id."""
    store = VectorStore(lake.vectors)
    thumbnails: dict[str, Thumbnail] = {}
    if not store.exists(table):
        return thumbnails
    for start in range(0, len(ids), _IDS_PER_SCAN):
        wanted = ", ".join(map(literal, ids[start:][:_IDS_PER_SCAN]))
        where = f"status = 'ok' and {key} in ({wanted})"
        with image_limits(None):
            for batch in store.reader(table, [key, "image"], where):
                rows = batch.to_pylist()
                thumbnails |= {row[key]: make_thumbnail(row["image"]) for row in rows}
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
