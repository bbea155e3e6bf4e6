"""Which column is what, as people write them: told, or asked about in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from pyarrow import feather

from memtriggers.pipelines.cli import cli
from memtriggers.pipelines.core.errors import SourceError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Data
from memtriggers.pipelines.core.study_file import load_study

STUDY = Path("study.toml")
Images = dict[str, dict[str, Any]]
FORMATS = ("parquet", "jsonl")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, draw: Callable[..., bytes]) -> Path:
    """A working directory with pictures in folders, from which no name is looked up."""
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("a name was looked up"))
    for number in range(4):
        path = tmp_path / "my pictures" / f"caf\u00e9 {number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(draw(number))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(form: str, *rows: dict[str, Any]) -> str:
    name = f"rows.{form}"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), name)
    elif form == "arrow":
        feather.write_feather(pa.Table.from_pylist(list(rows)), name, "uncompressed")
    else:
        Path(name).write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return name


def init(*arguments: str) -> Data:
    """What the study says of the data that init was shown; raises what it ends with."""
    done = CliRunner().invoke(cli, ["init", *arguments, "--force"])
    if done.exception is not None:
        raise done.exception
    return load_study(STUDY).data


def file_address(path: Path) -> str:
    return path.as_uri()  # file:///…/caf%C3%A9%200/0.png


def file_address_of_this_host(path: Path) -> str:
    return path.as_uri().replace("file://", "file://localhost")


def absolute(path: Path) -> str:
    return str(path)


def backslashes(path: Path) -> str:
    return "my pictures\\" + "\\".join(path.parts[-2:])


def relative(path: Path) -> str:
    return "/".join(path.parts[-2:])


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "written",
    [file_address, file_address_of_this_host, absolute, backslashes, relative],
    ids=lambda written: written.__name__,
)
def test_places_on_this_machine_are_found_however_they_are_written(
    written: Callable[[Path], str],
    form: str,
    run_stages: Callable[..., None],
    read_images: Callable[[], Images],
    lake: Lake,
    here: Path,
    draw: Callable[..., bytes],
) -> None:
    paths = sorted((here / "my pictures").rglob("*.png"), key=lambda path: path.name)
    rows = [{"url": written(path), "text": f"star {path.stem}"} for path in paths]
    assert init(write(form, *rows)).image_root is not None
    run_stages(load_study(STUDY), "filter", "fetch")
    samples, images = pq.read_table(lake.samples).to_pylist(), read_images()
    found = {row["caption"]: images[row["sample_id"]]["image"] for row in samples}
    assert found == {f"star {number}": draw(number) for number in range(4)}


@pytest.mark.parametrize("form", FORMATS)
def test_a_field_below_a_column_may_be_the_key(
    form: str, run_stages: Callable[..., None], lake: Lake
) -> None:
    """Two rows of one caption are two samples, as their keys differ."""
    rows = [
        {"image": {"path": f"{number}.png", "size": 8}, "text": "a star", "n": number}
        for number in range(3)
    ]
    name = write(form, *rows)
    places = ("--url-column", "image.path", "--image-root", "my pictures")
    data = init(name, "--key-column", "image.path", *places)
    assert data.key_column == "image.path"
    run_stages(load_study(STUDY), "filter")
    found = pq.read_table(lake.samples).to_pylist()
    assert sorted((row["source_id"], row["url"], row["caption"]) for row in found) == [
        (f"{number}.png", f"{number}.png", "a star") for number in range(3)
    ]
    with pytest.raises(SourceError, match=rf"{name}: no column 'image\.name' \(--key-column"):
        init(name, "--key-column", "image.name", *places)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("names", "perhaps"),
    [
        (("Caption", "caption"), "Caption or caption"),
        (("TEXT", "Caption"), "TEXT or Caption"),
        (("text", "TEXT", "alt_text"), "text or TEXT or alt_text"),
    ],
)
def test_columns_of_captions_that_differ_by_case_are_asked_about(
    form: str,
    names: tuple[str, ...],
    perhaps: str,
    run_stages: Callable[..., None],
    lake: Lake,
) -> None:
    row = {"url": "my pictures/caf\u00e9 0/0.png"} | {name: f"star of {name}" for name in names}
    name = write(form, row)
    with pytest.raises(SourceError) as caught:
        init(name)
    said = str(caught.value)
    assert "several may hold the caption; say --caption-column NAME" in said and "\n" not in said
    assert said.startswith(f"{Path.cwd()}/{name}: ") and said.endswith(f"(perhaps {perhaps})")
    for one in names:
        assert init(name, "--caption-column", one).caption_column == one
        run_stages(load_study(STUDY), "filter")
        captions = pq.read_table(lake.samples)["caption"].to_pylist()
        assert captions == [f"star of {one}"]


OBJECT = {"en": "a star", "de": "ein Stern"}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "value", [OBJECT, json.dumps(OBJECT), str(OBJECT)], ids=["struct", "json", "python"]
)
def test_of_objects_one_field_is_asked_for(
    form: str, value: Any, run_stages: Callable[..., None], lake: Lake
) -> None:
    name = write(form, {"url": "my pictures/caf\u00e9 0/0.png", "caption": value})
    with pytest.raises(SourceError) as caught:
        init(name)
    said = str(caught.value)
    assert "\n" not in said and said.startswith(f"{Path.cwd()}/{name}: the column caption holds ")
    which = "say which field: --caption-column caption.en or caption.de, or caption_column"
    assert which in said
    init(name, "--caption-column", "caption.en")
    run_stages(load_study(STUDY), "filter")
    assert pq.read_table(lake.samples)["caption"].to_pylist() == ["a star"]


@pytest.mark.parametrize("form", [*FORMATS, "arrow"])
def test_of_lists_of_objects_a_field_is_asked_for_and_is_a_list_of_captions(
    form: str, run_stages: Callable[..., None], lake: Lake
) -> None:
    url = "my pictures/caf\u00e9 0/0.png"
    sentences = [{"raw": "a star", "tokens": ["a", "star"]}, {"raw": "a red star", "tokens": []}]
    name = write(
        form,
        {"url": url, "sentences": sentences},
        {"url": url, "sentences": [{"raw": "one more", "tokens": ["one"]}]},
        {"url": url, "sentences": []},
        {"url": url, "sentences": None},
    )
    with pytest.raises(SourceError, match="none is known to hold the caption"):
        init(name)
    with pytest.raises(SourceError) as caught:
        init(name, "--caption-column", "sentences")
    which = "say which field: --caption-column sentences.raw or sentences.tokens, or caption_column"
    assert which in str(caught.value) and "\n" not in str(caught.value)

    init(name, "--caption-column", "sentences.raw")
    run_stages(load_study(STUDY), "filter", "words")
    rows = pq.read_table(lake.samples).to_pylist()
    found = sorted(row["caption"] for row in rows if row["status"] == "ok")
    assert found == ["a red star", "a star", "one more"]
    rejected = pq.read_table(lake.rejected_rows).to_pylist()
    assert [(row["source_row"], row["rule"]) for row in rejected] == [
        *((2, "caption_is_empty"), (3, "caption_is_empty"))
    ]
    with pytest.raises(SourceError, match=r"no column 'sentences\.row'"):
        init(name, "--caption-column", "sentences.row")
