"""What the number of files adds to a stage: the same rows in many parquet files, and in one.

    python benchmarks/many_files.py                  # 4,000 files
    python benchmarks/many_files.py --files 41455    # as many as LAION-2B-en has tars

Opens the study's rows as `filter` does and reads the captions and addresses of all; medians of
three, in turn, after a first time that hashes the files. The sums must be equal.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.parquet as pq

from memtriggers.pipelines.captions.files import find_files
from memtriggers.pipelines.captions.source import open_source
from memtriggers.pipelines.core.contents import content_fingerprint
from memtriggers.pipelines.core.database import connect
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.lake_format import FORMAT, format_file
from memtriggers.pipelines.core.study import Data, KeywordSet, Study

ROWS = 50  # in a file
READ = "select count(*), sum(strlen(caption)), sum(strlen(url)) from source"


def table(number: int) -> pa.Table:
    """The rows of one file, in the shape of img2dataset's."""
    rows = range(number * ROWS, (number + 1) * ROWS)
    return pa.table(
        {
            "url": [f"https://host{row % 97}.example/{row}.jpg" for row in rows],
            "caption": [f"a red star, number {row}" for row in rows],
            "key": [f"{row:09}" for row in rows],
            "status": ["success"] * ROWS,
            "error_message": pa.nulls(ROWS, pa.string()),
            "width": pa.array([256] * ROWS, pa.int32()),
            "height": pa.array([256] * ROWS, pa.int32()),
            "exif": ["{}"] * ROWS,
            "sha256": [f"{row:064x}" for row in rows],
        }
    )


def write(folder: Path, n_files: int) -> None:
    """Write the rows in many files, and in one."""
    (folder / "many").mkdir()
    with pq.ParquetWriter(folder / "one.parquet", table(0).schema) as one:
        some: list[pa.Table] = []
        for number in range(n_files):
            some.append(table(number))
            pq.write_table(some[-1], folder / "many" / f"{number:05}.parquet")
            if len(some) == 2_000 or number + 1 == n_files:  # a row group as they are elsewhere
                one.write_table(pa.concat_tables(some))
                some.clear()


def read(folder: Path, pattern: str) -> tuple[float, tuple[int, ...]]:
    """Look at the files and read them, as a stage does; returns the seconds, and the sums."""
    study = Study(folder, Data((pattern,)), (KeywordSet("everything", ("*",)),))
    lake = Lake(folder / f"lake of {Path(pattern).parts[0]}")
    if not lake.root.exists():
        lake.root.mkdir()
        format_file(lake.root).write_text(f"{FORMAT}\n")
    started = time.perf_counter()
    content_fingerprint(lake, find_files(study))  # that of the stage's stamp
    with connect(lake) as connection:
        open_source(connection, study, lake)
        sums = connection.execute(READ).fetchone() or ()
    return time.perf_counter() - started, sums


def main() -> None:
    """Measure, and print what one can compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=4_000)
    n_files = parser.parse_args().files
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, n_files)
        patterns = ("many/*.parquet", "one.parquet")
        first = {pattern: read(folder, pattern)[0] for pattern in patterns}
        times: dict[str, list[float]] = {pattern: [] for pattern in patterns}
        for _ in range(3):
            found = [read(folder, pattern) for pattern in patterns]
            assert found[0][1] == found[1][1], found
            for pattern, (seconds, _) in zip(patterns, found, strict=True):
                times[pattern].append(seconds)
    many, one = (median(times[pattern]) for pattern in patterns)
    print(f"{n_files:,} files of {ROWS} rows: {many:.2f} s; one file: {one:.2f} s")
    print(f"the files add {many - one:.2f} s; the first time {first[patterns[0]]:.2f} s")


if __name__ == "__main__":
    main()
