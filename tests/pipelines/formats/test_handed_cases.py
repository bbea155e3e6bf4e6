"""Small inputs that people had, each read as its owner expects: tests/cases."""

import shutil
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from memtriggers.pipelines.cli import cli
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Data
from memtriggers.pipelines.core.study_file import load_study
from memtriggers.tests.web_server import Answer, Routes

CASES = Path(__file__).parents[2] / "cases"
STUDY = Path("study.toml")
Images = dict[str, dict[str, Any]]
LISTS = CASES / "caption_list.parquet"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with the cases, from which no name is looked up."""
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("a name was looked up"))
    shutil.copytree(CASES, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def init(*arguments: str) -> Data:
    """What the study says of the data that init was shown."""
    done = CliRunner().invoke(cli, ["init", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return load_study(STUDY).data


def read(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def test_each_of_a_list_of_captions_is_a_sample(
    run_stages: Callable[..., None], lake: Lake
) -> None:
    init("caption_list.parquet")
    run_stages(load_study(STUDY), "filter", "words")
    lists = pq.read_table(LISTS).to_pylist()
    found = [(row["url"], row["caption"]) for row in read(lake.samples) if row["status"] == "ok"]
    expected = [(row["url"], caption) for row in lists for caption in row["caption"]]
    assert sorted(found) == sorted(expected) and len(found) == 8 * 3
    words = {row["word"]: row["n_captions"] for row in pq.read_table(lake.words).to_pylist()}
    assert (words["saying"], words["third"], words["gogh"]) == (8, 8, 4)


def test_the_image_of_a_list_of_captions_is_fetched_once(
    run_stages: Callable[..., None],
    read_images: Callable[[], Images],
    serve: Callable[[Routes], str],
    draw: Callable[..., bytes],
) -> None:
    """The handed captions, at addresses that answer once."""
    gone: Answer = (404, {}, b"")
    address = serve({f"/{n}.png": [(200, {}, draw(n)), gone] for n in range(8)})
    urls = pa.array([f"{address}/{n}.png" for n in range(8)])
    pq.write_table(pq.read_table(LISTS).set_column(0, "url", urls), "served.parquet")
    init("served.parquet")
    text = STUDY.read_text("utf-8")
    private = "allow_private_hosts = "
    STUDY.write_text(text.replace(f"# {private}false", f"{private}true"), "utf-8")
    run_stages(load_study(STUDY), "filter", "fetch")
    images = read_images().values()
    assert Counter(row["image"] for row in images) == {draw(n): 3 for n in range(8)}


def test_rows_of_an_image_and_a_text_are_told_apart_by_the_bytes(
    run_stages: Callable[..., None], read_images: Callable[[], Images], lake: Lake
) -> None:
    assert init("hf_image_text_only.parquet", "--image-column", "image").image_column == "image"
    run_stages(load_study(STUDY), "filter", "words", "fetch")
    samples, images = read(lake.samples), read_images()
    assert [row["status"] for row in samples] == ["ok"] * 8
    found = {(row["caption"], images[row["sample_id"]]["image"]) for row in samples}
    rows = pq.read_table("hf_image_text_only.parquet").to_pylist()
    assert found == {(row["text"], row["image"]["bytes"]) for row in rows}
    assert len(found) == 8 and len({caption for caption, _ in found}) == 5


@pytest.mark.parametrize("arguments", [["--image-tars"], []])
def test_a_class_beside_a_picture_in_a_tar_is_no_image(
    arguments: list[str],
    run_stages: Callable[..., None],
    read_images: Callable[[], Images],
    lake: Lake,
) -> None:
    assert init("tar_with_cls", *arguments).image_tars
    run_stages(load_study(STUDY), "filter", "words", "fetch")
    with tarfile.open("tar_with_cls/00000.tar") as tar:
        members = {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr]
    expected = {f"https://ex{n}.org/{n}.jpg": members[f"{n:09}.jpg"] for n in range(8)}
    assert by_url(lake, read_images()) == expected


def test_pictures_that_img2dataset_wrote_as_files_are_read_where_they_lie(
    run_stages: Callable[..., None], read_images: Callable[[], Images], lake: Lake
) -> None:
    assert init("img2dataset_files").image_folders
    run_stages(load_study(STUDY), "filter", "words", "fetch")
    folder = Path("img2dataset_files/00000")
    expected = {
        f"https://ex{n}.org/{n}.jpg": (folder / f"{n:09}.jpg").read_bytes() for n in range(8)
    }
    assert by_url(lake, read_images()) == expected


def by_url(lake: Lake, images: Images) -> dict[str, bytes]:
    """The fetched image of each address, all of which are."""
    samples = read(lake.samples)
    assert {images[row["sample_id"]]["status"] for row in samples} == {"ok"}
    return {row["url"]: images[row["sample_id"]]["image"] for row in samples}
