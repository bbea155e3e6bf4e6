"""Columns that the study names come through to `samples`, with their types."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.pipelines.core.errors import SourceError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study

DATA = "columns = ['aesthetic', 'sha256', 'my \"tag\"', 'meta.lang']"


def rows() -> list[dict[str, object]]:
    return [
        {
            "url": f"https://host.example/{n}.jpg",
            "text": f"a star {n}",
            "aesthetic": 0.5 * n,
            "sha256": f"hash {n}",
            'my "tag"': n,
            "meta": {"lang": "en" if n % 2 else None, "other": 1},
        }
        for n in range(4)
    ]


def test_they_are_columns_of_samples_in_sql(
    make_study: Callable[..., Study], run_stages: Callable[..., None], lake: Lake, tmp_path: Path
) -> None:
    pq.write_table(pa.Table.from_pylist(rows()), tmp_path / "a.parquet")
    run_stages(make_study("a.parquet", data=DATA), "filter", "build")
    found = lake.sql(
        'select caption, aesthetic, source_sha256, sha256, "my ""tag""", "meta.lang" '
        "from samples order by caption"
    )
    assert [str(kind) for kind in found.types[1:]] == [
        *("DOUBLE", "VARCHAR", "VARCHAR", "BIGINT", "VARCHAR")
    ]
    assert found.fetchall() == [
        (f"a star {n}", 0.5 * n, f"hash {n}", None, n, "en" if n % 2 else None) for n in range(4)
    ]


def test_a_file_without_a_schema_carries_texts(
    make_study: Callable[..., Study], run_stages: Callable[..., None], lake: Lake, tmp_path: Path
) -> None:
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows())))
    run_stages(make_study("a.jsonl", data=DATA), "filter")
    samples = pq.read_table(lake.samples).sort_by("caption").to_pylist()
    assert [(s["aesthetic"], s["meta.lang"]) for s in samples] == [
        ("0.0", None),
        ("0.5", "en"),
        ("1.0", None),
        ("1.5", "en"),
    ]


def test_one_that_is_not_there_is_named(
    make_study: Callable[..., Study], run_stages: Callable[..., None], tmp_path: Path
) -> None:
    pq.write_table(pa.Table.from_pylist(rows()), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match=r"a\.parquet: no column 'nsfw_score' \(columns in"):
        run_stages(make_study("a.parquet", data="columns = ['nsfw_score']"), "filter")
