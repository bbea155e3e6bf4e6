"""words: how many captions of the whole corpus say each word and pair of words, and how often."""

import shutil
import tempfile
from pathlib import Path

import duckdb

from .captions.files import files_to_hash
from .captions.on_workers import open_shard, run_on_workers
from .captions.source import gather_captions, open_source
from .captions.stop_words import stop_words
from .captions.unreadable import read_source, unreadable_rows
from .core.database import connect, query, write_parquet
from .core.errors import StageError
from .core.lake import Lake
from .core.runs import Counts, Standing
from .core.stamp import Stamp, file_fingerprint, read_parquet_stamp
from .core.study import Study

_COUNTS = ("word_counts", "caption_counts", "pair_counts", "unreadable_rows")


def run(study: Study, lake: Lake, stamp: Stamp) -> Counts:
    """Write words and bigrams; with a scheduler, its workers count.

    Where keyword sets alone are others than the last time, nothing is counted: a keyword is never
    a stop word, and no count depends on it.

    Returns:
        Rows of the source, and distinct words; rows that cannot be read.

    Raises:
        SourceError: a file cannot be read.
        StageError: no caption contains a word.

    """
    minimum = study.words.bigram_min_captions
    with connect(lake) as connection:
        files = open_source(connection, study, lake)
        n_rows = sum(file.n_rows or 0 for file in files)
        if _are_counted(study, lake, stamp):
            n_words = _flag_again(connection, study, lake, stamp)
            return _counts(n_rows, n_words, _known_unreadable(connection, lake))
        if study.resources.scheduler is None:

            def count() -> int:
                gather_captions(connection, files)
                _count(connection, minimum)
                return _write(connection, study, lake, stamp, n_rows)

            n_words = read_source(connection, study, lake, count, files)
            unreadable = unreadable_rows(connection, "unreadable_rows")
        else:
            folder = lake.scratch / "words"
            try:
                _gather_counts(connection, study, folder)
                _count(connection, minimum, "merged_")
                n_words = _write(connection, study, lake, stamp, n_rows)
                unreadable = unreadable_rows(connection, "shard_unreadable_rows")
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    return _counts(n_rows, n_words, unreadable)


def _counts(n_rows: int, n_words: int, lost: dict[str, int]) -> Counts:
    return Counts(n_rows, n_words, lost, Standing(n_rows, lost))


def _known_unreadable(connection: duckdb.DuckDBPyConnection, lake: Lake) -> dict[str, int]:
    """The rows that `filter` could not read: of the same files."""
    if not lake.rejected_rows.exists():
        return {}
    connection.read_parquet(str(lake.rejected_rows)).create_view("rejected_rows")
    return unreadable_rows(connection, "rejected_rows")


def _are_counted(study: Study, lake: Lake, stamp: Stamp) -> bool:
    recorded = read_parquet_stamp(lake.words, lake.bigrams)
    if recorded is None:
        return False
    changed = set(stamp.changes_since(recorded))
    files = files_to_hash(study)
    is_local = not any("://" in file for file in files)  # of an address, 0.2 noted the name alone
    if is_local and recorded.inputs.get("parquet") == file_fingerprint(files):
        changed.discard("input parquet")
    return changed == {"study key keyword_set"}


def _flag_again(
    connection: duckdb.DuckDBPyConnection, study: Study, lake: Lake, stamp: Stamp
) -> int:
    """Write what was counted with the stop words of today; returns the number of words."""
    connection.execute("set preserve_insertion_order = true")
    for table in (lake.words, lake.bigrams):
        connection.read_parquet(str(table)).create_view(f"counted_{table.stem}")
    connection.execute(query("words/flagged_words"), {"stop_words": stop_words(study)})
    write_parquet(connection, "counted_bigrams", lake.bigrams, stamp)
    return write_parquet(connection, "words", lake.words, stamp)


def _count(connection: duckdb.DuckDBPyConnection, min_captions: int, prefix: str = "") -> None:
    """Count captions and words, and declare the counts of pairs that as many captions may say."""
    connection.execute(query(f"words/{prefix}caption_counts"))
    connection.execute(query(f"words/{prefix}word_counts"))
    connection.execute(query("words/word_ids"), {"min_captions": min_captions})
    connection.execute(query(f"words/{prefix}pair_id_counts"))
    connection.execute(query("words/pair_counts"))


def _write(
    connection: duckdb.DuckDBPyConnection, study: Study, lake: Lake, stamp: Stamp, n_rows: int
) -> int:
    if n_rows and not connection.execute("from word_counts limit 1").fetchone():
        raise StageError(
            f"words: no caption of {n_rows:,} rows contains a word; name the right column as "
            "caption_column in [data] of the study"
        )
    minimum = {"min_captions": study.words.bigram_min_captions}
    connection.execute(query("words/bigrams"), minimum)
    write_parquet(connection, "bigrams", lake.bigrams, stamp)
    connection.execute(query("words/words"), {"stop_words": stop_words(study)})
    return write_parquet(connection, "words", lake.words, stamp)


def _gather_counts(connection: duckdb.DuckDBPyConnection, study: Study, folder: Path) -> None:
    """Keep the counts of each group of files in a folder, and declare them as tables of shards."""
    for number, tables in enumerate(run_on_workers(study, _count_shard)):
        for name, content in tables.items():
            path = folder / name / f"{number}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    for name in _COUNTS:
        files = [str(path) for path in (folder / name).iterdir()]
        connection.read_parquet(files).create_view(f"shard_{name}")


def _count_shard(study: Study) -> dict[str, bytes]:
    """The counts as parquet: most pairs are said once, and there are more of them than captions."""
    with open_shard(study) as (connection, lake, files), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "counts.parquet"

        def count() -> dict[str, bytes]:
            gather_captions(connection, files)
            _count(connection, min_captions=1)
            return {name: _as_parquet(connection, name, path) for name in _COUNTS}

        return read_source(connection, study, lake, count, files)


def _as_parquet(connection: duckdb.DuckDBPyConnection, name: str, path: Path) -> bytes:
    connection.table(name).write_parquet(str(path), compression="zstd")
    return path.read_bytes()
