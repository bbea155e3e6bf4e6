"""The fixtures that other people's tools wrote are whole, small, and listed in their RECIPE.md."""

import io
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from memtriggers.making.formats.world import draw

FORMATS = Path(__file__).parents[1] / "formats"
FILES = [file for file in FORMATS.rglob("*") if file.is_file()]
TWELVE = {(FORMATS / "coco" / "val" / f"{number:012d}.jpg").read_bytes() for number in range(12)}


def test_the_recipe_lists_every_folder_and_they_are_small() -> None:
    listed = re.findall(r"^\| `(.+?)/`", (FORMATS / "RECIPE.md").read_text("utf-8"), re.MULTILINE)
    folders = {FORMATS / name for name in listed}
    assert all(folder.is_dir() for folder in folders)
    unlisted = {file for file in FILES if folders.isdisjoint(file.parents)}
    assert unlisted == {FORMATS / "RECIPE.md"}
    assert sum(file.stat().st_size for file in FILES) < 400_000


def test_no_fixture_has_a_path_of_the_machine_that_made_it() -> None:
    named = [f for f in FILES if any(p in f.read_bytes() for p in (b"/tmp/", b"/home/", b"/root/"))]
    assert named == []


@pytest.mark.parametrize(
    "fixture",
    [
        *("img2dataset/parquet", "img2dataset/webdataset", "img2dataset/files", "webdataset/plain"),
        *("webdataset/json_only", "webdataset/gz", "datasets/parquet", "datasets/paths"),
        *("datasets/captions", "imagefolder/jsonl", "imagefolder/csv", "imagefolder/parquet"),
        *("imagefolder/txt", "coco"),
    ],
)
def test_every_fixture_has_the_same_twelve_pictures(fixture: str) -> None:
    files = [file for file in FILES if FORMATS / fixture in file.parents]
    found = [picture for file in files for picture in pictures(file)]
    assert len(found) == 12 and set(found) == TWELVE


def pictures(file: Path) -> Iterator[bytes]:
    if file.suffix == ".jpg":
        yield file.read_bytes()
    elif ".tar" in file.suffixes:
        with tarfile.open(file) as tar:
            yield from (tar.extractfile(m).read() for m in tar if m.name.endswith(".jpg"))
    elif file.suffix == ".parquet" and "spark" not in file.parts:
        for row in pq.read_table(file).to_pylist():
            picture = row["image"]["bytes"] if "image" in row else row.get("jpg")
            if picture is not None:
                yield picture


def test_the_pictures_are_those_that_the_recipe_draws() -> None:
    for number in range(12):
        file = FORMATS / "imagefolder" / "txt" / f"{'10_night' if number < 6 else '5_field'}"
        written = np.asarray(Image.open(io.BytesIO((file / f"{number}.jpg").read_bytes())))
        assert np.abs(written.astype(int) - np.asarray(draw(number))).mean() < 5
