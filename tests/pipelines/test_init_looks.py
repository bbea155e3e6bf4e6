"""init looks where the images lie, says what it found, and leaves no broken file after an error."""

import io
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from memtriggers.pipelines.cli import cli
from memtriggers.pipelines.core.errors import MemtriggersError, SourceError, StudyError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Data
from memtriggers.pipelines.core.study_file import load_study
from memtriggers.pipelines.upkeep.init import write_study

Draw = Callable[..., bytes]
STUDY = Path("study.toml")
FAILED = {"status": "failed_to_download", "error_message": "HTTP Error 404"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, from which no address is reached."""
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("a name was looked up"))
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(*rows: dict[str, Any], name: str = "data/00000.parquet") -> None:
    """Rows of img2dataset's parquet, each given by what it adds."""
    full = [
        {
            "url": f"https://host.example/{number}.jpg",
            "caption": f"picture {number}",
            "key": f"{number:09}",
        }
        | row
        for number, row in enumerate(rows)
    ]
    kept = [{key: value for key, value in row.items() if value != "left out"} for row in full]
    pq.write_table(pa.Table.from_pylist(kept), name)


def write_tar(images: dict[str, bytes], name: str = "data/00000.tar") -> None:
    with tarfile.open(name, "w") as tar:
        for key, data in images.items():
            member = tarfile.TarInfo(f"{key}.jpg")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def init(**data: Any) -> tuple[Data, list[str]]:
    """What the study says of the data, and the lines about it."""
    _, *lines, last = write_study(("data/*.parquet",), STUDY, True, **data)
    assert last == "wrote study.toml; next: memtriggers refresh --study study.toml"
    return load_study(STUDY).data, lines


def test_a_column_of_images_is_used_and_fetch_reads_it(
    draw: Draw, lake: Lake, run_stages: Callable[..., None], read_images: Callable[..., Any]
) -> None:
    fine = {"status": "success", "error_message": None}
    write({"jpg": draw(0), **fine}, {"jpg": None, **FAILED}, {"jpg": draw(2, kind="WEBP"), **fine})
    data, lines = init()
    assert data.image_column == "jpg"
    assert lines == [
        "images: 2 of the first 3 in the column jpg (the first without: row 1 of 00000.parquet: "
        "failed_to_download: HTTP Error 404); used: --image-column jpg"
    ]
    run_stages(load_study(STUDY), "filter", "fetch")
    statuses = [row["status"] for row in read_images().values()]
    assert sorted(statuses) == ["failed_to_download", "ok", "ok"]


def test_a_struct_with_bytes_is_a_column_of_images(draw: Draw) -> None:
    write({"url": "left out", "image": {"bytes": draw(0), "path": "0.png"}})
    data, lines = init()
    assert data.image_column == "image"
    assert lines == ["images: 1 of the first 1 in the column image; used: --image-column image"]


@pytest.mark.parametrize("data", [b"BMW 3 series", b"P5 sedan", b"", b"\xff\xd8", None])
def test_bytes_that_are_no_image_are_not_used(data: bytes | None) -> None:
    write({"raw": data}, {"raw": b"x"})
    assert init() == (
        Data(("data/*.parquet",)),
        ["images: 2 of the first 2 rows have an address to fetch"],
    )


def test_tars_beside_the_parquet_are_used(draw: Draw) -> None:
    write({}, {})
    write_tar({"000000000": draw(0)})
    data, lines = init()
    assert data.image_tars
    assert lines == [
        "images: 1 of the first 2 in the tars beside the parquet (the first without: row 1 of "
        "00000.parquet: not_found: no image 000000001 in the tar); used: --image-tars"
    ]


def test_of_several_places_none_is_used_and_each_is_named(draw: Draw) -> None:
    write({"jpg": draw(0), "small one": draw(1)})
    write_tar({"000000000": draw(0)})
    data, lines = init()
    assert (data.image_column, data.image_tars) == (None, False)
    assert lines == [
        "images: 1 of the first 1 in the column jpg, 1 of the first 1 in the column small one, "
        "1 of the first 1 in the tars beside the parquet; unused unless you say: "
        "--image-column jpg or --image-column 'small one' or --image-tars"
    ]
    write({"url": "left out", "jpg": draw(0), "png": draw(1)})
    with pytest.raises(SourceError, match="with --image-column jpg or --image-column png"):
        init()


def test_a_column_that_another_file_lacks_is_only_proposed(draw: Draw) -> None:
    for number in range(4):
        write({"jpg": draw(0)}, name=f"data/{number}.parquet")
    write({}, name="data/9.parquet")
    data, lines = init()
    assert data.image_column is None
    assert lines[0].endswith("in the column jpg; unused unless you say: --image-column jpg")


@pytest.mark.parametrize("folder", ["data", "data/pictures", ".", "elsewhere"])
def test_the_folder_of_relative_paths_is_found(folder: str, draw: Draw, here: Path) -> None:
    write({"url": "a/0.png"}, {"url": "a/1.png"})
    Path(folder, "a").mkdir(parents=True)
    Path(folder, "a", "0.png").write_bytes(draw(0))
    data, lines = init()
    if folder == "elsewhere":
        assert data.image_root is None
        assert lines == [
            "images: the url column holds paths, such as 'a/0.png', and no folder that was looked "
            "at has them; say --image-root FOLDER"
        ]
        return
    assert Path(load_study(STUDY).path(data.image_root or "")) == (here / folder).resolve()
    assert lines == [
        f"images: 1 of the first 2 in the folder {folder} (the first without: row 1 of "
        f"00000.parquet: not_found: {here / folder}/a/1.png); used: --image-root {folder}"
    ]


def test_two_folders_that_have_them_are_both_named(draw: Draw) -> None:
    write({"url": "0.png"})
    for folder in ("data/one", "data/two"):
        Path(folder).mkdir()
        Path(folder, "0.png").write_bytes(draw(0))
    data, lines = init()
    assert data.image_root is None
    assert lines[0].endswith("unless you say: --image-root data/one or --image-root data/two")


def test_the_folder_of_absolute_paths_has_those_of_every_row(draw: Draw, here: Path) -> None:
    names = [f"pictures/{number // 25}/{number}.png" for number in range(50)]
    for name in names:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(draw(0))
    write(*({"url": str(here / name)} for name in names))
    data, lines = init()
    assert load_study(STUDY).path(data.image_root or "") == str(here / "pictures")
    used = "in the folder pictures; used: --image-root pictures"
    assert lines == [f"images: 20 of the first 20 {used}"]


def test_a_place_that_is_named_is_looked_at(draw: Draw, here: Path) -> None:
    write({"url": "0.png", "jpg": draw(0)}, {"url": "1.png", "jpg": draw(1)})
    Path("images").mkdir()
    Path("images/1.png").write_bytes(b"<html>")
    data, lines = init(image_root="images")
    assert (data.image_root, data.image_column) == ("images", None)
    assert lines == [
        "images: 0 of the first 2 in the folder images (the first without: row 0 of "
        f"00000.parquet: not_found: {here}/images/0.png); there are some with --image-column jpg"
    ]
    _, lines = init(image_tars=True)
    assert lines[0].startswith("images: 0 of the first 2 in the tars beside the parquet (the first")
    assert init(image_column="jpg")[1] == ["images: 2 of the first 2 in the column jpg"]


def test_addresses_that_fetch_cannot_read_are_said() -> None:
    write({"url": "s3://bucket/\x1b[31m.jpg"})
    _, lines = init()
    assert lines == [
        "images: 's3://bucket/\\x1b[31m.jpg' is neither http(s) nor a path: fetch cannot read it"
    ]


def test_what_is_no_path_at_all_is_looked_for_and_cut() -> None:
    data = f"data:image/png;base64,{'A' * 9_000}"
    write({"url": data}, {"url": "\0"}, {"url": "//cdn.example/x"})
    _, (line,) = init()
    assert line.startswith("images: the url column holds paths, such as 'data:image/png;base64,AAA")
    assert line.endswith("; say --image-root FOLDER") and len(line) < 250
    write({"url": data}, {"url": "\0"}, {"url": None})
    assert init()[1] == [line]
    write({"url": None})
    assert init()[1] == ["images: the url column is empty in the first 1 rows"]


def test_captions_that_are_not_used_are_named() -> None:
    write({"llava_caption": "a star", "caption_length": 3})
    _, lines = init()
    assert lines[1:] == [
        "captions: the column caption; unused, but like one: --caption-column llava_caption"
    ]
    assert init(caption_column="llava_caption")[1][1:] == [
        "captions: the column llava_caption; unused, but like one: --caption-column caption"
    ]
    write({"caption": "left out", "txt": "a star"})
    with pytest.raises(SourceError, match=r"\(perhaps txt\)"):
        init()


def interrupted(path: Path, target: Path) -> Path:
    raise KeyboardInterrupt


@pytest.mark.parametrize("before", [None, "# an older study\n"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--keyword", ""], "study.toml: keyword_set[1]: '' has no letter or digit to look for"),
        (["--keyword", "a", "--keyword", "a"], "study.toml: keyword_set[1]: name: 'a' is used"),
        (["--image-root", "none"], "none: no such folder"),
        (["--caption-column", "none"], "no column 'none'"),
        (["--image-column", "none"], "no column 'none'"),
        (["--image-column", "url"], "url holds string, no bytes"),
        (["data/broken.parquet"], "broken.parquet: not a readable parquet file"),
        (["data/none.parquet"], "none.parquet: no such file"),
        (["Ctrl-C"], None),
    ],
)
def test_an_error_leaves_the_file_as_it_was(
    arguments: list[str], message: str | None, before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write({})
    Path("data/broken.parquet").write_bytes(b"PAR1 cut short")
    if before:
        STUDY.write_text(before)
    if message is None:
        arguments = []
        monkeypatch.setattr(Path, "replace", interrupted)  # when all is written but its name
    command = ["init", "data/00000.parquet", *arguments, *(["--force"] if before else [])]
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 1
    if message is not None:
        assert isinstance(done.exception, MemtriggersError) and message in str(done.exception)
    assert (STUDY.read_text() if STUDY.exists() else None) == before
    assert sorted(p.name for p in Path().iterdir()) == ["data", *(["study.toml"] * bool(before))]


def test_a_file_that_cannot_be_written_is_one_line() -> None:
    write({})
    Path("file").write_text("")
    with pytest.raises(StudyError, match=r"file/study\.toml: cannot be written: "):
        write_study(("data/*.parquet",), Path("file/study.toml"), False)


def test_the_base_install_looks_too(draw: Draw) -> None:
    write({"jpg": draw(0)})
    blocked = "sys.modules |= dict.fromkeys(['PIL', 'aiohttp', 'yarl', 'torch', 'lance'])"
    code = f"import sys; {blocked}; from memtriggers.pipelines.cli import main; main()"
    command = [sys.executable, "-c", code, "init", "data/00000.parquet"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "used: --image-column jpg" in done.stdout
