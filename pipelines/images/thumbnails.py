"""Small pictures of samples and generations, to stand inside the report or beside it."""

import base64
import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from PIL import Image

from ...lance.store import VectorStore
from ..core.lake import Lake
from ..core.quoting import literal
from .decode import image_limits, open_rgb

LONG_SIDE = 96  # pixels
_QUALITY = 80
_IDS_PER_SCAN = 500


@dataclass(frozen=True)
class Thumbnail:
    """A WebP of at most 96 × 96 pixels."""

    webp: bytes
    width: int
    height: int

    @property
    def uri(self) -> str:
        """The picture itself, as a data URI."""
        return "data:image/webp;base64," + base64.b64encode(self.webp).decode()

    @property
    def file_name(self) -> str:
        """A name that its content gives it: the same picture is one file."""
        return hashlib.md5(self.webp, usedforsecurity=False).hexdigest() + ".webp"


def read_thumbnails(lake: Lake, table: str, key: str, ids: list[str]) -> dict[str, Thumbnail]:
    """The thumbnail of each image that a Lance table holds, by its key: sample_id or image_id."""
    store = VectorStore(lake.vectors)
    thumbnails: dict[str, Thumbnail] = {}
    if not store.exists(table):
        return thumbnails
    for start in range(0, len(ids), _IDS_PER_SCAN):
        wanted = ", ".join(map(literal, ids[start:][:_IDS_PER_SCAN]))
        where = f"status = 'ok' and {key} in ({wanted})"
        with image_limits(None), ThreadPoolExecutor() as pool:  # Pillow works without the GIL
            for batch in store.reader(table, [key, "image"], where):
                made = pool.map(make_thumbnail, batch["image"].to_pylist())
                thumbnails |= zip(batch[key].to_pylist(), made, strict=True)
    return thumbnails


def make_thumbnail(encoded: bytes) -> Thumbnail:
    """Make a stored image small; it is upright and one frame already."""
    picture = open_rgb(encoded, (2 * LONG_SIDE, 2 * LONG_SIDE))
    picture.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS, reducing_gap=2)
    file = io.BytesIO()
    picture.save(
        file, "WEBP", quality=_QUALITY, method=2
    )  # 6 takes five times as long for a tenth of the size
    return Thumbnail(file.getvalue(), *picture.size)
