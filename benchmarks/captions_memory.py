"""Whether filter and words stay linear in time and bounded in memory as the rows grow.

    python benchmarks/captions_memory.py --rows 1000000 --rows 10000000 --memory-limit 1GB

Each stage runs once at each size in a process of its own, on two threads; the peak is of resident
memory (Linux only). What does not fit is spilled into the lake.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

import click

from memtriggers.benchmarks.laion_rows import cache_option, rows_in_cache
from memtriggers.benchmarks.memory import peak_megabytes
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.stamp import Stamp
from memtriggers.pipelines.core.study import Data, KeywordSet, Study

STAGES = ("filter", "words")


def run_stage(stage: str, folder: Path) -> None:
    sets = tuple(KeywordSet(word, (word,)) for word in ("van gogh", "astronaut", "museum"))
    study = Study(folder, Data(("*.parquet",)), sets)
    with tempfile.TemporaryDirectory(dir=folder.parent) as lake:
        started = time.perf_counter()
        import_module(f"memtriggers.pipelines.{stage}").run(study, Lake(Path(lake)), Stamp({}, {}))
        seconds = time.perf_counter() - started
    click.echo(json.dumps({"seconds": seconds, "peak": peak_megabytes() / 1024}))


def measure(stage: str, folder: Path, memory_limit: str) -> dict[str, float]:
    limits = {"MEMTRIGGERS_MEMORY_LIMIT": memory_limit, "MEMTRIGGERS_THREADS": "2"}
    command = [sys.executable, __file__, "--stage", stage, "--folder", str(folder)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **limits}
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


@click.command()
@click.option("--rows", "sizes", multiple=True, type=int, default=(1_000_000, 10_000_000))
@click.option("--memory-limit", default="1GB", show_default=True, help="DuckDB's.")
@cache_option
@click.option("--stage", hidden=True)
@click.option("--folder", type=click.Path(path_type=Path), hidden=True)
def main(
    sizes: tuple[int, ...], memory_limit: str, cache: Path, stage: str | None, folder: Path | None
) -> None:
    """Time filter and words at several sizes under a memory limit."""
    if stage is not None and folder is not None:
        return run_stage(stage, folder)
    click.echo(f"{'':8} {'rows':>12} {'seconds':>8} {'µs a row':>9} {'peak GB':>8}")
    for n_rows in sizes:
        for name in STAGES:
            result = measure(name, rows_in_cache(cache, n_rows), memory_limit)
            microseconds = result["seconds"] / n_rows * 1e6
            click.echo(
                f"{name:8} {n_rows:12,} {result['seconds']:8.1f} {microseconds:9.2f} "
                f"{result['peak']:8.2f}"
            )
    return None


if __name__ == "__main__":
    main()
