"""What init looks at before it writes: where the images lie, and captions that are not used.

The readers of `fetch` read the first rows' images on this machine; nothing is asked of a network.
"""

import os
import re
import shlex
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from ..captions.columns import other_captions
from ..captions.copies import open_rows
from ..captions.described import read_source_files
from ..captions.files import find_files, is_metadata
from ..captions.source_file import SourceFile
from ..core.errors import SourceError
from ..core.study import Study
from ..formats.folders import caption_files
from ..formats.pictures import as_path
from ..formats.registry import format_of
from ..images.rows import Row
from .folders_near import common_folder, folders_near
from .image_places import N_FILES, N_ROWS, Seen, first_rows, found_in_files, look_in

_N_SHOWN = 80  # characters of a path: some datasets have data:… in its place
_OPTIONS = ("image_column", "image_tars", "image_folders", "image_root")


@dataclass(frozen=True)
class Looked:
    """The study with the images that were found for it, its files, and what to tell the user."""

    study: Study
    files: list[SourceFile]
    lines: list[str]


def look(study: Study, connection: duckdb.DuckDBPyConnection) -> Looked:
    """Look at the files, and for the images of their first rows.

    Where the study names no place of images and exactly one has some, it is used.

    Raises:
        SourceError: a file is unreadable, or its caption or url column cannot be told.
        StudyError: image_root is no folder.

    """
    study = _where_rows_are_images(study)
    given = {name: value for name in _OPTIONS if (value := getattr(study.data, name))}
    if given:
        files = read_source_files(study, connection)
        _require_captions(files, study)
        name = next(name for name in _OPTIONS if name in given)  # as `fetch` chooses
        line = _look_where_told(study, {name: given[name]}, first_rows(files, connection))
        return Looked(_named(study, files), files, [line, *_further(study, files)])
    found = found_in_files(study)
    study, files = _read_files(_with_pictures_of_coco(study), found, connection)
    if found or study.data.image_root is not None:
        is_used = any(getattr(study.data, name) for name in _OPTIONS)
        if not found:  # COCO's
            change = {"image_root": study.data.image_root}
            found = [look_in(study, change, first_rows(files, connection))]
        lines = [_choice(found, is_used), *_further(study, files)]
        return Looked(_named(study, files), files, lines)
    return _look_at_urls(study, files, connection)


def _where_rows_are_images(study: Study) -> Study:
    """The study with the images of tars, and of folders that are given as rows of pictures."""
    if any(getattr(study.data, name) for name in _OPTIONS if name != "image_column"):
        return study
    first = next(iter(find_files(study)))
    form = None if is_metadata(first) else format_of(first).name
    if form == "tar":
        return replace(study, data=replace(study.data, image_tars=True))
    if study.data.image_column is not None or form not in (None, "folder"):
        return study
    given = study.path(study.data.rows[0])
    folder = Path(given) if Path(given).is_dir() else Path(first).parent
    root = os.path.relpath(folder, study.folder.absolute())
    return replace(study, data=replace(study.data, image_root=root))


def _with_pictures_of_coco(study: Study) -> Study:
    """The study with the folder of COCO's pictures, where they are near; else it has addresses."""
    if study.data.url_column is not None or study.data.image_column is not None:
        return study
    first = find_files(study)[0]
    if format_of(first).name != "coco":
        return study
    rows = open_rows(first, "coco")
    names = next(rows.read([("file_name",)])).column(0).slice(0, N_ROWS).to_pylist()
    paths = [name.decode("utf-8", "replace") for name in names if name]
    folders = folders_near(Path(first), paths, is_wide=True)
    if len(folders) != 1:
        return study
    root = os.path.relpath(folders[0], study.folder.absolute())
    return replace(study, data=replace(study.data, image_root=root))


def _require_captions(files: list[SourceFile], study: Study) -> None:
    """Raise SourceError where folders of pictures hold no caption."""
    first = [file.path for file in files[:N_FILES] if file.format == "folder"]
    if first and not any(caption_files(folder) for folder in first):
        raise SourceError(
            f"{study.path(study.data.rows[0])}: no captions: a picture's caption stands in a .txt "
            "file of its name beside it, or in a metadata.jsonl (file_name, text) in its folder"
        )


def _named(study: Study, files: list[SourceFile]) -> Study:
    """The study with the columns of files without names, as they were told from their values."""
    first = files[0].columns
    caption, url = first["caption"], first["url"]
    if caption is None or url is None or not re.fullmatch(r"column\d+", caption.name):
        return study
    data = replace(study.data, caption_column=caption.name, url_column=url.name)
    return replace(study, data=data)


