"""export: what to remove, what to keep, or a weight for each sample, as parquet, csv or npy."""

from pathlib import Path

import duckdb
import numpy as np

from .database import connect_published, query, run_query
from .errors import QueryError
from .lake import Lake, replacing
from .sql import write_rows

_FORMS = {".parquet": "parquet", ".csv": "csv", ".npy": "npy"}
_ACTIONS = {"kept": "keep", "removal-list": "drop"}


def export_samples(lake: Lake, what: str, threshold: float, keep_rule: str, output: Path) -> int:
    """Write one file of samples; returns its number of rows.

    Raises:
        QueryError: no clusters at that threshold, a file name of another kind, or samples without
            what an npy file names them by.
        LakeError: nothing is published yet.

    """
    if output.suffix not in _FORMS:
        raise QueryError(f"{output}: the name must end in {' or '.join(_FORMS)}")
    with connect_published(lake) as connection:
        found = connection.execute("select distinct threshold from removal_list order by 1")
        thresholds = [row[0] for row in found.fetchall()]
        if threshold not in thresholds:
            raise QueryError(f"--threshold {threshold}: there are clusters at {thresholds} only")
        values = {"threshold": threshold, "keep_rule": keep_rule}
        if output.suffix == ".npy":
            return _write_uids(connection, what, values, output)
        rows = run_query(connection, query(f"export_{what.replace('-', '_')}"), values)
        return write_rows(rows, _FORMS[output.suffix], output)


def _write_uids(
    connection: duckdb.DuckDBPyConnection, what: str, values: dict[str, object], output: Path
) -> int:
    """Write DataComp's subset format: its uids, as pairs of unsigned 64-bit numbers, sorted."""
    if what not in _ACTIONS:
        raise QueryError(f"{output}: npy holds uids alone, no {what}; name a .parquet or .csv file")
    if lacking := connection.execute(query("export_no_uid")).fetchone():
        raise QueryError(
            f"{output}: npy holds DataComp's uids, of 32 hexadecimal digits; sample {lacking[0]} "
            f"has the source_id {lacking[1]}; name a .parquet or .csv file"
        )
    values = {**values, "action": _ACTIONS[what]}
    halves = run_query(connection, query("export_uids"), values).fetchnumpy()
    uids = np.empty(len(halves["high"]), "u8,u8")
    uids["f0"], uids["f1"] = halves["high"], halves["low"]
    with replacing(output) as unfinished, unfinished.open("wb") as file:
        np.save(file, uids)
    return len(uids)
