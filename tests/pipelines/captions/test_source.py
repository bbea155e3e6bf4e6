"""The columns of every known shape are found; what cannot be told is asked for."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.pipelines.captions.described import read_source_files
from memtriggers.pipelines.captions.files import find_files
from memtriggers.pipelines.captions.source import open_source
from memtriggers.pipelines.core.errors import SourceError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study

CASES = Path(__file__).parents[2] / "cases"
SHAPES: dict[str, dict[str, Any]] = {
    "LAION-400M": {
        "SAMPLE_ID": 1, "URL": "http://a", "TEXT": "c", "HEIGHT": 2, "WIDTH": 3,
        "LICENSE": "?", "NSFW": "UNLIKELY", "similarity": 0.3,
    },
    "LAION-5B joined": {
        "URL": "http://a", "TEXT": "c", "WIDTH": 3.0, "HEIGHT": 2.0, "similarity": 0.3,
        "hash": -5, "punsafe": 0.1, "pwatermark": 0.2,
    },
    "LAION aesthetic": {
        "URL": "http://a", "TEXT": "c", "WIDTH": 3, "HEIGHT": 2, "similarity": 0.3,
        "AESTHETIC_SCORE": 6.5, "hash": 4,
    },
    "DataComp": {
        "uid": "0f", "url": "http://a", "text": "c", "original_width": 3, "original_height": 2,
        "clip_b32_similarity_score": 0.3, "clip_l14_similarity_score": 0.2, "sha256": "ab",
    },
    "COYO": {
        "id": 7, "url": "http://a", "text": "c", "width": 3, "height": 2, "image_phash": "f",
        "clip_similarity_vitb32": 0.3, "clip_similarity_vitl14": 0.2,
    },
    "CC12M": {"image_url": "http://a", "caption": "c"},
    "img2dataset output": {
        "url": "http://a", "caption": "c", "key": "000000001", "status": "success",
        "error_message": None, "width": 9, "height": 9, "original_width": 3, "original_height": 2,
        "exif": "{}", "sha256": "ab",
    },
}  # fmt: skip


def write(path: Path, *rows: dict[str, Any]) -> None:
    pq.write_table(pa.Table.from_pylist(list(rows)), path)


@pytest.mark.parametrize("shape", SHAPES)
def test_known_shapes(
    tmp_path: Path, make_study: Callable[..., Study], lake: Lake, shape: str
) -> None:
    write(tmp_path / "a.parquet", SHAPES[shape])
    with duckdb.connect() as connection:
        files = open_source(connection, make_study(), lake)
        row = connection.execute("select url, caption, width, height from source").fetchone()
    assert [file.shape for file in files] == [shape]
    assert row == (("http://a", "c", None, None) if shape == "CC12M" else ("http://a", "c", 3, 2))


def test_files_of_different_shapes_in_one_glob(
    tmp_path: Path, make_study: Callable[..., Study], lake: Lake
) -> None:
    for number, row in enumerate(SHAPES.values()):
        write(tmp_path / f"{number}.parquet", row)
    with duckdb.connect() as connection:
        open_source(connection, make_study(), lake)
        rows = connection.execute(
            "select parse_filename(source_file), source_row, url, caption from source order by all"
        ).fetchall()
    assert rows == [(f"{n}.parquet", 0, "http://a", "c") for n in range(len(SHAPES))]


@pytest.mark.parametrize(
    ("row", "data", "message"),
    [
        ({"url": "u", "words": "c"}, "", "none is known to hold the caption; say --caption-column"),
        ({"link": "u", "caption": "c"}, "", "none is known to hold the url; say --url-column"),
        ({"url": "u", "text": "c", "caption": "d"}, "", "several may hold the caption"),
        ({"url": "u", "text": "c"}, 'caption_column = "alt"', "no column 'alt'"),
        ({"url": "u", "text": "c"}, 'image_column = "jpg"', "no column 'jpg'"),
    ],
)
def test_columns_that_cannot_be_told(
    tmp_path: Path,
    make_study: Callable[..., Study],
    lake: Lake,
    row: dict[str, Any],
    data: str,
    message: str,
) -> None:
    write(tmp_path / "a.parquet", row)
    with duckdb.connect() as connection, pytest.raises(SourceError) as caught:
        open_source(connection, make_study(data=data), lake)
    assert message in str(caught.value)
    assert "a.parquet" in str(caught.value)


def test_a_named_column_with_a_quote_in_it(
    tmp_path: Path, make_study: Callable[..., Study], lake: Lake
) -> None:
    write(tmp_path / "a.parquet", {'the "alt"': "c", "url": "http://a"})
    with duckdb.connect() as connection:
        open_source(connection, make_study(data="caption_column = 'the \"alt\"'"), lake)
        assert connection.execute("select caption from source").fetchall() == [("c",)]


def test_a_name_that_could_be_a_pattern(
    tmp_path: Path, make_study: Callable[..., Study], lake: Lake
) -> None:
    name = "it's part [1] of *.parquet"
    write(tmp_path / name, {"text": "c", "url": "http://a"})
    write(tmp_path / "part 1.parquet", {"text": "other", "url": "http://b"})
    with duckdb.connect() as connection:
        open_source(connection, make_study(parquet=name), lake)
        rows = connection.execute("select source_file, caption from source").fetchall()
    assert rows == [(str(tmp_path / name), "c")]


@pytest.mark.parametrize("content", [b"", b"PAR1 not really PAR1", b"<html>404</html>"])
def test_an_unreadable_file_is_named(
    tmp_path: Path, make_study: Callable[..., Study], lake: Lake, content: bytes
) -> None:
    (tmp_path / "broken.parquet").write_bytes(content)
    with duckdb.connect() as connection, pytest.raises(SourceError) as caught:
        open_source(connection, make_study(), lake)
    assert "broken.parquet: not a readable parquet file" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file_is_an_error(make_study: Callable[..., Study]) -> None:
    with pytest.raises(SourceError, match=r"none\*\.parquet: no such file"):
        find_files(make_study(parquet="none*.parquet"))


def test_columns_may_be_called_as_ours_and_as_duckdbs(
    tmp_path: Path, make_study: Callable[..., Study], run_stages: Callable[..., None], lake: Lake
) -> None:
    """The handed file has a column `filename`; the others what else is added to rows or is ours."""
    shutil.copy(CASES / "filename_column.parquet", tmp_path)
    names = (
        "file_row_number",
        "File_Row_Number",
        "memtriggers_source_file",
        "source_file",
        "rowid",
    )
    for name in names:
        rows = [{"url": f"{n}.jpg", "text": f"a dog {name} {n}", name: 7 - n} for n in range(2)]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{name}.parquet")
    empty = pa.table({n: pa.array([], pa.string()) for n in ("url", "text", "file_row_number")})
    pq.write_table(empty, tmp_path / "empty.parquet")
    run_stages(
        make_study(data='image_root = "images"', dog={"include": ["dog"]}), "filter", "words"
    )
    samples = pq.read_table(lake.samples).to_pylist()
    found = {(Path(row["source_file"]).stem, row["source_row"], row["caption"]) for row in samples}
    assert found == {("filename_column", 0, "a dog")} | {
        (name, n, f"a dog {name} {n}") for name in names for n in range(2)
    }
    words = {row["word"]: row["n_captions"] for row in pq.read_table(lake.words).to_pylist()}
    assert words["dog"] == len(samples) == 1 + 2 * len(names)


def test_two_thousand_columns_with_odd_names(
    tmp_path: Path, make_study: Callable[..., Study], run_stages: Callable[..., None], lake: Lake
) -> None:
    odd = ["", " ", 'quo"te', "it's", "Ünïcode ✓", "new\nline", "a.b", "$1", "select", "%", "URL "]
    columns: dict[str, list[object]] = {name: [1] for name in odd}
    columns |= {f"column {number}": [number] for number in range(2_000)}
    columns |= {"url": ["0.jpg"], "text": ["a dog"]}
    pq.write_table(pa.table(columns), tmp_path / "wide.parquet")
    run_stages(
        make_study(data='image_root = "images"', dog={"include": ["dog"]}), "filter", "words"
    )
    ((caption, url),) = [(r["caption"], r["url"]) for r in pq.read_table(lake.samples).to_pylist()]
    assert (caption, url) == ("a dog", "0.jpg")


def test_files_that_are_alike_are_described_once(
    tmp_path: Path, make_study: Callable[..., Study]
) -> None:
    """Of two schemas in many files; types that differ are seen, and each file has its own rows."""
    for n in range(40):
        width: list[object] = ["wide"] if n % 2 else [300]
        table = pa.table(
            {"url": ["0.jpg"] * (n + 1), "text": ["a"] * (n + 1), "w": width * (n + 1)}
        )
        pq.write_table(table, tmp_path / f"{n:02}.parquet")
    asked: list[str] = []

    class Connection:
        def execute(self, text: str, *values: object) -> object:
            asked.append(text)
            return duckdb.execute(text, *values)

    files = read_source_files(make_study(), Connection())  # type: ignore[arg-type]
    assert [file.n_rows for file in files] == list(range(1, 41))
    assert [file.types["w"] for file in files[:2]] == ["BIGINT", "VARCHAR"]
    assert len(asked) == 2 * 4  # of the first file of each schema