def _look_where_told(study: Study, change: dict[str, Any], rows: list[Row]) -> str:
    seen = look_in(study, change, rows)
    others = found_in_files(study) if rows and not seen.n_found else []
    return f"images: {seen.text}" + (f"; there are some with {_options(others)}" if others else "")


def _read_files(
    study: Study, found: list[Seen], connection: duckdb.DuckDBPyConnection
) -> tuple[Study, list[SourceFile]]:
    """The files; the study with the one place of images that was found, where it fits them all."""
    for seen in found if len(found) == 1 else []:
        used = replace(study, data=replace(study.data, **seen.change))
        with suppress(SourceError):  # a file without that column, or without one of ids
            return used, read_source_files(used, connection)
    try:
        return study, read_source_files(study, connection)
    except SourceError as error:
        options = f"; images are there with {_options(found)}" if found else ""
        raise SourceError(f"{error}{options}") from None


def _choice(found: list[Seen], is_used: bool) -> str:
    places = ", ".join(seen.text for seen in found)
    return f"images: {places}; {'used' if is_used else 'unused unless you say'}: {_options(found)}"


def _options(found: list[Seen]) -> str:
    return " or ".join(one.option for one in found)


def _look_at_urls(
    study: Study, files: list[SourceFile], connection: duckdb.DuckDBPyConnection
) -> Looked:
    """What the url column holds; where it is paths, which folder they are below."""
    rows = first_rows(files, connection)
    urls = [row.url for row in rows if row.url]
    addresses = [url for url in urls if "://" in as_path(url)]
    lines = []
    if any(url.startswith(("http://", "https://")) for url in addresses):
        lines = [f"images: {len(addresses)} of the first {len(rows)} rows have an address to fetch"]
    elif addresses:
        lines = [
            f"images: {_shown(addresses[0])} is neither http(s) nor a path: fetch cannot read it"
        ]
    elif urls:
        study, line = _look_for_folder(study, files, rows, connection)
        lines = [line]
    elif rows:
        lines = [f"images: the url column is empty in the first {len(rows)} rows"]
    return Looked(_named(study, files), files, lines + _further(study, files))


def _look_for_folder(
    study: Study, files: list[SourceFile], rows: list[Row], connection: duckdb.DuckDBPyConnection
) -> tuple[Study, str]:
    """The study with the folder of the images, where exactly one has some; and what to tell."""
    paths = [as_path(row.url) for row in rows if row.url]
    if any(path.startswith("/") for path in paths):
        folders = common_folder(files, paths, connection)
    else:
        folders = folders_near(Path(rows[0].source_file), paths)
    seen = [look_in(study, {"image_root": folder}, rows) for folder in folders]
    found = [one for one in seen if one.n_found]
    if len(found) == 1:
        root = os.path.relpath(found[0].change["image_root"], study.folder.absolute())
        return replace(study, data=replace(study.data, image_root=root)), _choice(found, True)
    if found:
        return study, _choice(found, False)
    tried = f" ({seen[0].problem})" if seen else ""
    return study, (
        f"images: the url column holds paths, such as {_shown(paths[0])}, and no folder that was "
        f"looked at has them{tried}; say --image-root FOLDER"
    )


def _shown(text: str) -> str:
    return repr(text if len(text) <= _N_SHOWN else f"{text[:_N_SHOWN]}…")


def _further(study: Study, files: list[SourceFile]) -> list[str]:
    """What else to tell: captions that are not used, lists of them, and what tells rows apart."""
    captions = [file.columns["caption"] for file in files if file.problem is None]
    names = ", ".join(sorted({column.name for column in captions if column is not None}))
    unused = sorted({name for file in files for name in other_captions(file.types, file.columns)})
    lines = []
    if any(column is not None and column.is_list for column in captions):
        lines.append(f"captions: the column {names} holds lists: each caption is a sample")
    if unused:
        options = " or ".join(shlex.join(["--caption-column", name]) for name in unused[:5])
        lines.append(f"captions: the column {names}; unused, but like one: {options}")
    if any(_is_by_bytes(file) for file in files):
        lines.append(
            "keys: nothing else tells the rows apart, so the bytes of their images do: filter "
            "reads those of the rows that match, once for each file"
        )
    bad = [file for file in files if file.problem is not None]
    lines += [f"skipped: {file.path}: {file.problem}" for file in bad[:N_FILES]]
    return lines


def _is_by_bytes(file: SourceFile) -> bool:
    keys = (file.columns["url"], file.columns["source_id"])
    return file.problem is None and keys == (None, None)
