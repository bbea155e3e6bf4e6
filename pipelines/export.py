"""export: what to remove, what to keep, or a weight for each sample, as parquet or csv."""

from pathlib import Path

from .database import connect_published, query, run_query
from .errors import QueryError
from .lake import Lake
from .sql import write_rows

_FORMS = {".parquet": "parquet", ".csv": "csv"}


def export_samples(lake: Lake, what: str, threshold: float, keep_rule: str, output: Path) -> int:
    """Write one file of samples; returns its number of rows.

    Raises:
        QueryError: no clusters at that threshold, or a file name that is neither parquet nor csv.
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
        rows = run_query(connection, query(f"export_{what.replace('-', '_')}"), values)
        return write_rows(rows, _FORMS[output.suffix], output)
