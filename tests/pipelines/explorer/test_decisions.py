"""Decisions: kept in their files, and which threshold is in force."""

import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.pipelines.core.decisions import (
    decide,
    decisions_file,
    decisions_fingerprint,
    read_decisions,
    take_back,
)
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.replication.copy_thresholds import SCHEMA
from memtriggers.pipelines.replication.decided import (
    decided_thresholds,
    read_thresholds,
    thresholds_in_force,
)

MARKS, THRESHOLDS = "cluster_marks", "decided_thresholds"


def mark(sample_id: str, said: str = "remove", threshold: float = 0.9) -> dict[str, Any]:
    return {"threshold": threshold, "sample_id": sample_id, "mark": said}


def said(lake: Lake) -> list[tuple[float, str, str]]:
    rows = read_decisions(lake, MARKS)
    return [(row["threshold"], row["sample_id"], row["mark"]) for row in rows]


def test_the_last_decision_on_a_cluster_holds(lake: Lake) -> None:
    assert said(lake) == [] and decisions_fingerprint(lake, MARKS) == "none"
    for row in (mark("a"), mark("b"), mark("a", "wanted"), mark("a", "remove", 0.8)):
        before = decisions_fingerprint(lake, MARKS)
        decide(lake, MARKS, row)
        assert decisions_fingerprint(lake, MARKS) != before
    assert said(lake) == [(0.9, "b", "remove"), (0.9, "a", "wanted"), (0.8, "a", "remove")]
    take_back(lake, MARKS, mark("a"))
    take_back(lake, MARKS, mark("nobody"))
    assert said(lake) == [(0.9, "b", "remove"), (0.8, "a", "remove")]
    assert [path.name for path in decisions_file(lake, MARKS).parent.glob("*.tmp")] == []


def test_two_explorers_lose_nothing(lake: Lake) -> None:
    threads = [
        threading.Thread(target=decide, args=(lake, MARKS, mark(f"{n:02}"))) for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(row[1] for row in said(lake)) == [f"{n:02}" for n in range(20)]


# Two clusters, and f, which is in none: a prompt may ask for a sample alone.
MEMBERS = {"a": "a", "b": "a", "c": "a", "d": "d", "e": "d", "f": None}


def write(path: Path, rows: list[dict[str, Any]], schema: pa.Schema | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema), path)


def fixed(cluster_id: str, reference: str, method: str) -> dict[str, Any]:
    key = {"keyword_set": "star", "threshold": 0.9, "cluster_id": cluster_id, "metric": "clip"}
    value = {"replication_threshold": 0.8, "is_distance": False, "method": method, "reason": "x"}
    return key | value | {"reference": reference, "bands": [0.8]}


@pytest.fixture
def prompted(lake: Lake) -> Lake:
    """Prompts name the first cluster by b; the study sets the threshold of its members."""
    members = [{"threshold": 0.9, "sample_id": s, "cluster_id": c} for s, c in MEMBERS.items()]
    write(lake.cluster_members, members)
    named = {"keyword_set": "star", "threshold": 0.9}
    write(lake.prompts, [named | {"cluster_id": sample_id} for sample_id in "bbdf"])
    rows = [fixed("b", "medoid", "suggested"), fixed("b", "members", "manual")]
    rows.append(fixed("d", "medoid", "suggested"))
    write(lake.replication_thresholds, rows, SCHEMA)
    return lake


def choose(lake: Lake, sample_id: str, reference: str, value: float, **other: Any) -> None:
    row = {"threshold": 0.9, "sample_id": sample_id, "metric": "clip", "reference": reference}
    row |= {"replication_threshold": value, "is_distance": False, "bands": [value]}
    decide(lake, THRESHOLDS, row | {"n_generations": 3} | other)


def test_without_a_decision_the_fixed_ones_are_in_force(prompted: Lake) -> None:
    assert decided_thresholds(prompted) is None
    assert {len(row) for row in read_thresholds(prompted).values()} == {1, 2}
    assert read_thresholds(Lake(prompted.root / "none")) == {}


def test_a_decision_stands_in_for_a_suggestion_but_not_for_the_study(prompted: Lake) -> None:
    choose(prompted, "c", "medoid", 0.7)  # another sample of the cluster that b names
    choose(prompted, "c", "members", 0.7)  # which the study sets
    choose(prompted, "f", "medoid", 0.6, n_generations=0)  # nothing suggested, nothing to look at
    choose(prompted, "d", "medoid", 0.5, threshold=0.8)  # of another cluster, at another threshold
    choose(prompted, "nobody", "medoid", 0.4)
    rows = {
        (row["cluster_id"], row["reference"]): (row["replication_threshold"], row["method"])
        for row in thresholds_in_force(prompted).to_pylist()
    }
    assert rows == {
        ("b", "medoid"): (0.7, "exploratory"),
        ("b", "members"): (0.8, "manual"),
        ("d", "medoid"): (0.8, "suggested"),
        ("f", "medoid"): (0.6, "manual"),
    }
    assert read_thresholds(prompted)["star", 0.9, "b"] == {
        ("clip", "medoid"): 0.7,
        ("clip", "members"): 0.8,
    }


def test_of_two_clusters_that_have_become_one_the_last_decision_holds(prompted: Lake) -> None:
    choose(prompted, "a", "medoid", 0.7)
    choose(prompted, "c", "medoid", 0.6)
    decided = decided_thresholds(prompted)
    assert decided is not None and len(decided) == 1
    (row,) = decided.to_pylist()
    assert row["replication_threshold"] == 0.6
    assert row["reason"].endswith("with 3 generations to look at")
