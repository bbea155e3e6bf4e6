"""changes: what a second build of the same lake says of the first."""

import duckdb

from memtriggers.pipelines.asking.examples import bind_example
from memtriggers.pipelines.core.lake import Lake


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
