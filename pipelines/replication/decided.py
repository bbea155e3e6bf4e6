"""The replication thresholds in force: what `prompts` fixed, and what a person set instead."""

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.database import connect, query
from ..core.decisions import decisions_file
from ..core.lake import Lake

_KEY = ("keyword_set", "threshold", "cluster_id", "metric", "reference")

Thresholds = dict[tuple[str, str], float]  # of one cluster, by metric and reference


def decided_thresholds(lake: Lake) -> pa.Table | None:
    """The rows that a person decided on, each of a prompted cluster; None where there is none.

    What the study sets by hand stays: it is the file that a run can be repeated from.
    """
    decided = decisions_file(lake, "decided_thresholds")
    if not (decided.exists() and lake.replication_thresholds.exists()):
        return None
    values = {
        "decided": str(decided),
        "fixed": str(lake.replication_thresholds),
        "prompts": str(lake.prompts),
        "cluster_members": str(lake.cluster_members),
    }
    with connect(lake) as connection:
        return connection.execute(query("score/decided_thresholds"), values).to_arrow_table()


def thresholds_in_force(lake: Lake) -> pa.Table:
    """The replication thresholds that scores are held against, one row a key."""
    fixed = pq.read_table(lake.replication_thresholds).replace_schema_metadata()
    decided = decided_thresholds(lake)
    if decided is None:
        return fixed
    rows = {tuple(row[name] for name in _KEY): row for row in fixed.to_pylist()}
    rows |= {tuple(row[name] for name in _KEY): row for row in decided.to_pylist()}
    return pa.Table.from_pylist(list(rows.values()), fixed.schema)


def read_thresholds(lake: Lake) -> dict[tuple[str, float, str], Thresholds]:
    """The replication thresholds of each prompted cluster, by metric and reference."""
    found: dict[tuple[str, float, str], Thresholds] = {}
    if not lake.replication_thresholds.exists():
        return found
    for row in thresholds_in_force(lake).to_pylist():
        key = tuple(row[name] for name in _KEY[:3])
        found.setdefault(key, {})[row["metric"], row["reference"]] = row["replication_threshold"]
    return found
