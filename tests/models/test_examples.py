"""The example queries: each says what it answers, and answers it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from memtriggers.pipelines.asking.examples import bind_example, examples
from memtriggers.tests.processor import measured

Rows = list[tuple[Any, ...]]


def answer(database: duckdb.DuckDBPyConnection, name: str, **given: str) -> Rows:
    return database.execute(*bind_example(name, given)).fetchall()


@pytest.mark.parametrize("name", sorted(examples()))
def test_every_example_says_what_it_answers_and_does(
    published: duckdb.DuckDBPyConnection, van_gogh: Path, name: str
) -> None:
    assert examples()[name].endswith(".")
    found = ask_both(published, van_gogh / "lake", name)
    assert found or name in ("changes_since_last_refresh", "chained_clusters")


@pytest.mark.parametrize("name", sorted(examples()))
def test_every_example_answers_about_the_demo(
    published: duckdb.DuckDBPyConnection, demo: Any, name: str
) -> None:
    found = ask_both(published, demo.lake, name)
    assert found or name == "changes_since_last_refresh", "it was built once"


def ask_both(published: duckdb.DuckDBPyConnection, lake: Path, name: str) -> Rows:
    """What the lake answers, or the small one by hand."""
    with duckdb.connect(str(lake / "current.duckdb"), read_only=True) as database:
        with measured() as seconds:
            found = answer(database, name)
        assert seconds[0] < 2, "of all threads of this process"
    return found or answer(published, name)


def test_the_list_names_every_file() -> None:
    folder = Path(__file__).parents[2] / "sql" / "examples"
    command = [sys.executable, "-m", "memtriggers", "sql", "--examples", "--format", "csv"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[0] == "name,answers"
    assert [line.split(",")[0] for line in lines[1:]] == sorted(f.stem for f in folder.iterdir())
    assert "Which words mark a cluster" in "\n".join(lines)


def test_an_example_runs_by_its_name(van_gogh: Path) -> None:
    command = [sys.executable, "-m", "memtriggers", "sql", "--lake", str(van_gogh / "lake")]
    command += ["--example", "what_goes_and_stays", "--set", "threshold=0.9997", "--format", "csv"]
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
