"""The forest of the run before, while it still holds: then only new samples need be compared."""

import hashlib
import json
from collections.abc import Sequence

import numpy as np
import pyarrow.parquet as pq

from ..core.lake import Lake
from ..core.stamp import VERSION, Stamp, read_parquet_stamp
from .edges import Edges, Vectors
from .forest import NOTHING, Start
from .sample_ids import SampleIds, as_bytes, rows_of

FINGERPRINT_KEY = "memtriggers_forest"  # in the metadata of near_duplicates; only of exact ones
_FIRST = "0.1.0"  # what version 1 of the stage wrote, in lakes that go on
_PART = 8192  # vectors that are hashed at once


def fingerprint(
    sample_ids: SampleIds, unit: Vectors, thresholds: Sequence[float], stamp: Stamp
) -> str:
    """A text that stands for all that an exact forest depends on.

    Args:
        sample_ids: (n,), ascending.
        unit: (n, d) float32.
        thresholds: those of the forest.
        stamp: another version of the stage may find another forest.

    """
    version = stamp.inputs[VERSION]
    asked = [list(thresholds), _FIRST if version == "1" else version, *unit.shape]
    digest = hashlib.sha256(json.dumps(asked).encode())
    digest.update(sample_ids.tobytes())
    for start in range(0, len(unit), _PART):
        digest.update(unit[start : start + _PART].tobytes())
    return digest.hexdigest()


def earlier_forest(
    lake: Lake, sample_ids: SampleIds, unit: Vectors, thresholds: Sequence[float], stamp: Stamp
) -> Start:
    """The forest in the lake to start from, or nothing when it no longer holds.

    It holds while every one of its samples is still there, with the same vector, and the thresholds
    are the same. Where one is gone, what it joined may fall apart: everything is compared again.
    """
    if read_parquet_stamp(lake.near_duplicates, lake.cluster_members) is None:
        return NOTHING
    edges = pq.read_table(lake.near_duplicates)
    members = pq.read_table(lake.cluster_members, columns=["sample_id"])
    before = np.unique(as_bytes(members["sample_id"]))
    if not np.isin(before, sample_ids).all():
        return NOTHING
    rows = rows_of(before, sample_ids)
    expected = fingerprint(before, unit[rows], thresholds, stamp).encode()
    if (edges.schema.metadata or {}).get(FINGERPRINT_KEY.encode()) != expected:
        return NOTHING
    first, second = (
        rows_of(as_bytes(edges[name]), sample_ids) for name in ("sample_id", "other_sample_id")
    )
    return Start(rows, Edges(first, second, edges["cosine"].to_numpy()))
