"""filter: the captions that match the keyword sets, and every dirty row with its reason."""

import logging

import duckdb
import pyarrow as pa

from .captions.clip_tokens import MAX_CLIP_TOKENS, count_sample_tokens, define_clip_functions
from .captions.keyword_sets import declare_keyword_sets
from .captions.on_workers import open_shard, run_on_workers
from .captions.source import SourceFile, open_source
from .captions.unreadable import read_source
from .clusters.follow_up import with_follow_up_sets
from .core.database import connect, query, write_parquet
from .core.lake import Lake
from .core.losses import Outcome, refuse_total_loss, standing
from .core.runs import Counts, Standing
from .core.stamp import Stamp
from .core.study import Study

log = logging.getLogger(__name__)


def run(study: Study, lake: Lake, stamp: Stamp) -> Counts:
    """Write samples, sample_rows, source_files, keyword_sets, keyword_matches and rejected_rows.

    With a scheduler, its workers read the source, and this process the rows that leave a trace.

    Returns:
        Rows of the source, and clean samples that match a keyword set; those that are rejected.

    Raises:
        SourceError: a file cannot be read.
        StageError: every sample that matches is rejected.

    """
    study = with_follow_up_sets(study, lake)
    with connect(lake) as connection:
        files = open_source(connection, study)
        if study.resources.scheduler is None:
            read_source(connection, study, lambda: keep_rows(connection, study))
        else:
            _gather_rows(connection, study)
        for name in ("keyword_matches", "keyword_set_counts", "rejected_rows", "distinct_samples"):
            connection.execute(query(f"filter/{name}"))
        define_clip_functions(connection)
        count_sample_tokens(connection)
        connection.execute(query("filter/samples"), {"max_clip_tokens": MAX_CLIP_TOKENS})
        connection.execute(query("filter/sample_rows"))
        matched = _count_samples(connection)
        connection.register("source_files", _source_files(files))
        write_parquet(connection, "rejected_rows", lake.rejected_rows, stamp)
        write_parquet(connection, "keyword_matches", lake.keyword_matches, stamp)
        write_parquet(connection, "keyword_set_counts", lake.keyword_sets, stamp)
        write_parquet(connection, "source_files", lake.source_files, stamp)
        write_parquet(connection, "sample_rows", lake.sample_rows, stamp)
        write_parquet(connection, "samples", lake.samples, stamp)
        _warn_of_empty_sets(connection)
    n_clean = matched.n_asked - matched.n_missing
    return Counts(sum(file.n_rows for file in files), n_clean, matched.missing, matched)


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
    connection.execute(query("filter/kept_rows"), {**patterns, "addresses": _addresses(study)})
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
    with open_shard(study) as connection:
        read_source(connection, study, lambda: keep_rows(connection, study))
        unreadable = connection.table("unreadable_rows").to_arrow_table()
        traces = connection.execute(query("filter/traces")).to_arrow_table()
        matches = connection.table("row_matches").to_arrow_table()
        return {"kept_rows": traces, "row_matches": matches, "unreadable_rows": unreadable}


def _addresses(study: Study) -> bool | None:
    """What the url column must hold: an address, a path (False), or nothing (None)."""
    if study.data.image_column is not None:
        return None
    return study.data.image_root is None


def _source_files(files: list[SourceFile]) -> pa.Table:
    return pa.table(
        {
            "source_file": pa.array([file.path for file in files], pa.string()),
            "n_rows": pa.array([file.n_rows for file in files], pa.int64()),
            "shape": pa.array([file.shape for file in files], pa.string()),
        }
    )


def _warn_of_empty_sets(connection: duckdb.DuckDBPyConnection) -> None:
    empty = connection.execute(
        "select keyword_set from keyword_set_counts where n_samples = 0 order by keyword_set"
    ).fetchall()
    for (keyword_set,) in empty:
        log.warning("keyword set %r matches no caption", keyword_set)
