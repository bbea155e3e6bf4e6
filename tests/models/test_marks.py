"""What a person's marks change in the marts of the small lake."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from memtriggers.pipelines import build
from memtriggers.pipelines.asking.export import export_samples
from memtriggers.pipelines.core.decisions import decide
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.stamp import Stamp
from memtriggers.pipelines.core.study import Study


def test_without_marks_the_table_is_empty_and_typed(published: duckdb.DuckDBPyConnection) -> None:
    found = published.execute("from cluster_marks")
    types = {name: str(kind) for name, kind, *_ in found.description or ()}
    assert found.fetchall() == []
    assert (types["threshold"], types["n_samples"]) == ("DOUBLE", "BIGINT")


@pytest.fixture
def marked(own_lake: Lake, built_study: Study, build_only: Callable[..., None]) -> Lake:
    """At 0.8, a to e are wanted; of them, at 0.9, c names a cluster to remove."""
    for threshold, sample_id, mark in (
        (0.9, "c", "remove"),
        (0.8, "e", "wanted"),
        (0.7, "a", "placeholder"),  # a threshold that is not computed
        (0.9, "f", "remove"),  # which is in no cluster
    ):
        row = {"threshold": threshold, "sample_id": sample_id, "mark": mark}
        decide(own_lake, "cluster_marks", row)
    build_only("cluster_marks", "removal_list", "word_sets")
    build.run(built_study, own_lake, Stamp({}, {}))
    return own_lake


def test_marks_are_of_images_and_that_of_the_smaller_cluster_holds(
    marked: Lake, tmp_path: Path
) -> None:
    query = (
        "select threshold, sample_id, cluster_id, mark, n_samples from cluster_marks order by 1, 2"
    )
    assert marked.sql(query).fetchall() == [
        (0.7, "a", None, "placeholder", None),
        (0.8, "e", "a", "wanted", 5),
        (0.9, "c", "a", "remove", 3),
        (0.9, "f", None, "remove", None),
    ]
    query = """
        select threshold, keep_rule, reason, string_agg(sample_id, '' order by sample_id)
        from removal_list where reason like '%marked%' or action = 'drop' group by all order by all
    """
    for threshold in (0.8, 0.9):
        for rule in ("best", "first", "medoid"):
            key = (threshold, rule)
            found = [row[2:] for row in marked.sql(query).fetchall() if row[:2] == key]
            assert found == [
                ("its cluster is marked: to remove", "abc"),
                ("its cluster is marked: wanted", "de"),
            ]
    assert marked.sql("from clusters where is_placeholder").fetchall() == []
    removed = tmp_path / "removed.csv"
    assert export_samples(marked, "removal-list", 0.9, "best", removed) == (3, 4)


def test_a_marked_placeholder_is_left_out_as_one_that_is_found(
    own_lake: Lake, built_study: Study, build_only: Callable[..., None]
) -> None:
    """At 0.9, where all of the cluster is marked; at 0.8 there are other images in it."""
    row = {"threshold": 0.9, "sample_id": "b", "mark": "placeholder"}
    decide(own_lake, "cluster_marks", row)
    build_only("clusters", "removal_list", "keyword_clusters", "word_sets")
    build.run(built_study, own_lake, Stamp({}, {}))
    query = (
        "select threshold, cluster_id, is_placeholder, excluded_reason from clusters order by all"
    )
    assert own_lake.sql(query).fetchall() == [
        (0.8, "a", False, None),
        (0.9, "a", True, "placeholder"),
        (0.9, "d", False, None),
    ]
    query = (
        "select keyword_set, cluster_id, cluster_rank from keyword_clusters where threshold = 0.9"
    )
    assert own_lake.sql(f"{query} order by all").fetchall() == [
        ("blue", "d", 1),
        ("sea", "a", None),
        ("sea", "d", 1),
        ("star", "a", None),
    ]
    assert own_lake.sql("select cluster_id from word_sets").fetchall() == [("d",)]
