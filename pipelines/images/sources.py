"""Where images come from, as the study says: the rows' own files, files beside them, or http(s)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ..core.errors import StudyError
from ..core.study import Study
from .rows import ImageSource


@asynccontextmanager
async def open_image_source(study: Study, robots: Path | None = None) -> AsyncIterator[ImageSource]:
    """The source that the study names; `robots` is where the hosts' robots.txt are kept.

    Raises:
        StudyError: image_root is no folder.

    """
    data = study.data
    if data.image_column is not None or data.image_tars:
        from .column import ColumnSource

        yield ColumnSource(data.image_column, _root(study), study.fetch.max_bytes)
    elif data.image_folders:
        from .img2dataset import FolderSource

        yield FolderSource(study.fetch.max_bytes)
    elif data.image_root is not None:
        from .files import FileSource

        root = _root(study)
        assert root is not None  # it is named
        yield FileSource(root, study.fetch.max_bytes)
    else:
        from .web import open_web

        async with open_web(study.fetch, robots) as web:
            yield web


def _root(study: Study) -> Path | None:
    if study.data.image_root is None:
        return None
    root = Path(study.path(study.data.image_root))
    if not root.is_dir():
        raise StudyError(f"data: image_root: {root}: no such folder; write where the images are")
    return root
