"""The lake's tables that dbt reads: where each lies, and its typed columns, declared once."""

from collections.abc import Callable
from dataclasses import dataclass
from glob import escape
from pathlib import Path

import duckdb

from ..database import first_line, identifier, literal
from ..errors import BuildError
from ..lake import Lake


@dataclass(frozen=True)
class Table:
    """One parquet file of the lake; `columns` maps each name to its DuckDB type."""

    name: str
    path: Callable[[Lake], Path]
    columns: dict[str, str]


TABLES = (
    Table(
        "samples",
        lambda lake: lake.samples,
        {
            "sample_id": "varchar",
            "url": "varchar",
            "caption": "varchar",
            "width": "integer",
            "height": "integer",
            "license": "varchar",
            "nsfw": "varchar",
            "similarity": "double",
            "n_rows": "bigint",
            "caption_decoded": "varchar",
            "clip_tokens": "integer",
            "words": "varchar[]",
            "status": "varchar",
            "status_reason": "varchar",
            "source_file": "varchar",
            "source_row": "bigint",
            "source_id": "varchar",
        },
    ),
    Table(
        "source_files",
        lambda lake: lake.source_files,
        {"source_file": "varchar", "n_rows": "bigint", "shape": "varchar"},
    ),
    Table(
        "keyword_sets",
        lambda lake: lake.keyword_sets,
        {
            "keyword_set": "varchar",
            "include": "varchar[]",
            "any_of": "varchar[]",
            "exclude": "varchar[]",
            "parent_keyword_set": "varchar",
            "n_samples": "bigint",
        },
    ),
    Table(
        "keyword_matches",
        lambda lake: lake.keyword_matches,
        {"keyword_set": "varchar", "sample_id": "varchar"},
    ),
    Table(
        "rejected_rows",
        lambda lake: lake.rejected_rows,
        {
            "source_file": "varchar",
            "source_row": "bigint",
            "rule": "varchar",
            "observed_value": "varchar",
            "url": "varchar",
            "caption": "varchar",
        },
    ),
    Table(
        "words",
        lambda lake: lake.words,
        {
            "word": "varchar",
            "n_captions": "bigint",
            "n_occurrences": "bigint",
            "is_stop_word": "boolean",
            "share_of_captions": "double",
        },
    ),
    Table(
        "bigrams",
        lambda lake: lake.bigrams,
        {
            "word": "varchar",
            "next_word": "varchar",
            "n_captions": "bigint",
            "n_occurrences": "bigint",
        },
    ),
    Table(
        "images",
        lambda lake: lake.parquet("exports", "images"),
        {
            "sample_id": "varchar",
            "status": "varchar",
            "status_reason": "varchar",
            "width": "integer",
            "height": "integer",
            "original_width": "integer",
            "original_height": "integer",
            "n_bytes": "bigint",
            "sha256": "varchar",
            "perceptual_hash": "varchar",
            "colour_stddev": "double",
            "fetched_at": "timestamp with time zone",
        },
    ),
    Table(
        "image_vectors",
        lambda lake: lake.parquet("exports", "image_vectors"),
        {"sample_id": "varchar", "status": "varchar", "clip_id": "varchar"},
    ),
    Table(
        "near_duplicates",
        lambda lake: lake.near_duplicates,
        {"sample_id": "varchar", "other_sample_id": "varchar", "cosine": "double"},
    ),
    Table(
        "clusters",
        lambda lake: lake.clusters,
        {
            "threshold": "double",
            "cluster_id": "varchar",
            "n_samples": "bigint",
            "medoid_sample_id": "varchar",
            "cosine_to_medoid_mean": "double",
            "cosine_to_medoid_min": "double",
            "n_captions_distinct": "bigint",
            "n_urls_distinct": "bigint",
            "n_domains_distinct": "bigint",
            "n_samples_largest_piece": "bigint",
            "is_placeholder": "boolean",
            "is_blank": "boolean",
            "excluded_reason": "varchar",
        },
    ),
    Table(
        "cluster_members",
        lambda lake: lake.cluster_members,
        {
            "threshold": "double",
            "sample_id": "varchar",
            "cluster_id": "varchar",
            "representative_sample_id": "varchar",
            "cosine_to_medoid": "double",
        },
    ),
    Table(
        "cluster_thresholds",
        lambda lake: lake.cluster_thresholds,
        {
            "threshold": "double",
            "is_computed": "boolean",
            "n_clusters": "bigint",
            "n_samples_clustered": "bigint",
            "n_samples_largest": "bigint",
            "share_clustered": "double",
            "share_largest": "double",
            "is_suggested": "boolean",
            "reason": "varchar",
        },
    ),
    Table(
        "word_sets",
        lambda lake: lake.word_sets,
        {
            "keyword_set": "varchar",
            "threshold": "double",
            "cluster_id": "varchar",
            "words": "varchar[]",
            "n_samples": "bigint",
            "n_embedded": "bigint",
            "n_in_cluster": "bigint",
            "n_in_clusters": "bigint",
            "share_in_cluster": "double",
            "concentration": "double",
            "lift": "double",
            "ci_low": "double",
            "ci_high": "double",
            "ci_honest_low": "double",
            "ci_honest_high": "double",
            "q_value": "double",
            "trigger_score": "double",
            "replication_risk": "double",
        },
    ),
)

