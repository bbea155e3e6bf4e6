"""why_replicated: a prompt's copies, and the training images that they are copies of."""

from typing import Any

import duckdb
import pytest

Rows = list[tuple[Any, ...]]


def why(published: duckdb.DuckDBPyConnection, prompt: str, columns: str) -> Rows:
    asked = f"select {columns} from why_replicated($prompt)"
    return published.execute(asked, {"prompt": prompt}).fetchall()


def test_the_metric_with_most_copies_comes_first_and_the_image_that_most_are_of(
    published: duckdb.DuckDBPyConnection,
) -> None:
    columns = (
        "metric, reference, n_replicated, n_generations, matched_sample_id, n_matched, "
        "round(share_matched, 3)"
    )
    rows = why(published, "p", f"generator_id, {columns}")
    assert [row[1:] for row in rows if row[0] == "g1"] == [
        ("clip", "members", 3, 4, "c", 2, 0.667),
        ("clip", "members", 3, 4, "a", 1, 0.333),
        ("l2", "representatives", 2, 4, "a", 1, 0.5),
        ("l2", "representatives", 2, 4, "b", 1, 0.5),
        ("clip", "representatives", 1, 4, "a", 1, 1.0),
    ]
    assert {row[3:] for row in rows if row[0] == "g2"} == {
        (0, 1, None, None, None),
        (0, 3, None, None, None),
    }, "no copy: no training image"


def test_it_says_what_the_cluster_is_and_how_sure_the_rate(
    published: duckdb.DuckDBPyConnection, hostile_caption: str
) -> None:
    columns = (
        "keyword_set, cluster_id, cluster_words, replication_threshold, method, replication_rate, "
        "ci_low < 0.75 and 0.75 < ci_high, caption, url"
    )
    by_text = why(published, hostile_caption, columns)
    assert by_text == why(published, "p", columns)
    assert by_text[0] == (
        *("star", "b", ["star", "red", "sea"], 0.9, "suggested", 0.75, True),
        *("star sea", "http://user@two.example:8080/y.jpg?z=1"),
    )


@pytest.mark.parametrize("prompt", ["", "nobody asked", "%", "' or true --"])
def test_of_another_prompt_it_says_nothing(
    published: duckdb.DuckDBPyConnection, prompt: str
) -> None:
    assert why(published, prompt, "*") == []
