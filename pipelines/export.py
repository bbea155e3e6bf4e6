"""export: what to remove, what to keep, or a weight for each sample, as parquet or csv."""

from pathlib import Path

from .database import connect_published, literal, query
from .errors import QueryError
from .lake import Lake, replacing

_FORMATS = {".parquet": "(format parquet, compression zstd)", ".csv": "(format csv, header)"}


def export_samples(lake: Lake, what: str, threshold: float, keep_rule: str, output: Path) -> int:
    """Write one file of samples; returns its number of rows.

    Raises:
        QueryError: no clusters at that threshold, or a file name that is neither parquet nor csv.
        LakeError: nothing is published yet.

    """
    if output.suffix not in _FORMATS:
        raise QueryError(f"{output}: the name must end in {' or '.join(_FORMATS)}")
    with connect_published(lake) as connection:
        found = connection.execute("select distinct threshold from removal_list order by 1")
        thresholds = [row[0] for row in found.fetchall()]
        if threshold not in thresholds:
            raise QueryError(f"--threshold {threshold}: there are clusters at {thresholds} only")
        values = {"threshold": threshold, "keep_rule": keep_rule}
        rows = connection.execute(query(f"export_{what.replace('-', '_')}"), values)
        connection.register("rows", rows.fetch_record_batch())
        with replacing(output) as unfinished:
            (n_rows,) = connection.execute(
                f"copy rows to {literal(str(unfinished))} {_FORMATS[output.suffix]}"
            ).fetchone() or (0,)
    return int(n_rows)
