"""changes: what a second build of the same lake says of the first."""

import shutil
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.pipelines import build
from memtriggers.pipelines.lake import Lake
from memtriggers.pipelines.sql_examples import bind_example
from memtriggers.pipelines.stamp import Stamp
from memtriggers.pipelines.study import Study


@pytest.fixture(scope="module")
def rebuilt(built_lake: Lake, built_study: Study, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A copy of the lake of conftest.py, changed by hand and built again.

    At 0.9, sample a is gone, so that the cluster [a b c] is [b c]; [d e] has fallen apart; f, which
    was alone, has a new sample m beside it. At 0.8, [a b c d e] is [b c d e]. 0.7 is new.
    """
    lake = Lake(tmp_path_factory.mktemp("changes") / "lake")
    shutil.copytree(built_lake.root, lake.root, symlinks=True)
    _edit(lake.samples, "a", {"sample_id": "m", "caption": "sea", "status": "ok", "n_rows": 2})
    _edit(lake.keyword_matches, "a", {"keyword_set": "star", "sample_id": "m"})
    _edit(lake.near_duplicates, "a", {"sample_id": "f", "other_sample_id": "m", "cosine": 0.95})
    groups = {
        0.9: {"bc": ("b", "b"), "d": (None, "d"), "e": (None, "e"), "fm": ("f", "f")},
        0.8: {"bcde": ("b", "b"), "f": (None, "f"), "m": (None, "m")},
        0.7: {"bcdefm": ("b", "b")},
    }
    _write(lake.cluster_members, [
        {"threshold": t, "sample_id": s, "cluster_id": c, "representative_sample_id": medoid}
        for t, clusters in groups.items()
        for members, (c, medoid) in clusters.items()
        for s in members
    ])  # fmt: skip
    before = pq.read_table(lake.clusters).to_pylist()[0]
    _write(lake.clusters, [
        before | {"threshold": t, "cluster_id": c, "n_samples": len(members), "medoid_sample_id": c}
        for t, clusters in groups.items()
        for members, (c, _) in clusters.items()
        if c is not None
    ])  # fmt: skip
    _write(lake.word_sets, [])
    with lake.lock():
        build.run(built_study, lake, Stamp({"cluster": "2"}, {}))
    return lake


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows, schema=pq.read_schema(path)), path)


def _edit(path: Path, gone: str, new: dict[str, object]) -> None:
    rows = pq.read_table(path).to_pylist()
    _write(path, [*(row for row in rows if row["sample_id"] != gone), new])


def test_the_first_build_changes_nothing(published: duckdb.DuckDBPyConnection) -> None:
    assert published.execute("from changes").fetchall() == []
    assert published.execute("select previous_build from build_info").fetchall() == [(None,)]


def test_each_change_is_said_once(rebuilt: Lake) -> None:
    assert rebuilt.sql("from changes order by kind desc, threshold, id").fetchall() == [
        ("sample_new", None, "m", None, None, 2),
        ("sample_gone", None, "a", "a", 1, None),
        ("cluster_vanished", 0.9, "d", "d", 2, None),
        ("cluster_shrunk", 0.8, "b", "a", 5, 4),
        ("cluster_shrunk", 0.9, "b", "a", 3, 2),
        ("cluster_appeared", 0.9, "f", None, None, 2),
    ]


def test_the_example_shows_a_caption_of_each(rebuilt: Lake) -> None:
    query, _ = bind_example("changes_since_last_refresh", {})
    found = [
        (kind, threshold, caption)
        for kind, threshold, *_, caption, _ in rebuilt.sql(query).fetchall()
    ]
    assert [row[:2] for row in found] == [
        ("cluster_appeared", 0.9), ("cluster_shrunk", 0.8), ("cluster_shrunk", 0.9),
        ("cluster_vanished", 0.9), ("sample_gone", None), ("sample_new", None),
    ]  # fmt: skip
    assert [caption for _, _, caption in found if caption is None] == [None]  # a is not there


def test_the_build_names_the_one_before(rebuilt: Lake, built_lake: Lake) -> None:
    (before,) = built_lake.sql("select build from build_info").fetchall()
    assert rebuilt.sql("select previous_build from build_info").fetchall() == [before]


def test_a_third_build_of_the_same_lake_changes_nothing(rebuilt: Lake, built_study: Study) -> None:
    with rebuilt.lock():
        build.run(built_study, rebuilt, Stamp({"cluster": "3"}, {}))
    assert rebuilt.sql("from changes").fetchall() == []
    assert rebuilt.sql("from clusters").fetchall() != []
