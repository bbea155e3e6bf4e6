"""What the marts say about the lake of conftest.py, counted by hand."""

from typing import Any

import duckdb
import pytest

Database = duckdb.DuckDBPyConnection

STEPS = ("matched", "clean", "within_token_limit", "fetched", "embedded")


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    return database.execute(query).fetchall()


def test_every_sample_has_the_status_of_its_last_step(published: Database) -> None:
    assert rows(published, "select sample_id, status, status_reason from samples order by 1") == [
        *((sample_id, "embedded", None) for sample_id in "abcdef"),
        ("g", "rejected", "url_is_empty"),
        ("h", "rejected", "over_77_clip_tokens"),
        ("i", "fetch_failed", "not_found: images/i.webp"),
        ("j", "pending", None),
        ("k", "fetched", None),
        ("l", "embed_failed", "not_finite"),
    ]


def test_a_hostile_caption_survives(published: Database, hostile_caption: str) -> None:
    query = "select caption from samples where sample_id = 'b'"
    assert rows(published, query) == [(hostile_caption,)]


def test_domains_are_hosts(published: Database) -> None:
    query = (
        "select sample_id, domain from samples where sample_id in ('a', 'c', 'd', 'g') order by 1"
    )
    assert rows(published, query) == [
        ("a", "one.example"),
        ("c", "two.example"),
        ("d", None),
        ("g", None),
    ]


def test_the_funnel_says_what_each_step_lost(published: Database) -> None:
    query = "select keyword_set, step, n_samples, n_lost, reason from funnel order by 1, step_order"
    assert rows(published, query) == [
        *(("blue", step, 1, 0, None) for step in STEPS),
        *(("nothing", step, 0, 0, None) for step in STEPS),
        ("sea", "matched", 7, 0, None),
        ("sea", "clean", 7, 0, None),
        ("sea", "within_token_limit", 7, 0, None),
        ("sea", "fetched", 6, 1, "not fetched yet 1"),
        ("sea", "embedded", 4, 2, "not embedded yet 1, not_finite 1"),
        ("star", "matched", 6, 0, None),
        ("star", "clean", 5, 1, "url_is_empty 1"),
        ("star", "within_token_limit", 4, 1, "over_77_clip_tokens 1"),
        ("star", "fetched", 3, 1, "not_found 1"),
        ("star", "embedded", 3, 0, None),
    ]


def test_clusters_are_ranked_for_each_keyword_set(published: Database) -> None:
    query = """
        select keyword_set, threshold, cluster_rank, cluster_id, n_samples, share,
            cumulative_share, is_parent_cluster
        from keyword_clusters order by all
    """
    assert rows(published, query) == [
        ("blue", 0.8, 1, "a", 1, 1.0, 1.0, True),
        ("blue", 0.9, 1, "d", 1, 1.0, 1.0, True),
        ("sea", 0.8, 1, "a", 3, 0.75, 0.75, True),
        ("sea", 0.9, 1, "d", 2, 0.5, 0.5, False),
        ("sea", 0.9, 2, "a", 1, 0.25, 0.75, True),
        ("star", 0.8, 1, "a", 3, 1.0, 1.0, False),
        ("star", 0.9, 1, "a", 3, 1.0, 1.0, False),
    ]


def test_words_of_a_cluster_are_those_of_the_matching_captions(published: Database) -> None:
    query = """
        select keyword_set, cluster_id, word_rank, word, n_captions, n_occurrences,
            share_in_cluster, lift
        from cluster_words where threshold = 0.9 order by all
    """
    assert rows(published, query) == [
        ("sea", "d", 1, "sea", 2, 2, 1.0, 4.0),
        ("sea", "d", 2, "blue", 1, 1, 0.5, None),
        ("star", "a", 1, "star", 3, 4, 1.0, 4.0),
        ("star", "a", 2, "red", 1, 1, pytest.approx(1 / 3), pytest.approx(8 / 3)),
        ("star", "a", 3, "sea", 1, 1, pytest.approx(1 / 3), pytest.approx(4 / 3)),
        ("star", "a", None, "the", 1, 2, pytest.approx(1 / 3), pytest.approx(2 / 3)),
    ]


def test_each_rule_keeps_one_sample_of_each_cluster(published: Database) -> None:
    query = """
        select threshold, keep_rule, string_agg(sample_id, '' order by sample_id) as dropped
        from removal_list where action = 'drop' group by all order by all
    """
    assert rows(published, query) == [
        (0.8, "best", "acde"),
        (0.8, "first", "bcde"),
        (0.8, "medoid", "acde"),
        (0.9, "best", "ace"),  # d and e have as many pixels: the smaller id stays
        (0.9, "first", "bce"),
        (0.9, "medoid", "acd"),
    ]


def test_the_removal_list_says_why(published: Database) -> None:
    query = """
        select sample_id, action, representative_sample_id, reason from removal_list
        where threshold = 0.9 and keep_rule = 'best' and sample_id in ('a', 'b', 'f', 'i')
        order by all
    """
    assert rows(published, query) == [
        ("a", "drop", "b", "it is nearly identical to the one with the most pixels in its cluster"),
        ("b", "keep", "b", "it is the one with the most pixels in its cluster"),
        ("f", "keep", "f", "nothing is nearly identical to it"),
        ("i", "not_judged", None, "it has no embedding"),
    ]


def test_rejected_samples_are_not_for_the_removal_list_to_judge(published: Database) -> None:
    query = "select string_agg(distinct sample_id, '' order by sample_id) from removal_list"
    assert rows(published, query) == [("abcdefijkl",)]


def test_the_build_knows_itself_and_the_runs(published: Database) -> None:
    (run,) = rows(published, "select stage, status, versions['duckdb'], study_hash from runs")
    assert run == ("build", "running", duckdb.__version__, "study hash")
    assert rows(published, "select duckdb_version from build_info") == [(duckdb.__version__,)]
