"""Fixtures of img2dataset and webdataset. A docstring is the fixture's line in RECIPE.md."""

import tempfile
from pathlib import Path

import pandas as pd
import webdataset
from img2dataset import download

from .world import PORT, SIDE, Sample, serving

FAILS = 4  # the place of the address that answers 404, among the addresses
_TIME = 1_577_836_800  # of what webdataset's writers put into a tar: 2020-01-01


def _downloaded(folder: Path, rows: list[Sample], output_format: str) -> None:
    """In two shards of 7 and 6 addresses; by one thread, so that their order stays the same."""
    listed = [{"url": row.url, "caption": row.caption} for row in rows]
    missing = {"url": f"http://127.0.0.1:{PORT}/missing.jpg", "caption": "a picture that is gone"}
    listed.insert(FAILS, missing)
    with tempfile.TemporaryDirectory() as temporary, serving(rows):
        urls = Path(temporary) / "urls.parquet"
        pd.DataFrame(listed).to_parquet(urls)
        download(
            url_list=str(urls),
            input_format="parquet",
            caption_col="caption",
            output_folder=str(folder),
            output_format=output_format,
            number_sample_per_shard=7,
            image_size=SIDE,
            resize_mode="no",
            skip_reencode=True,
            thread_count=1,
        )


def downloaded_parquet(folder: Path, rows: list[Sample]) -> None:
    """`img2dataset.download(output_format="parquet")`: two shards of 7 and 6 rows, the images in
    the column `jpg`; the fifth address answered 404, and its row has a status and no image."""
    _downloaded(folder, rows, "parquet")


def downloaded_webdataset(folder: Path, rows: list[Sample]) -> None:
    """`img2dataset.download(output_format="webdataset")`: two tars of 6 samples (`.jpg`, `.txt`,
    `.json`), and a parquet file beside each that has the address that answered 404 as well."""
    _downloaded(folder, rows, "webdataset")


def downloaded_files(folder: Path, rows: list[Sample]) -> None:
    """`img2dataset.download(output_format="files")`: two folders of 6 samples (`.jpg`, `.txt`,
    `.json`), and a parquet file beside each that has the address that answered 404 as well."""
    _downloaded(folder, rows, "files")


def plain(folder: Path, rows: list[Sample]) -> None:
    """`webdataset.ShardWriter(maxcount=6)`: two tars of 6 samples with `.jpg`, `.txt`, `.json`
    (caption, width, height) and `.cls` (the group), and no parquet."""
    with webdataset.ShardWriter(
        str(folder / "shard-%06d.tar"), maxcount=6, verbose=0, mtime=_TIME
    ) as writer:
        for row in rows:
            described = {"caption": row.caption, "width": SIDE, "height": SIDE}
            writer.write(
                {
                    "__key__": f"{row.id:06d}",
                    "jpg": row.jpeg,
                    "txt": row.caption,
                    "json": described,
                    "cls": row.group,
                }
            )


def json_only(folder: Path, rows: list[Sample]) -> None:
    """`webdataset.TarWriter`: one tar of 12 samples, `.jpg` and `.json`, whose `caption` is the
    caption; no `.txt`."""
    with webdataset.TarWriter(str(folder / "images.tar"), mtime=_TIME) as writer:
        for row in rows:
            described = {"id": row.id, "caption": row.caption}
            writer.write({"__key__": f"{row.id:06d}", "jpg": row.jpeg, "json": described})


def several(folder: Path, rows: list[Sample]) -> None:
    """`webdataset.TarWriter`: one tar of 4 samples with two pictures each, `.input.jpg` and
    `.output.jpg` (the first two of a group), and the first one's caption in `.txt`."""
    with webdataset.TarWriter(str(folder / "edits.tar"), mtime=_TIME) as writer:
        for before, after in zip(rows[::3], rows[1::3], strict=True):
            writer.write(
                {
                    "__key__": f"edit{before.group}",
                    "input.jpg": before.jpeg,
                    "output.jpg": after.jpeg,
                    "txt": before.caption,
                }
            )


def compressed(folder: Path, rows: list[Sample]) -> None:
    """`webdataset.TarWriter(compress=True)`: one gzipped tar of 12 samples, `.jpg` and `.txt`."""
    with webdataset.TarWriter(str(folder / "images.tar.gz"), compress=True, mtime=_TIME) as writer:
        for row in rows:
            writer.write({"__key__": f"{row.id:06d}", "jpg": row.jpeg, "txt": row.caption})
