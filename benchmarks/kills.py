"""Kills a refresh at random moments of every stage, lets it finish, and compares its tables.

    python benchmarks/kills.py --rounds 3

A round begins with an empty lake. In each stage in turn the refresh is killed, at a random moment
of the time that the stage takes undisturbed, and started again; one that is not killed follows,
and every table must be the one of a lake that was never disturbed.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.stages import STAGES

_SAMPLE = Path(__file__).resolve().parents[1] / "studies" / "openclipart.toml"
_OF_THE_RUN = {"build_info", "changes", "runs"}  # these tables say how they came about
_LOOK_EVERY = 0.005  # seconds
_TABLES = "select table_name from duckdb_tables() order by table_name"


def start(study: Path, lake: Lake) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "memtriggers", "refresh", "--study", str(study)]
    quiet = subprocess.DEVNULL
    return subprocess.Popen([*command, "--lake", str(lake.root)], stdout=quiet, stderr=quiet)


def finish(study: Path, lake: Lake) -> None:
    if start(study, lake).wait() != 0:
        raise click.ClickException(f"{lake.root}: the refresh failed")


def runs(lake: Lake) -> list[dict[str, Any]]:
    return [json.loads(file.read_text("utf-8")) for file in sorted(lake.runs.glob("*.json"))]


def seconds_of_stages(lake: Lake) -> dict[str, float]:
    moment = datetime.fromisoformat
    return {
        run["stage"]: (moment(run["finished_at"]) - moment(run["started_at"])).total_seconds()
        for run in runs(lake)
    }


def kill_in(study: Path, lake: Lake, stage: str, after: float) -> str:
    """Kill a refresh so many seconds after the stage has begun; returns where it was then."""
    process, pattern = start(study, lake), f"*-{stage}.json"
    n_before = len(list(lake.runs.glob(pattern)))
    while len(list(lake.runs.glob(pattern))) == n_before and process.poll() is None:
        time.sleep(_LOOK_EVERY)
    time.sleep(after)
    process.kill()
    if process.wait() == 0:
        return "nowhere: it had ended"
    last = runs(lake)[-1]
    return f"in {last['stage']}" if last["status"] == "running" else f"after {last['stage']}"


def tables(lake: Lake) -> dict[str, list[tuple[Any, ...]]]:
    names = [name for (name,) in lake.sql(_TABLES).fetchall()]
    return {
        name: lake.sql(f"from {name} order by all").fetchall()
        for name in names
        if name not in _OF_THE_RUN
    }


@click.command()
@click.option(
    "--study", type=click.Path(path_type=Path), default=_SAMPLE, help="[default: the sample]"
)
@click.option("--rounds", default=3, show_default=True, help="Each kills every stage once.")
@click.option("--seed", default=0, show_default=True)
def main(study: Path, rounds: int, seed: int) -> None:
    """Kill, finish and compare; say where the kills fell."""
    chance, fell = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        undisturbed = Lake(Path(folder) / "undisturbed")
        finish(study, undisturbed)
        seconds, expected = seconds_of_stages(undisturbed), tables(undisturbed)
        for number in range(rounds):
            killed = Lake(Path(folder) / f"killed {number}")
            for stage in STAGES:
                fell[kill_in(study, killed, stage, chance.uniform(0, seconds[stage]))] += 1
            finish(study, killed)
            differing = [name for name, rows in tables(killed).items() if rows != expected[name]]
            if differing:
                raise click.ClickException(f"round {number}: other rows in {', '.join(differing)}")
    click.echo("\n".join(f"{n:3} killed {where}" for where, n in fell.items()))
    click.echo(f"{len(expected)} tables are the same as undisturbed, {rounds} times")


if __name__ == "__main__":
    main()
