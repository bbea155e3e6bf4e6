"""Decisions of a person who looked: thresholds of replication, and marks of clusters.

`explore` writes them, `score` and `build` read them. A cluster is known by a cosine at which it was
found and a sample in it, so that a decision outlives the next clustering.
"""

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .lake import Lake, replacing
from .registry import TABLES

WANTED, PLACEHOLDER, REMOVE = "wanted", "placeholder", "remove"
MARKS = (WANTED, PLACEHOLDER, REMOVE)

THRESHOLDS = pa.schema(
    [
        ("threshold", pa.float64()),  # the cosine at which the cluster was found
        ("sample_id", pa.string()),  # any one in it
        ("metric", pa.string()),
        ("reference", pa.string()),
        ("replication_threshold", pa.float64()),
        ("is_distance", pa.bool_()),
        ("bands", pa.list_(pa.float64())),
        ("n_generations", pa.int64()),  # that were there to look at
        ("decided_at", pa.timestamp("us")),  # UTC
    ]
)
CLUSTER_MARKS = TABLES["cluster_marks"].schema
_FILES = {"decided_thresholds": "replication_thresholds", "cluster_marks": "cluster_marks"}
KINDS = tuple(_FILES)
_SCHEMAS = {"decided_thresholds": THRESHOLDS, "cluster_marks": CLUSTER_MARKS}
_KEYS = {
    "decided_thresholds": ("threshold", "sample_id", "metric", "reference"),
    "cluster_marks": ("threshold", "sample_id"),
}

Row = dict[str, Any]


def decisions_file(lake: Lake, kind: str) -> Path:
    """Where decisions of a kind lie: "decided_thresholds" or "cluster_marks"."""
    return lake.parquet("decisions", _FILES[kind])


def decisions_fingerprint(lake: Lake, kind: str) -> str:
    """Differs whenever a decision of a kind does; "none" before the first."""
    path = decisions_file(lake, kind)
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.exists() else "none"


def read_decisions(lake: Lake, kind: str) -> list[Row]:
    """The decisions of a kind, the first one first."""
    path = decisions_file(lake, kind)
    rows: list[Row] = (
        pq.read_table(path, schema=_SCHEMAS[kind]).to_pylist() if path.exists() else []
    )
    return rows


def decide(lake: Lake, kind: str, row: Row) -> None:
    """Add a decision; the one before on the same cluster, and metric and reference, goes."""
    now = datetime.now(UTC).replace(tzinfo=None)
    _replace(lake, kind, row, [row | {"decided_at": now}])


def take_back(lake: Lake, kind: str, row: Row) -> None:
    """Remove the decision on a cluster, as if nobody had taken it; what was none stays none."""
    _replace(lake, kind, row, [])


def _replace(lake: Lake, kind: str, row: Row, by: list[Row]) -> None:
    path, names = decisions_file(lake, kind), _KEYS[kind]
    with _one_at_a_time(path.parent):
        kept = [
            other
            for other in read_decisions(lake, kind)
            if any(other[name] != row[name] for name in names)
        ]
        with replacing(path) as unfinished:
            pq.write_table(pa.Table.from_pylist(kept + by, _SCHEMAS[kind]), unfinished)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Keep another explorer, in this process or in one beside it, from losing a decision."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
