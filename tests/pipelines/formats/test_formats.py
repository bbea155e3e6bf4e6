"""README.md's table of formats: each line is read, from files that other people's tools wrote."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from glob import glob
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest

from memtriggers.making.formats.world import samples
from memtriggers.pipelines.core.errors import SourceError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study_file import load_study
from memtriggers.pipelines.upkeep.init import write_study

ROOT = Path(__file__).parents[3]
FORMATS = ROOT / "tests" / "formats"
STUDY = Path("study.toml")
TWELVE = [sample.caption for sample in samples()]
FAILED = "a picture that is gone"  # of the address that answered 404
_OPTION = " --image-column "


class Line(NamedTuple):
    """A fixture, and what the table gives to init."""

    given: str
    fixture: str


def lines_of_the_table() -> list[Line]:
    """Each fixture with each thing that the second column says of it."""
    text = (ROOT / "README.md").read_text("utf-8")
    table = text.partition("| fixture |\n")[2].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[1:]]
    return [
        Line(given, fixture)
        for _, givens, _, fixtures in rows
        for given in re.findall("`(.+?)`", givens)
        for fixture in re.findall("`(.+?)`", fixtures)
    ]


LINES = lines_of_the_table()
READ = [line for line in LINES if line.fixture != "imagefolder/labels"]


def test_the_table_names_every_fixture_and_no_other() -> None:
    named = {FORMATS / line.fixture for line in LINES}
    assert len(named) == 31 and all(path.exists() for path in named)
    files = [path for path in FORMATS.rglob("*") if path.is_file()]
    unnamed = {path for path in files if path not in named and named.isdisjoint(path.parents)}
    assert unnamed == {FORMATS / "RECIPE.md"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Copy a fixture into the working directory, which is empty else; returns its name there."""
    monkeypatch.chdir(tmp_path)

    def copy(fixture: str) -> str:
        source = FORMATS / fixture
        (shutil.copytree if source.is_dir() else shutil.copy)(source, source.name)
        return source.name

    return copy


def init(given: str, name: str) -> list[str]:
    """Run init as a line of the table says; returns what it tells."""
    argument, _, column = given.partition(_OPTION)
    rows = re.sub("FOLDER|FILE", name, argument)
    assert glob(rows)
    return write_study((rows,), STUDY, True, **({"image_column": column} if column else {}))


@pytest.mark.parametrize("line", READ, ids=lambda line: f"{line.fixture}-{line.given}")
def test_what_init_is_given_becomes_the_samples_that_the_tool_was_given(
    line: Line,
    place: Callable[[str], str],
    run_stages: Callable[..., None],
    lake: Lake,
    read_images: Callable[[], dict[str, dict[str, Any]]],
) -> None:
    init(line.given, place(line.fixture))
    is_here = not line.fixture.startswith("text/")  # or its addresses are of a server of long ago
    run_stages(load_study(STUDY), "filter", "words", *(["fetch"] if is_here else []))

    rows = pq.read_table(lake.samples).to_pylist()
    found = [row["caption"] for row in rows if row["status"] == "ok"]
    expected, n_empty = captions_of(line.fixture)
    assert sorted(found) == sorted(expected)
    rejected = pq.read_table(lake.rejected_rows).to_pylist()
    assert [row["rule"] for row in rejected] == ["caption_is_empty"] * n_empty
    assert len(rows) == len(found) + n_empty
    if not is_here:
        return
    images = read_images()
    statuses = Counter(row["status"] for row in images.values())
    n_failed = expected.count(FAILED)
    assert statuses == Counter(ok=len(expected) - n_failed, failed_to_download=n_failed)
    jpegs = {sample.caption: sample.jpeg for sample in samples()}
    for row in rows:
        if row["caption"] in jpegs and row["status"] == "ok":
            assert images[row["sample_id"]]["image"] == jpegs[row["caption"]]


def captions_of(fixture: str) -> tuple[list[str], int]:
    """The captions that a fixture holds, as RECIPE.md says, and how many of its rows have none."""
    if fixture.startswith("img2dataset/"):
        return [*TWELVE, FAILED], 0
    if fixture == "webdataset/several":
        return TWELVE[::3], 0
    if fixture == "datasets/captions":
        lists = pq.read_table(FORMATS / fixture)["caption"].to_pylist()
        assert len(lists[5]) == 0 and lists[7][1] is None
        return [one for some in lists for one in some if one is not None], 2
    if fixture == "imagefolder/txt":
        return TWELVE[:11], 1
    if fixture == "coco":
        document = json.loads((FORMATS / "coco/annotations/captions_val.json").read_bytes())
        captions = [one["caption"] for one in document["annotations"]]
        assert len(captions) == 10 * 2 + 5
        return captions, 1
    return TWELVE, 0


def test_of_several_pictures_one_must_be_named(place: Callable[[str], str]) -> None:
    name = place("webdataset/several")
    said = r"several pictures; say which: --image-column input\.jpg or output\.jpg in init"
    with pytest.raises(SourceError, match=said):
        init("FOLDER", name)
    assert not STUDY.exists()


def test_a_folder_of_classes_has_no_captions(place: Callable[[str], str]) -> None:
    name = place("imagefolder/labels")
    with pytest.raises(SourceError, match=r"no captions: .* in a \.txt file .* metadata\.jsonl"):
        init("FOLDER", name)
    assert not STUDY.exists()


def test_what_init_reads_it_counts_and_what_tells_rows_apart_it_says(
    place: Callable[[str], str],
) -> None:
    counted, images, keys, _ = init("FOLDER", place("datasets/parquet"))
    assert counted == "12 rows in 1 file (other)"
    assert images == ("images: 12 of the first 12 in the column image; used: --image-column image")
    assert keys.startswith("keys: nothing else tells the rows apart, so the bytes of their images")
