"""A text that is not UTF-8 costs its own row, or itself alone, and stops no stage."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study

CASE = Path(__file__).parents[2] / "cases" / "bad_utf8.parquet"
BAD = b"caf\xe9"
ESCAPED = "caf\\xe9"


def write(path: Path, kind: pa.DataType, *rows: dict[str, bytes | None]) -> None:
    """Write columns of bytes as they are, whatever the schema says that they are."""
    columns: dict[str, Any] = {
        name: pa.array([row[name] for row in rows], pa.binary()).view(kind) for name in rows[0]
    }
    columns["width"] = pa.array(range(300, 300 + len(rows)))
    pq.write_table(pa.table(columns), path, row_group_size=2)


def row(number: int, **texts: bytes | None) -> dict[str, bytes | None]:
    texts_of_row: dict[str, bytes | None] = {
        "uid": b"%d" % number,
        "url": b"https://host.example/%d.jpg" % number,
        "text": b"picture %d" % number,
        "license": b"mine",
    }
    return texts_of_row | texts


def read(path: Path, *names: str) -> list[tuple[Any, ...]]:
    return sorted(
        tuple(row.values()) for row in pq.read_table(path, columns=list(names)).to_pylist()
    )


def test_a_caption_in_latin_1_is_one_rejected_row(
    make_study: Callable[..., Study], run_stages: Callable[..., None], lake: Lake, tmp_path: Path
) -> None:
    shutil.copy(CASE, tmp_path)
    run_stages(make_study(), "filter", "words")
    (rejected,) = pq.read_table(lake.rejected_rows).to_pylist()
    assert rejected == {
        "source_file": str(tmp_path / CASE.name),
        "source_row": 3,
        "caption_number": 0,
        "rule": "invalid_utf8",
        "observed_value": "van gogh caf\\xe9 at night",
        "url": "https://ex3.org/3.jpg",
        "caption": "van gogh caf\\xe9 at night",
    }
    samples = read(lake.samples, "source_row", "status")
    assert samples == [(number, "ok") for number in (0, 1, 2, 4, 5, 6, 7)]
    words = dict(read(lake.words, "word", "n_captions"))
    assert words["van"] == 3 and "café" not in words and "caf" not in words
    assert list(lake.scratch.iterdir()) == []


@pytest.mark.parametrize("kind", [pa.string(), pa.binary()])
def test_every_column_of_texts_may_hold_one(
    make_study: Callable[..., Study],
    run_stages: Callable[..., None],
    lake: Lake,
    tmp_path: Path,
    kind: pa.DataType,
) -> None:
    write(tmp_path / "0.parquet", kind, row(0), row(1), row(2, text=BAD), row(3, url=None))
    write(tmp_path / "1.parquet", kind, row(4), row(5))
    rows = [row(6, uid=BAD), row(7, license=BAD), row(8, url=BAD), row(9, text=BAD, url=BAD)]
    write(tmp_path / "2.parquet", kind, *rows)
    run_stages(make_study(), "filter")
    assert read(lake.rejected_rows, "source_file", "source_row", "rule", "observed_value") == [
        (str(tmp_path / "0.parquet"), 2, "invalid_utf8", ESCAPED),
        (str(tmp_path / "0.parquet"), 3, "url_is_empty", None),
        (str(tmp_path / "2.parquet"), 0, "invalid_utf8", ESCAPED),
        (str(tmp_path / "2.parquet"), 2, "invalid_utf8", ESCAPED),
        (str(tmp_path / "2.parquet"), 3, "invalid_utf8", ESCAPED),
    ]
    names = ("source_file", "source_row", "source_id", "width", "license", "status")
    found = [(Path(name).stem, *rest) for name, *rest in read(lake.samples, *names)]
    assert found == [
        ("0", 0, "0", 300, "mine", "ok"),
        ("0", 1, "1", 301, "mine", "ok"),
        ("0", 3, "3", 303, "mine", "rejected"),
        ("1", 0, "4", 300, "mine", "ok"),
        ("1", 1, "5", 301, "mine", "ok"),
        ("2", 1, "7", 301, ESCAPED, "ok"),
    ]


def test_clusters_and_their_word_sets_are_those_of_the_readable_rows(
    make_embedded_study: Callable[..., Study],
    store_image_vectors: Callable[..., list[str]],
    run_stages: Callable[..., None],
    lake: Lake,
    tmp_path: Path,
) -> None:
    rows = [row(number, text=b"starry night %d" % number) for number in range(6)]
    write(tmp_path / "0.parquet", pa.string(), *rows, row(6, text=b"starry " + BAD))
    study = make_embedded_study("[cluster]\nthresholds = [0.9]\nmin_cluster_size = 3")
    store_image_vectors(study, [np.eye(16)[0]] * 7)
    run_stages(study, "words", "cluster")
    ((n_samples,),) = read(lake.clusters, "n_samples")
    assert n_samples == 6
    n_saying = {tuple(words): n for n, words in read(lake.word_sets, "n_samples", "words")}
    assert n_saying[("night", "starry")] == 6


@pytest.mark.parametrize("stage", ["filter", "words"])
def test_rows_of_a_damaged_page_are_set_aside(
    make_study: Callable[..., Study],
    run_stages: Callable[..., None],
    lake: Lake,
    tmp_path: Path,
    stage: str,
) -> None:
    """The end of the file is whole, so it opens; the bytes of a page are others."""
    for name in ("a.parquet", "b.parquet"):
        write(tmp_path / name, pa.string(), *(row(number) for number in range(2_000)))
    path = tmp_path / "b.parquet"
    column = pq.read_metadata(path).row_group(500).column(2)
    content = bytearray(path.read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    content[start : start + 8] = bytes(reversed(content[start : start + 8]))
    path.write_bytes(content)
    study = make_study("[ab].parquet")
    run_stages(study, stage)
    lost = {"unreadable": 2}  # the rows of one row group
    assert [run["lost"] for run in lake.recorded_runs() if run["stage"] == stage] == [lost]
    if stage == "filter":
        rejected = read(lake.rejected_rows, "source_file", "source_row", "rule")
        assert rejected == [(str(path), row, "unreadable") for row in (1000, 1001)]
        assert len(read(lake.samples, "sample_id")) == 2_000  # those of both files are the same
