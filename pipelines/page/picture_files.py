"""Where the pictures of the page are: inside it, or beside it where that would be too large."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.lake import replacing

if TYPE_CHECKING:
    from ..images.thumbnails import Thumbnail


def folder_beside(page: Path) -> Path:
    """Where the pictures of a page are that would be too large with them."""
    return page.with_name("images")


@dataclass(frozen=True)
class Picture:
    """What an `img` needs: a data URI or a path from the page, and its size in pixels."""

    src: str
    width: int
    height: int


def inside(thumbnails: "Mapping[str, Thumbnail]") -> dict[str, Picture]:
    """Pictures that are part of the page, by the keys of the thumbnails."""
    return {key: Picture(t.uri, t.width, t.height) for key, t in thumbnails.items()}


def beside(page: Path, thumbnails: "Mapping[str, Thumbnail]") -> dict[str, Picture]:
    """Pictures that are files of a folder beside the page; they are written here, before it."""
    folder, pictures = folder_beside(page), {}
    for key, thumbnail in thumbnails.items():
        path = folder / thumbnail.file_name
        if not path.exists():
            with replacing(path) as unfinished:
                unfinished.write_bytes(thumbnail.webp)
        src = f"{folder.name}/{thumbnail.file_name}"
        pictures[key] = Picture(src, thumbnail.width, thumbnail.height)
    return pictures


def remove_beside(page: Path, thumbnails: "Mapping[str, Thumbnail]") -> None:
    """Remove the files that the page, which is written by now, does not ask for."""
    folder = folder_beside(page)
    if not folder.exists():
        return
    shown = {thumbnail.file_name for thumbnail in thumbnails.values()}
    for path in folder.iterdir():
        if path.name not in shown:
            path.unlink()
    if not shown:
        folder.rmdir()
