"""The files behind `[data] rows`: files, folders and globs, without what lies beside rows."""

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from glob import escape, glob, has_magic
from os.path import isdir
from pathlib import Path, PurePosixPath

import duckdb

from ..core.addresses import explained, load_extension, require_known
from ..core.database import first_line
from ..core.errors import SourceError
from ..core.study import Study
from ..formats.folders import caption_files, folders_of_pictures
from ..formats.registry import FORMATS, PARQUET, suffix_of

_HIDDEN = (".", "_")
# What the tools write beside rows: img2dataset's counts, and what `datasets` says of them.
_BESIDE = (
    "*_stats.json",
    "state.json",
    "dataset_info.json",
    "dataset_infos.json",
    "dataset_dict.json",
)
_METADATA = "metadata"  # what an ImageFolder calls the rows of its pictures
_KINDS = {suffix: one.name for one in FORMATS for suffix in one.suffixes}


def find_files(study: Study) -> list[str]:
    """The files behind `[data] rows`, absolute and sorted; a folder of pictures counts as one.

    Raises:
        SourceError: there is none; or a folder has several kinds.

    """
    found: list[str] = []
    for pattern in study.data.rows:
        path = study.path(pattern)
        files = [file for one in glob_files(path) for file in _files_in(one, path)]
        if not files:
            raise SourceError(f"{path}: {_nothing(path)}; mend [data] rows in the study")
        found += files
    return sorted(set(found))


def _nothing(path: str) -> str:
    return "no rows and no pictures in this folder" if _is_dir(path) else "no such file"


def files_to_hash(study: Study) -> list[str]:
    """What the rows hang on: their files; of a folder of pictures, its captions and their names."""
    found = find_files(study)
    if any(suffix_of(path) not in _KINDS for path in found):
        found = [
            file for path in found for file in (caption_files(path) if _is_dir(path) else [path])
        ]
    return found


def _is_dir(path: str) -> bool:
    return "://" not in path and isdir(path)  # noqa: PTH112 - of each file: a Path costs ten times as much


def glob_files(path: str) -> list[str]:
    """The files and folders behind an absolute path or an address, which may be a pattern."""
    if "://" in path:
        return _glob_remote(path)
    if Path(path).exists():
        return [path]
    return [one for one in glob(path, recursive=True) if is_asked_for(one, path)]


def is_asked_for(path: str, pattern: str) -> bool:
    """Whether a pattern that matches a path names what is hidden in it, as _temporary/ is."""
    if "/." not in path and "/_" not in path and not path.startswith(_HIDDEN):
        return True  # of many thousand files, to take each apart would cost more than to find it
    return _names_hidden(PurePosixPath(path).parts, PurePosixPath(pattern).parts)


def _names_hidden(parts: tuple[str, ...], asked: tuple[str, ...]) -> bool:
    if not asked:
        return not parts
    is_hidden = bool(parts) and parts[0].startswith(_HIDDEN)
    if asked[0] == "**":  # none of the parts, or this one and others
        return _names_hidden(parts, asked[1:]) or (
            bool(parts) and not is_hidden and _names_hidden(parts[1:], asked)
        )
    is_named = bool(parts) and (not is_hidden or asked[0].startswith(parts[0][0]))
    return is_named and _names_hidden(parts[1:], asked[1:])


def _files_in(path: str, pattern: str) -> Iterator[str]:
    """The path of a file; of a folder the rows below it, or else the folders of pictures."""
    if not _is_dir(path):
        yield path
    elif path == pattern or not has_magic(pattern) or "**" not in pattern:
        yield from rows_below(path) or folders_of_pictures(path)


def rows_below(folder: str) -> list[str]:
    """The files of rows in a folder and below.

    Left out are hidden ones, counts beside rows, and the tars and JSON that belong to a parquet
    file, as img2dataset writes them.

    Raises:
        SourceError: they are of several kinds.

    """
    kinds: dict[str, list[str]] = {}
    for path in _walk(folder):
        if kind := _KINDS.get(suffix_of(path)):
            kinds.setdefault(kind, []).append(path)
    for few in ("json", "tar"):  # what stands beside the rows of another kind belongs to them
        if len(kinds) > 1:
            kinds.pop(few, None)
    if len(kinds) > 1:
        several = [f"{folder}/**/*{suffix_of(paths[0])}" for paths in kinds.values()]
        raise SourceError(
            f"{folder}: holds files of rows of several kinds; name one: {' or '.join(several)}"
        )
    return next(iter(kinds.values()), [])


def _walk(folder: str) -> Iterator[str]:
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(_HIDDEN))
        shards = {name.removesuffix(".parquet") for name in files if name.endswith(".parquet")}
        folders[:] = [name for name in folders if name not in shards]  # img2dataset's pictures
        for name in sorted(files):
            if not name.startswith(_HIDDEN) and not any(fnmatch(name, one) for one in _BESIDE):
                yield f"{here}/{name}"


def is_metadata(path: str) -> bool:
    """Whether a file is called as an ImageFolder calls the rows of the pictures beside it."""
    return Path(path).name.split(".")[0].lower() == _METADATA


def as_pattern(path: str) -> str:
    """A file's name as DuckDB must read it, which takes every name for a pattern."""
    return path if "://" in path else escape(path)


def _glob_remote(pattern: str) -> list[str]:
    require_known(pattern)
    try:
        with duckdb.connect() as connection:
            load_extension(connection, pattern)
            found = connection.execute("from glob($p)", {"p": pattern}).fetchall()
            return [row[0] for row in found if is_asked_for(row[0], pattern)]
    except duckdb.Error as error:
        raise SourceError(explained(pattern, first_line(error))) from None


def is_parquet(path: str) -> bool:
    """Whether a name says that it is parquet, which is not looked into to tell."""
    return _KINDS.get(suffix_of(path)) == PARQUET