RUNS = {
    "run_id": "varchar",
    "stage": "varchar",
    "started_at": "varchar",
    "study_hash": "varchar",
    "finished_at": "varchar",
    "status": "varchar",
    "error": "varchar",
    "n_in": "bigint",
    "n_out": "bigint",
    "versions": "map(varchar, varchar)",
}
"""The columns of a file in `lake/runs/`."""

BUILD_INFO = {
    "build": "varchar",
    "built_at": "timestamp",
    "stamp": "varchar",
    "memtriggers_version": "varchar",
    "duckdb_version": "varchar",
    "dbt_duckdb_version": "varchar",
}
"""The columns of the one row that `build` writes about itself."""


def declare_tables(connection: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Make the schema `lake`: a view over each file, or an empty typed table where there is none.

    Raises:
        BuildError: a file cannot be read, or misses a column; names the file.

    """
    connection.execute("create schema lake")
    for table in TABLES:
        path = table.path(lake)
        if path.exists():
            _declare_parquet(connection, table, path)
        else:
            _declare_empty(connection, table.name, table.columns)
    if any(lake.runs.glob("*.json")):
        _declare_runs(connection, lake.runs)
    else:
        _declare_empty(connection, "runs", RUNS)
    _declare_empty(connection, "build_info", BUILD_INFO)


def _declare_empty(
    connection: duckdb.DuckDBPyConnection, name: str, columns: dict[str, str]
) -> None:
    typed = ", ".join(f"{identifier(column)} {kind}" for column, kind in columns.items())
    connection.execute(f"create table lake.{name} ({typed})")


def _declare_parquet(connection: duckdb.DuckDBPyConnection, table: Table, path: Path) -> None:
    columns = ", ".join(
        f"cast({identifier(name)} as {kind}) as {identifier(name)}"
        for name, kind in table.columns.items()
    )
    source = f"read_parquet({literal(escape(str(path)))}, union_by_name = true)"
    try:
        connection.execute(f"create view lake.{table.name} as select {columns} from {source}")
    except duckdb.Error as error:
        raise BuildError(
            f"{path}: cannot be read as {table.name}: {first_line(error)}; "
            "remove the file and run: memtriggers refresh"
        ) from None


def _declare_runs(connection: duckdb.DuckDBPyConnection, runs: Path) -> None:
    files = literal(f"{escape(str(runs))}/*.json")
    columns = ", ".join(f"{name}: {literal(kind)}" for name, kind in RUNS.items())
    connection.execute(
        f"create view lake.runs as select * from read_json({files}, columns = {{{columns}}}, "
        "format = 'newline_delimited')"
    )
