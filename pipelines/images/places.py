"""Where the images of samples lie on this machine, and what is there, without decoding any."""

from collections.abc import Iterable, Iterator
from itertools import tee
from pathlib import Path

import pyarrow.parquet as pq

from ..captions.files import is_parquet
from ..core.contents import content_fingerprint, contents
from ..core.lake import Lake
from ..core.stamp import is_damaged
from ..core.study import Study
from ..formats.pictures import as_path
from .files import path_below
from .img2dataset import folder_of, pictures_of, tar_of
from .rows import Refused

Sample = tuple[str | None, str]  # url, source_file

_OUTSIDE = ""  # what no file is called


def are_local(study: Study) -> bool:
    """Whether images are read from files: a column, tars or folders."""
    return study.data.has_images_by_row or study.data.image_root is not None


def lie_in_files(study: Study) -> bool:
    """Whether they are in files beside the rows."""
    return study.data.image_column is None and are_local(study)


def lie_by_row(study: Study) -> bool:
    """Whether a file has many, a row each; else each has a file of its own."""
    return study.data.has_images_by_row


def samples_of(lake: Lake) -> Iterator[Sample]:
    """The samples whose images are wanted, in the order of their ids."""
    if not lake.samples.exists() or is_damaged(lake.samples):
        return
    with pq.ParquetFile(lake.samples) as file:
        for batch in file.iter_batches(columns=["url", "source_file", "status"]):
            rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
            yield from ((url, source_file) for url, source_file, status in rows if status == "ok")


def image_places(study: Study, lake: Lake, samples: Iterable[Sample]) -> Iterator[tuple[str, str]]:
    """Each place of images, and what it holds: the bytes of all its files.

    A place is a file of rows, with its tar or folder where images lie beside it; below a folder it
    is the path in the url column, "" where there is none, and comes as often as it is asked for.
    """
    if lie_by_row(study):
        return shards(study, lake, {source_file for _, source_file in samples})
    return _below_folder(study, lake, (url or "" for url, _ in samples))


def shards(study: Study, lake: Lake, found: set[str]) -> Iterator[tuple[str, str]]:
    """Each of some files of rows, and what it and the tar or folder of its images hold."""
    files = sorted(found)
    held = [[content for _, content in contents(lake, files)]]
    if study.data.image_folders:
        held.append([content_fingerprint(lake, _pictures(file)) for file in files])
    elif study.data.image_column is None:
        beside = [tar_of(file) if is_parquet(file) else file for file in files]
        held.append([content for _, content in contents(lake, beside)])
    for file, *both in zip(files, *held, strict=True):
        yield file, "".join(f"{content} " for content in both)


def _pictures(file: str) -> list[str]:
    return [f"{folder_of(file)}/{name}" for name in pictures_of(file)]


def _below_folder(study: Study, lake: Lake, urls: Iterator[str]) -> Iterator[tuple[str, str]]:
    assert study.data.image_root is not None
    root = Path(study.path(study.data.image_root)).resolve()
    urls, again = tee(urls)
    paths = (_path(root, url) for url in again)
    for url, (_, content) in zip(urls, contents(lake, paths), strict=True):
        yield url, content


def _path(root: Path, url: str) -> str:
    """The file of a url as it is read; to resolve a path costs more than to look at its file."""
    url = as_path(url)
    if ".." not in url and not url.startswith("/"):
        return f"{root}/{url}"
    try:
        return str(path_below(root, url))
    except Refused:
        return _OUTSIDE
