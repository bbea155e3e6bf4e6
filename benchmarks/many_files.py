"""What the number of files adds to a stage: the same rows in many parquet files, and in one.

    python benchmarks/many_files.py                  # 4,000 files
    python benchmarks/many_files.py --files 41455    # as many as LAION-2B-en has tars

Whole commands, each in a process of its own: `init`, then `filter` and `words` in a new lake, which
hash the files and read what they say of themselves, and both again. The tables must be equal.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 50  # in a file
STUDY = """
[data]
rows = "{rows}"
[[keyword_set]]
name = "stars"
include = ["star", "77"]
"""
STAGES = ("filter", "words")
# What the stages write, but for the files' names and the rows' places in them.
TABLES = {
    "samples/samples": "* exclude (source_file, source_row)",
    "rejected/rejected_rows": "* exclude (source_file, source_row)",
    "words/words": "*",
    "words/bigrams": "*",
}


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


def run(folder: Path, *arguments: str) -> float:
    """Run a command as a user does; returns its seconds."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "memtriggers", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


def measure(folder: Path, name: str, rows: str) -> dict[str, float]:
    """The seconds of each command over some rows, in a lake that is new, and again."""
    (folder / f"{name}.toml").write_text(STUDY.format(rows=rows))
    shutil.rmtree(folder / f"{name}-lake", ignore_errors=True)
    init = ("init", rows, "--keyword", "star", "--output", "init.toml", "--force")
    seconds = {"init": run(folder, *init)}
    for when in ("first", "again"):
        for stage in STAGES:
            arguments = (stage, "--study", f"{name}.toml", "--lake", f"{name}-lake")
            seconds[f"{stage}, {when}"] = run(folder, *arguments)
    return seconds


def require_same_tables(folder: Path) -> None:
    """Stop where the two lakes differ."""
    for table, columns in TABLES.items():
        one, many = (
            f"(select {columns} from '{folder}/{name}-lake/{table}.parquet')"
            for name in ("one", "many")
        )
        query = f"select count(*) from ({one} except all {many} union all {many} except all {one})"
        different = duckdb.execute(query).fetchone()
        assert different == (0,), f"{table}: {different} rows differ"


def main() -> None:
    """Measure, and print what one can compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=4_000)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    places = {"many": "many/*.parquet", "one": "one.parquet"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, options.files)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in places}
        for _ in range(options.times):
            for name, rows in places.items():
                found[name].append(measure(folder, name, rows))
        require_same_tables(folder)
    print(f"{options.files:,} files of {ROWS} rows, and one file; seconds, medians in turn")
    print(f"{'command':16}{'many':>8}{'one':>8}{'added':>8}")
    for command in found["one"][0]:
        many, one = (median(times[command] for times in found[name]) for name in places)
        print(f"{command:16}{many:8.2f}{one:8.2f}{many - one:8.2f}")


if __name__ == "__main__":
    main()
