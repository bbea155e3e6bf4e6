"""doctor: what this machine has, and what a study of N rows will need, from measured rates."""

import shutil
from datetime import datetime
from importlib.util import find_spec
from typing import Any

import click

from ...lance.store import VectorStore
from ..clusters.cells import EXACT_ROWS
from ..core.cores import count_cores
from ..core.lake import Lake
from ..core.packaged_extensions import find_extension
from ..core.runs import installed_versions
from ..core.terminal import print_table

_GB = 1e9


def print_doctor(lake: Lake, rows: int) -> None:
    """Print the machine, and for each stage the time and space of `rows` rows of its own.

    The rates are those of the largest run of each stage in this lake, on whatever made it.

    Raises:
        LakeError: the lake is of an older format.

    """
    lake.require_today()
    print_table(["what", "here"], [*_machine(), ("free disk", _free_disk(lake))])
    click.echo()
    times, spaces = estimate_times(lake, rows), estimate_spaces(lake, rows)
    if not times:
        click.echo(
            f"{lake.root}: no run to measure yet; memtriggers demo makes some: "
            "memtriggers doctor --lake memtriggers-demo"
        )
        return
    print_table(["stage", "rows measured", "rows/s", f"seconds for {rows:,}"], times)
    click.echo()
    print_table(["table", "bytes a row", f"GB for {rows:,}"], spaces)


def estimate_times(lake: Lake, rows: int) -> list[tuple[str, str, str, str]]:
    """A stage, the rows of its largest run, rows a second, and seconds for `rows` rows."""
    largest: dict[str, dict[str, Any]] = {}
    for run in lake.recorded_runs():
        before = largest.get(run["stage"], {"n_in": 0})
        if run["status"] == "ok" and run["n_in"] > before["n_in"]:
            largest[run["stage"]] = run
    return [_time(run, rows) for run in largest.values()]


def _time(run: dict[str, Any], rows: int) -> tuple[str, str, str, str]:
    started, finished = map(datetime.fromisoformat, (run["started_at"], run["finished_at"]))
    seconds = (finished - started).total_seconds()
    factor = _work(run["stage"], rows) / _work(run["stage"], run["n_in"])
    rate = run["n_in"] / seconds
    return run["stage"], f"{run['n_in']:,}", f"{rate:,.0f}", f"{seconds * factor:,.0f}"


def _work(stage: str, rows: int) -> float:
    """What a stage does for so many rows, in a unit of its own."""
    if stage != "cluster":
        return rows
    # All pairs are compared as long as that is feasible; past it, fewer a row than there.
    return min(rows, EXACT_ROWS) * rows


def estimate_spaces(lake: Lake, rows: int) -> list[tuple[str, str, str]]:
    """A table of the vector store, its bytes a row, and GB for `rows` rows."""
    store, spaces = VectorStore(lake.vectors), []
    for folder in sorted(lake.vectors.glob("*.lance")):
        if n_rows := store.count(folder.stem):
            n_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            each = n_bytes / n_rows
            spaces.append((folder.stem, f"{each:,.0f}", f"{each * rows / _GB:,.2f}"))
    return spaces


def _machine() -> list[tuple[str, str]]:
    versions = [f"{name} {version}" for name, version in installed_versions().items()]
    return [
        ("cores", str(count_cores())),
        ("GPUs", _gpus()),
        ("versions", ", ".join(versions)),
        ("DuckDB extension lance", _lance_extension()),
    ]


def _lance_extension() -> str:
    if find_extension("lance") is not None:
        return "installed"
    return "none for this DuckDB; sql reads the vector store through Arrow"


def _gpus() -> str:
    if find_spec("torch") is None:
        return "unknown without torch; install: pip install 'memtriggers[embed]'"
    import torch

    if torch.cuda.is_available():
        return ", ".join(torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count()))
    if torch.backends.mps.is_available():
        return "Apple's (mps); cluster runs on the CPU"
    return "none: models run on the CPU"


def _free_disk(lake: Lake) -> str:
    root = lake.root.absolute()
    folder = next(path for path in (root, *root.parents) if path.exists())
    return f"{shutil.disk_usage(folder).free / _GB:,.0f} GB at {folder}"
