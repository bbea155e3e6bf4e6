"""The example queries: each says what it answers, and answers it."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from memtriggers.pipelines.sql_examples import bind_example, examples

Rows = list[tuple[Any, ...]]


def answer(database: duckdb.DuckDBPyConnection, name: str, **given: str) -> Rows:
    return database.execute(*bind_example(name, given)).fetchall()


@pytest.mark.parametrize("name", sorted(examples()))
def test_every_example_says_what_it_answers_and_does(
    published: duckdb.DuckDBPyConnection, demo: Any, name: str
) -> None:
    assert examples()[name].endswith(".")
    with duckdb.connect(str(demo.lake / "current.duckdb"), read_only=True) as database:
        started = time.perf_counter()
        found = answer(database, name)
        assert time.perf_counter() - started < 1
    # The demo was built once, and so was the small lake: there are no changes yet.
    assert found or answer(published, name) or name == "changes_since_last_refresh"


def test_the_list_names_every_file(demo: Any) -> None:
    folder = Path(__file__).parents[2] / "sql" / "examples"
    command = [sys.executable, "-m", "memtriggers", "sql", "--examples", "--format", "csv"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[0] == "name,answers"
    assert [line.split(",")[0] for line in lines[1:]] == sorted(f.stem for f in folder.iterdir())
    assert "Which words mark a cluster" in "\n".join(lines)


def test_an_example_runs_by_its_name(demo: Any) -> None:
    command = [sys.executable, "-m", "memtriggers", "sql", "--lake", str(demo.lake)]
    command += ["--example", "what_goes_and_stays", "--set", "threshold=0.9", "--format", "csv"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[0] == "keep_rule,action,reason,n_samples,n_rows"
    assert {line.split(",")[0] for line in lines[1:]} == {"best", "first", "medoid"}


def test_duplicated_captions_are_counted(published: duckdb.DuckDBPyConnection) -> None:
    found = answer(published, "most_duplicated_captions")
    assert found == [("sea", 5, 5, 5), ("star", 3, 3, 1)]


def test_duplicated_files_are_counted(published: duckdb.DuckDBPyConnection) -> None:
    found = answer(published, "most_duplicated_files")
    assert found == [("same", 2, 2, "images/d.webp")]


def test_the_words_of_a_cluster_are_found_by_any_sample_in_it(
    published: duckdb.DuckDBPyConnection,
) -> None:
    found = answer(published, "words_of_cluster", cluster="e", threshold="0.9")
    assert [(row[0], row[2]) for row in found] == [("sea", "sea"), ("sea", "blue")]
    by_default = answer(published, "words_of_cluster")  # the largest one at 0.8, of 0.8 and 0.9
    assert {row[0] for row in by_default} == {"sea", "star"}


def test_what_goes_names_what_stays_in_its_place(published: duckdb.DuckDBPyConnection) -> None:
    pairs = [(kept, dropped) for kept, _, dropped, *_ in answer(published, "what_goes")]
    assert pairs == [("b", "a"), ("b", "c"), ("d", "e")]
    pairs = [(row[0], row[2]) for row in answer(published, "what_goes", keep_rule="first")]
    assert pairs == [("a", "b"), ("a", "c"), ("d", "e")]


def test_what_goes_and_what_stays_is_everything(published: duckdb.DuckDBPyConnection) -> None:
    found = answer(published, "what_goes_and_stays", threshold="0.9")
    assert sum(n for rule, _, _, n, _ in found if rule == "best") == 10
    assert {(rule, n) for rule, action, _, n, _ in found if action == "drop"} == {
        *(("best", 3), ("first", 3), ("medoid", 3))
    }
