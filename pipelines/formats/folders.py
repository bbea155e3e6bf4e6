"""Folders of pictures: a row a picture, its caption in a text file of the same name beside it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..core.errors import SourceError
from .pictures import is_picture
from .rows import ODD, TEXT, Lost, Rows, batches

CAPTIONS = (".txt", ".caption")  # the first that is there
_LONGEST = 1 << 16  # bytes of a caption


def folders_of_pictures(root: str) -> Iterator[str]:
    """The folders below one that hold pictures, itself too, sorted; hidden ones are left out."""
    for folder, inner, files in os.walk(root):
        inner[:] = sorted(name for name in inner if not name.startswith((".", "_")))
        if any(is_picture(name) for name in files):
            yield folder


def pictures_in(folder: str) -> tuple[list[str], set[str]]:
    """The names of the pictures in a folder, sorted, and those of all its files."""
    try:
        names = {one.name for one in os.scandir(folder) if not one.name.startswith(".")}
    except OSError as error:
        raise SourceError(f"{folder}: cannot be listed: {error.strerror}") from None
    return sorted(name for name in names if is_picture(name)), names


def caption_files(folder: str) -> list[str]:
    """The pictures of a folder and what their captions are in: what its rows hang on."""
    pictures, names = pictures_in(folder)
    captions = (_caption_file(picture, names) for picture in pictures)
    return [f"{folder}/{name}" for name in captions if name is not None]


def open_rows(folder: str) -> Rows:
    """The rows of a folder: `path`, the name of the picture, and `text`, null where it has none."""
    pictures, names = pictures_in(folder)
    types = {"path": TEXT, "text": TEXT}

    def rows() -> Iterator[dict[str, Any] | Lost]:
        for picture in pictures:
            file = _caption_file(picture, names)
            yield {"path": picture, "text": None if file is None else _read(Path(folder) / file)}

    return Rows(types, lambda fields: batches(rows(), fields, types), len(pictures))


def _caption_file(picture: str, names: set[str]) -> str | None:
    stem = picture.rpartition(".")[0]
    return next((stem + suffix for suffix in CAPTIONS if stem + suffix in names), None)


def _read(file: Path) -> str | None:
    try:
        with file.open("rb") as opened:
            return opened.read(_LONGEST).decode("utf-8-sig", ODD).strip()
    except OSError:
        return None
