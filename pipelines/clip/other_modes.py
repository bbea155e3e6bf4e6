"""Takes out the vectors of pictures in a palette or of two colours that an earlier version made."""

import io
from collections.abc import Iterator

from PIL import Image

from ...lance.store import VectorStore
from ...lance.tables import IMAGES, OK, RGB_FIRST
from ..core.quoting import literal
from ..core.stamped_tables import write_mark
from ..images.decode import image_limits

_RIGHT_MODES = ("RGB", "L")  # they were made smaller as they are now
# Only what came in the size in which it is stored was stored as it came; the rest is RGB.
_MAY_BE_KEPT = f"status = '{OK}' and width = original_width and height = original_height"
_AT_ONCE = 256  # images in memory
_IDS_PER_COMMIT = 10_000


def forget_other_modes(store: VectorStore, name: str) -> None:
    """Remove from a table of image vectors, once, those of images that are neither RGB nor L.

    Up to version 0.1 such a picture was made smaller before it was RGB, by its nearest pixels. A
    table that was made since then says so from its first commit on.
    """
    if not store.exists(name) or _is_marked(store, name):
        return
    ids: list[str] = []
    for sample_id in _other_modes(store):
        ids.append(sample_id)
        if len(ids) == _IDS_PER_COMMIT:
            _forget(store, name, ids)
            ids = []
    if ids:
        _forget(store, name, ids)
    write_mark(store, name, RGB_FIRST.decode(), "yes")


def _is_marked(store: VectorStore, name: str) -> bool:
    in_schema = store.dataset(name).schema.metadata or {}
    return RGB_FIRST in in_schema or store.read_metadata(name, RGB_FIRST.decode()) is not None


def _other_modes(store: VectorStore) -> Iterator[str]:
    """The ids of the stored images that are neither RGB nor L; only their headers are decoded."""
    version = store.version(IMAGES.name)
    dataset = store.dataset(IMAGES.name, version)
    rows = store.reader(IMAGES.name, ["sample_id", "_rowoffset"], _MAY_BE_KEPT, version)
    with image_limits(None):
        for batch in rows:
            for start in range(0, len(batch), _AT_ONCE):
                part = batch.slice(start, _AT_ONCE)
                images = dataset.take(part["_rowoffset"].to_pylist(), columns=["image"])["image"]
                for sample_id, image in zip(part["sample_id"], images, strict=True):
                    if _mode(image.as_py()) not in _RIGHT_MODES:
                        yield sample_id.as_py()


def _mode(image: bytes) -> str:
    with Image.open(io.BytesIO(image)) as picture:
        return picture.mode


def _forget(store: VectorStore, name: str, ids: list[str]) -> None:
    store.delete(name, f"sample_id in ({', '.join(map(literal, ids))})")
