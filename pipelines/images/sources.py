"""Where images come from, as the study says: a column, tars, files below a folder, or http(s)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ..core.errors import StudyError
from ..core.study import Study
from .rows import ImageSource


@asynccontextmanager
async def open_image_source(study: Study) -> AsyncIterator[ImageSource]:
    """The source that the study names.

    Raises:
        StudyError: image_root is no folder.

    """
    if study.data.image_column is not None:
        from .column import ColumnSource

        yield ColumnSource(study.data.image_column)
    elif study.data.image_tars:
        from .img2dataset import TarSource

        yield TarSource(study.fetch.max_bytes)
    elif study.data.image_root is not None:
        from .files import FileSource

        root = Path(study.path(study.data.image_root))
        if not root.is_dir():
            raise StudyError(
                f"data: image_root: {root}: no such folder; write where the images are"
            )
        yield FileSource(root, study.fetch.max_bytes)
    else:
        from .web import open_web

        async with open_web(study.fetch) as web:
            yield web
