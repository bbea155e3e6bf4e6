"""export: what to remove, to keep, what was not judged, or a weight for each sample."""

from pathlib import Path

import duckdb
import numpy as np

from ..core.database import connect_published, count_rows, query, run_query
from ..core.errors import QueryError
from ..core.lake import Lake, replacing
from .sql import write_rows

_FORMS = {".parquet": "parquet", ".csv": "csv", ".npy": "npy"}
_ACTIONS = {"kept": "keep", "removal-list": "drop", "not-judged": "not_judged"}


def export_samples(
    lake: Lake,
    what: str,
    threshold: float,
    keep_rule: str,
    output: Path,
    rule: str = "all",
    max_rows: int | None = None,
) -> tuple[int, int]:
    """Write one file of samples, parquet, csv or npy.

    Returns:
        Its number of rows, and the samples that were not judged, wherever they are.

    Args:
        lake: with a published build.
        what: "kept", "removal-list", "not-judged" or "weights".
        threshold: of the clusters.
        keep_rule: which sample of a cluster stays: "best", "first" or "medoid".
        output: its suffix says the kind of file.
        rule: "all" superfluous copies go, or by "trigger" those that say a word set.
        max_rows: by "trigger", only the clusters where a row takes the most risk with it.

    Raises:
        QueryError: no clusters at that threshold, a file name of another kind, or samples without
            what an npy file names them by.
        LakeError: nothing is published yet.

    """
    if output.suffix not in _FORMS:
        raise QueryError(f"{output}: the name must end in {', '.join(_FORMS)}")
    with connect_published(lake) as connection:
        found = connection.execute("select distinct threshold from removal_list order by 1")
        thresholds = [row[0] for row in found.fetchall()]
        if threshold not in thresholds:
            raise QueryError(f"--threshold {threshold}: there are clusters at {thresholds} only")
        values = {"threshold": threshold, "keep_rule": keep_rule, "rule": rule}
        values["max_rows"] = max_rows
        connection.execute(query("export/chosen"), values)
        n_not_judged = count_rows(connection, "chosen where action = 'not_judged'")
        if output.suffix == ".npy":
            return _write_uids(connection, what, output), n_not_judged
        given = {"threshold": threshold} if what == "weights" else {}
        rows = run_query(connection, query(f"export/{what.replace('-', '_')}"), given)
        return write_rows(rows, _FORMS[output.suffix], output), n_not_judged


def _write_uids(connection: duckdb.DuckDBPyConnection, what: str, output: Path) -> int:
    """Write DataComp's subset format: its uids, as pairs of unsigned 64-bit numbers, sorted.

    One for each source row, also of samples whose rows repeat themselves.
    """
    if what not in _ACTIONS:
        raise QueryError(f"{output}: npy holds uids alone, no {what}; name a .parquet or .csv file")
    action = _ACTIONS[what]
    if action == "keep":
        _check_everything_matches(connection, output)
    _choose_rows(connection, action, output)
    if lacking := connection.execute(query("export/no_uid")).fetchone():
        raise QueryError(
            f"{output}: npy holds DataComp's uids, of 32 hexadecimal digits; sample {lacking[0]} "
            f"has the source_id {lacking[1]}; name a .parquet or .csv file"
        )
    halves = run_query(connection, query("export/uids")).fetchnumpy()
    uids = np.empty(len(halves["high"]), "u8,u8")
    uids["f0"], uids["f1"] = halves["high"], halves["low"]
    with replacing(output) as unfinished, unfinished.open("wb") as file:
        np.save(file, uids)
    return len(uids)


def _check_everything_matches(connection: duckdb.DuckDBPyConnection, output: Path) -> None:
    """A subset of DataComp is the whole of what is trained on: rows of no set would be lost."""
    if not connection.execute(
        "select 1 from keyword_sets where include = ['*'] limit 1"
    ).fetchone():
        raise QueryError(
            f"{output}: only samples of a keyword set are known here, and an npy file of what to "
            'keep would leave out every other row; add a set with include = ["*"] to the study and '
            "run: memtriggers refresh; or export the removal-list"
        )


def _choose_rows(connection: duckdb.DuckDBPyConnection, action: str, output: Path) -> None:
    """Make the table chosen_rows, and refuse a lake that does not know all of them."""
    n_missing = None
    if connection.execute("from duckdb_tables() where table_name = 'sample_rows'").fetchone():
        connection.execute(query("export/chosen_rows"), {"action": action})
        (n_missing,) = connection.execute(
            query("export/rows_missing"), {"action": action}
        ).fetchone() or (None,)
    if n_missing != 0:
        raise QueryError(
            f"{output}: an earlier version filtered this lake and kept no source rows; run: "
            "memtriggers filter, then memtriggers refresh"
        )
