"""words: how many captions of the whole corpus say each word and pair of words, and how often."""

import shutil
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from .captions.shards import open_shard, run_on_workers
from .captions.source import open_source
from .captions.stop_words import stop_words
from .database import connect, query, write_parquet
from .lake import Counts, Lake
from .stamp import Stamp
from .study import Study

_COUNTS = ("word_counts", "pair_counts", "caption_counts")


def run(study: Study, lake: Lake, stamp: Stamp) -> Counts:
    """Write words and bigrams; with a scheduler, its workers count.

    Returns:
        Rows of the source, and distinct words.

    """
    with connect(lake) as connection:
        files = open_source(connection, study)
        if study.resources.scheduler is None:
            _declare_counts(connection)
            n_words = _write(connection, study, lake, stamp)
        else:
            folder = lake.scratch / "words"
            try:
                _gather_counts(connection, study, folder)
                n_words = _write(connection, study, lake, stamp)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    return Counts(sum(file.n_rows for file in files), n_words)


def _declare_counts(connection: duckdb.DuckDBPyConnection) -> None:
    for view in _COUNTS:
        connection.execute(query(view))


def _write(connection: duckdb.DuckDBPyConnection, study: Study, lake: Lake, stamp: Stamp) -> int:
    minimum = {"min_captions": study.words.bigram_min_captions}
    connection.execute(query("bigrams"), minimum)
    write_parquet(connection, "bigrams", lake.bigrams, stamp)
    connection.execute(query("words"), {"stop_words": stop_words(study)})
    return write_parquet(connection, "words", lake.words, stamp)


def _gather_counts(connection: duckdb.DuckDBPyConnection, study: Study, folder: Path) -> None:
    """Keep the counts of each group of files in a folder, and declare their sums."""
    for number, tables in enumerate(run_on_workers(study, _count_shard)):
        for name, table in tables.items():
            path = folder / name / f"{number}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, path)
    for name in _COUNTS:
        files = [str(path) for path in (folder / name).iterdir()]
        connection.read_parquet(files).create_view(f"shard_{name}")
    connection.execute(query("merged_counts"))


def _count_shard(study: Study) -> dict[str, pa.Table]:
    with open_shard(study) as connection:
        _declare_counts(connection)
        return {name: connection.table(name).to_arrow_table() for name in _COUNTS}
