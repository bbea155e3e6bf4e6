"""Files that cannot be opened stop a stage, or are passed over; broken rows are set aside."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.pipelines.core.errors import SourceError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study

CLEAN = "text,url\na star,https://host.example/0.jpg\na dog,https://host.example/1.jpg\n"


def parquet(path: Path, n: int) -> None:
    rows = [{"url": f"https://host.example/{i}.jpg", "text": f"star {i}"} for i in range(n)]
    pq.write_table(pa.Table.from_pylist(rows), path)


def test_a_file_that_cannot_be_opened_stops_or_is_passed_over(
    make_study: Callable[..., Study], run_stages: Callable[..., None], lake: Lake, tmp_path: Path
) -> None:
    parquet(tmp_path / "a.parquet", 3)
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and no end")
    with pytest.raises(SourceError, match=r'b\.parquet: not a readable .* on_bad_file = "skip"'):
        run_stages(make_study(), "filter")
    run_stages(make_study(data='on_bad_file = "skip"'), "filter", "words")
    files = pq.read_table(lake.source_files).to_pylist()
    assert [(f["n_rows"], f["format"], f["status"]) for f in files] == [
        (3, "parquet", "ok"),
        (0, "", "skipped"),
    ]
    assert files[1]["status_reason"].startswith("not a readable parquet file")
    assert pq.read_table(lake.samples).num_rows == 3


def test_nothing_but_bad_files_is_an_error(
    make_study: Callable[..., Study], run_stages: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and no end")
    with pytest.raises(SourceError, match=r"no file of \[data\] rows can be read"):
        run_stages(make_study(data='on_bad_file = "skip"'), "filter")


@pytest.mark.parametrize("policy", ["stop", "skip"])
def test_a_file_of_which_no_row_can_be_read(
    make_study: Callable[..., Study],
    run_stages: Callable[..., None],
    lake: Lake,
    tmp_path: Path,
    policy: str,
) -> None:
    """It looks whole; all of its rows are in one damaged page."""
    parquet(tmp_path / "a.parquet", 3)
    parquet(tmp_path / "b.parquet", 5_000)
    content = bytearray((tmp_path / "b.parquet").read_bytes())
    content[1_000:9_000] = bytes(8_000)
    (tmp_path / "b.parquet").write_bytes(content)
    study = make_study(data=f'on_bad_file = "{policy}"')
    if policy == "stop":
        with pytest.raises(SourceError, match=r"b\.parquet: is damaged within \("):
            run_stages(study, "filter")
        return
    run_stages(study, "filter", "words")
    (bad,) = [f for f in pq.read_table(lake.source_files).to_pylist() if f["status"] == "skipped"]
    assert bad["status_reason"].startswith("is damaged within (")
    assert pq.read_table(lake.samples).num_rows == 3


def test_lines_that_cannot_be_read_keep_the_others_in_their_places(
    make_study: Callable[..., Study], run_stages: Callable[..., None], lake: Lake, tmp_path: Path
) -> None:
    lines = CLEAN.splitlines()
    rows = [*lines[:2], "a cat,https://host.example/2.jpg,and more", lines[2]]
    (tmp_path / "rows.csv").write_text("\n".join(rows) + "\n")
    objects = [
        b'{"url": "https://host.example/3.jpg", "text": "a moon"}',
        b'{"url": "https://host.example/4.jpg", "te',
        b"[1]",
        b'{"url": "https://host.example/5.jpg", "text": "caf\xe9"}',
        b'{"url": "https://host.example/6.jpg", "text": "a sun"}',
    ]
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join(objects))
    run_stages(make_study("rows.*"), "filter", "words")
    samples = pq.read_table(lake.samples).to_pylist()
    assert sorted(
        (Path(s["source_file"]).name, s["source_row"], s["caption"]) for s in samples
    ) == [
        ("rows.csv", 0, "a star"),
        ("rows.csv", 2, "a dog"),
        ("rows.jsonl", 0, "a moon"),
        ("rows.jsonl", 4, "a sun"),
    ]
    rejected = pq.read_table(lake.rejected_rows).to_pylist()
    assert [(Path(r["source_file"]).name, r["source_row"], r["rule"]) for r in rejected] == [
        ("rows.csv", 1, "unreadable"),
        ("rows.jsonl", 1, "unreadable"),
        ("rows.jsonl", 2, "unreadable"),
        ("rows.jsonl", 3, "invalid_utf8"),
    ]
    assert "3 columns of 2" in rejected[0]["observed_value"].replace("expected", "of")
    assert rejected[3]["observed_value"] == "caf\\xe9"
    lost = [run["lost"] for run in lake.recorded_runs()]
    assert lost == [{"invalid_utf8": 1, "unreadable": 3}] * 2


def test_a_compressed_file_that_is_cut_gives_what_is_whole(
    make_study: Callable[..., Study], run_stages: Callable[..., None], lake: Lake, tmp_path: Path
) -> None:
    lines = [f"star {i},https://host.example/{i}.jpg" for i in range(20_000)]
    whole = gzip.compress("\n".join(["text,url", *lines]).encode())
    (tmp_path / "rows.csv.gz").write_bytes(whole[: len(whole) // 2])
    run_stages(make_study("rows.csv.gz"), "filter")
    (lost,) = pq.read_table(lake.rejected_rows).to_pylist()
    assert lost["rule"] == "unreadable"
    n = pq.read_table(lake.samples).num_rows
    assert 5_000 < n < 15_000 and lost["source_row"] == n


def test_copies_of_files_that_changed_go(
    make_study: Callable[..., Study], run_stages: Callable[..., None], lake: Lake, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text(CLEAN)
    run_stages(make_study("rows.csv"), "filter", "words")
    before = list(lake.rows.iterdir())
    assert len(before) == 1
    rows.write_text(CLEAN + "a cow,https://host.example/9.jpg\n")
    run_stages(make_study("rows.csv"), "filter", "words")
    (after,) = lake.rows.iterdir()
    assert after not in before
    assert pq.read_table(lake.samples).num_rows == 3
