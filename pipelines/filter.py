"""filter: the captions that match the keyword sets, and every dirty row with its reason."""

import logging

import duckdb
import pyarrow as pa

from .captions.clip_tokens import MAX_CLIP_TOKENS, count_sample_tokens, define_clip_functions
from .captions.copies import Copies
from .captions.keyword_sets import declare_keyword_sets
from .captions.on_workers import open_shard, run_on_workers
from .captions.source import open_source
from .captions.source_file import SourceFile
from .captions.unreadable import read_source, unreadable_rows
from .clusters.follow_up import with_follow_up_sets
from .core.database import connect, query, write_parquet
from .core.lake import Lake
from .core.losses import Outcome, refuse_total_loss, standing
from .core.quoting import identifier
from .core.registry import TABLES
from .core.runs import Counts, Standing
from .core.stamp import Stamp
from .core.study import Study
from .images.byte_keys import find_byte_keys

# What the published table `samples` has beside columns of the lake's.
_OF_SAMPLES = ("domain", "image_status", "image_reason", "vector_status", "filter_status")

log = logging.getLogger(__name__)


def run(study: Study, lake: Lake, stamp: Stamp) -> Counts:
    """Write samples, sample_rows, source_files, keyword_sets, keyword_matches and rejected_rows.

    With a scheduler, its workers read the source, and this process the rows that leave a trace.

    Returns:
        Rows of the source, and clean samples that match a keyword set; those that are rejected, and
        rows that cannot be read.

    Raises:
        SourceError: a file cannot be read.
        StageError: every sample that matches is rejected.

    """
    study = with_follow_up_sets(study, lake)
    with connect(lake) as connection:
        files = open_source(connection, study, lake)
        if study.resources.scheduler is None:
            read_source(connection, study, lake, lambda: keep_rows(connection, study), files)
        else:
            _gather_rows(connection, study)
        find_byte_keys(connection, study, lake)
        for name in ("keyword_matches", "keyword_set_counts", "rejected_rows", "distinct_samples"):
            connection.execute(query(f"filter/{name}"))
        define_clip_functions(connection)
        count_sample_tokens(connection)
        connection.execute(query("filter/samples"), {"max_clip_tokens": MAX_CLIP_TOKENS})
        _carry_columns(connection, study)
        connection.execute(query("filter/sample_rows"))
        matched = _count_samples(connection)
        connection.register("source_files", _source_files(files))
        Copies(lake).keep(file.copy for file in files)
        write_parquet(connection, "rejected_rows", lake.rejected_rows, stamp)
        write_parquet(connection, "keyword_matches", lake.keyword_matches, stamp)
        write_parquet(connection, "keyword_set_counts", lake.keyword_sets, stamp)
        write_parquet(connection, "source_files", lake.source_files, stamp)
        write_parquet(connection, "sample_rows", lake.sample_rows, stamp)
        write_parquet(connection, "samples", lake.samples, stamp)
        _warn_of_empty_sets(connection)
        lost = {**matched.missing, **unreadable_rows(connection, "rejected_rows")}
    _warn_of_files(files)
    n_clean = matched.n_asked - matched.n_missing
    return Counts(sum(file.n_rows or 0 for file in files), n_clean, lost, matched)


def _warn_of_files(files: list[SourceFile]) -> None:
    """Say which files are passed over, and which lack rows."""
    for file in files:
        if file.problem is not None:
            log.warning("skipped: %s: %s", file.path, file.problem)
        elif file.n_lost:
            of = (file.path, file.n_lost, file.n_rows)
            log.warning("%s: %d of %d rows cannot be read: see rejected_rows", *of)


def _count_samples(connection: duckdb.DuckDBPyConnection) -> Standing:
    """The samples that match, and why some are rejected; raises StageError when all are."""
    outcomes = [Outcome(*row) for row in connection.execute(query("filter/outcomes")).fetchall()]
    refuse_total_loss(
        "filter",
        "matching samples is clean",
        outcomes,
        "name the right columns in [data] of the study (caption_column, url_column, image_root)",
    )
    return standing(outcomes)


def _carry_columns(connection: duckdb.DuckDBPyConnection, study: Study) -> None:
    """Add the columns of `[data] columns` to the table samples, from the row that speaks for each.

    One that is called as a column of ours has `source_` before its name.
    """
    ours = {*TABLES["samples"].columns, *TABLES["images"].columns, *_OF_SAMPLES}
    carried = study.data.columns
    if carried:
        pairs = (
            f"memtriggers_column_{n} as {identifier(f'source_{name}' if name in ours else name)}"
            for n, name in enumerate(carried)
        )
        connection.execute(
            f"create or replace temp table samples as select samples.*, {', '.join(pairs)} "
            "from samples join distinct_samples using (sample_id) order by sample_id"
        )


def keep_rows(connection: duckdb.DuckDBPyConnection, study: Study) -> None:
    """Make the tables kept_rows and row_matches of the view `source`.

    One pass over it keeps what may match or be dirty; the exact rules decide on that.
    """
    connection.execute(query("filter/rules"))
    find_rows(connection, study)


def find_rows(connection: duckdb.DuckDBPyConnection, study: Study) -> None:
    """The same, where the connection has the rules of dirty rows."""
    declare_keyword_sets(connection, study)
    connection.execute(query("filter/needles"))
    (patterns,) = connection.execute(query("filter/needle_patterns")).to_arrow_table().to_pylist()
    connection.execute(query("filter/kept_rows"), {**patterns, "addresses": study.data.addresses})
    connection.execute(query("filter/row_matches"))


def _gather_rows(connection: duckdb.DuckDBPyConnection, study: Study) -> None:
    """The same tables, from what the workers keep of each group of files."""
    declare_keyword_sets(connection, study)
    for number, tables in enumerate(run_on_workers(study, _keep_shard)):
        for name, table in tables.items():
            connection.register("shard", table)
            verb = "insert into" if number else "create or replace temp table"
            connection.execute(f"{verb} {name} {'' if number else 'as'} from shard")


def _keep_shard(study: Study) -> dict[str, pa.Table]:
    with open_shard(study) as (connection, lake, _):
        read_source(connection, study, lake, lambda: keep_rows(connection, study))
        unreadable = connection.table("unreadable_rows").to_arrow_table()
        traces = connection.execute(query("filter/traces")).to_arrow_table()
        matches = connection.table("row_matches").to_arrow_table()
        return {"kept_rows": traces, "row_matches": matches, "unreadable_rows": unreadable}


def _source_files(files: list[SourceFile]) -> pa.Table:
    rows = [
        {
            "source_file": file.path,
            "n_rows": file.n_rows,
            "shape": file.shape,
            "format": file.format,
            "status": "ok" if file.problem is None else "skipped",
            "status_reason": file.problem,
        }
        for file in files
    ]
    return pa.Table.from_pylist(rows, TABLES["source_files"].schema)


def _warn_of_empty_sets(connection: duckdb.DuckDBPyConnection) -> None:
    empty = connection.execute(
        "select keyword_set from keyword_set_counts where n_samples = 0 order by keyword_set"
    ).fetchall()
    for (keyword_set,) in empty:
        log.warning("keyword set %r matches no caption", keyword_set)
