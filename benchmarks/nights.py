"""Twenty nights of a dataset that changes by chance: each refresh must say what a new lake says.

    python benchmarks/nights.py --nights 20 --seed 0

Four datasets (images in a column, in a folder and in tars; imported vectors) take turns. Before
each night a few things happen to one of them: files come, go, are renamed or written again, images
and captions are replaced, keyword sets and thresholds change, a clock is wrong. Some refreshes are
killed and started again, and some have a reader that holds the published file open. Then every
table, image and vector must be that of a lake that was made from what is there, and another refresh
must have nothing to do. `changing.py` says what happens, `same_lakes.py` what is compared.
"""

import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import duckdb

from memtriggers.benchmarks.changing import Dataset
from memtriggers.benchmarks.kinds import KINDS
from memtriggers.benchmarks.same_lakes import differences
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study_file import load_study
from memtriggers.pipelines.stages import STAGES
from memtriggers.pipelines.upkeep.refresh import refresh_lake
from memtriggers.tests import warm
from memtriggers.tests.forked_workers import fork_workers

_MOST_CHANGES = 4  # a night
_KILLED = _HELD = 0.25  # of the nights
_LONGEST_WAIT = 2.0  # seconds after a stage has begun, before it is killed
_STAGES = [name for name, stage in STAGES.items() if not stage.sections]  # that a study runs
_LOOK_EVERY = 0.01  # seconds
_WELL = (0, 4)  # exit codes: done, and done with a warning of what was lost
_NOTHING = "nothing to do: every stage is up to date"


class World:
    """A dataset and its lake, night after night."""

    def __init__(self, kind: str, folder: Path, seed: int) -> None:
        folder.mkdir()
        self.kind, self.folder = kind, folder
        self.chance = random.Random(f"{seed} {kind}")
        self.dataset: Dataset = KINDS[kind](folder, self.chance)
        self.lake = Lake(folder / "lake")
        self.refresh(self.lake)

    def night(self) -> tuple[str, list[str]]:
        """One night; returns what happened, and what is wrong after it."""
        happened = [self.dataset.change() for _ in range(self.chance.randint(1, _MOST_CHANGES))]
        is_killed, is_held = self.chance.random() < _KILLED, self.chance.random() < _HELD
        stage, wait = self.chance.choice(_STAGES), self.chance.uniform(0, _LONGEST_WAIT)
        with _reader(self.lake) if is_held else _nobody():
            if is_killed:
                happened.append(self._kill_in(stage, wait))
            self.refresh(self.lake)
        if is_held:
            happened.append("a reader")
        wrong = (
            [] if (said := self.refresh(self.lake)).startswith(_NOTHING) else [f"  again: {said}"]
        )
        return "; ".join(happened), wrong + self._differences()

    def refresh(self, lake: Lake) -> str:
        """Refresh as a scheduler does; returns the last line."""
        done = subprocess.run(self._command(lake), capture_output=True, text=True)
        if done.returncode not in _WELL:
            raise click.ClickException(f"{self.kind}: the refresh failed: {done.stderr.strip()}")
        return done.stdout.strip().splitlines()[-1]

    def _command(self, lake: Lake) -> list[str]:
        command = [sys.executable, "-m", "memtriggers", "refresh"]
        return [*command, "--study", str(self.folder / "study.toml"), "--lake", str(lake.root)]

    def _kill_in(self, stage: str, wait: float) -> str:
        """Kill a refresh so long after a stage has begun, where it does; returns where it was."""
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(self._command(self.lake), stdout=quiet, stderr=quiet)
        n_before = len(self._runs(stage))
        while len(self._runs(stage)) == n_before and process.poll() is None:
            time.sleep(_LOOK_EVERY)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        if process.wait() != -signal.SIGKILL:
            return f"killed too late in {stage}"
        last = json.loads(self._runs("*")[-1].read_text("utf-8"))
        return f"killed {'in' if last['status'] == 'running' else 'after'} {last['stage']}"

    def _runs(self, stage: str) -> list[Path]:
        return sorted(self.lake.runs.glob(f"*-{stage}.json"))

    def _differences(self) -> list[str]:
        """What a lake that is made now says otherwise; then it takes the place of this one."""
        new = Lake(self.folder / "from scratch")
        study = load_study(self.folder / "study.toml")
        with new.lock():  # in this process, where workers and dbt are forked: half the time
            refresh_lake(study, new, lambda run: None)
        wrong = differences(self.lake, new)
        if wrong:  # or every night after this one would say the same
            shutil.rmtree(self.lake.root)
            new.root.rename(self.lake.root)
        else:
            shutil.rmtree(new.root)
        return wrong


@contextmanager
def _reader(lake: Lake) -> Iterator[None]:
    """Hold the published file open: what it says must stay the same for who has opened it."""
    with duckdb.connect(str(lake.current.resolve()), read_only=True) as connection:
        before = connection.execute("from samples order by all").fetchall()
        yield
        assert connection.execute("from samples order by all").fetchall() == before


@contextmanager
def _nobody() -> Iterator[None]:
    yield


def run_nights(folder: Path, nights: int, seed: int, kinds: tuple[str, ...]) -> Iterator[list[str]]:
    """Let nights pass, and say of each what happened; yields what is wrong after it."""
    worlds: list[World] = []
    for number in range(nights):
        started = time.monotonic()
        if number < len(kinds):
            worlds.append(World(kinds[number], folder / kinds[number], seed))
        world = worlds[number % len(kinds)]
        happened, wrong = world.night()
        seconds = time.monotonic() - started
        outcome = "the same" if not wrong else "NOT the same"
        click.echo(f"night {number + 1:2} {world.kind:7} {seconds:3.0f} s: {outcome}: {happened}")
        for text in wrong:
            click.echo(text)
        yield wrong


@click.command()
@click.option("--nights", default=20, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--kind", "kinds", multiple=True, type=click.Choice(list(KINDS)), help="[all]")
def main(nights: int, seed: int, kinds: tuple[str, ...]) -> None:
    """Let nights pass, and compare after each."""
    warm.ask_for_dbt()
    fork_workers()
    with warm.new_folder(), tempfile.TemporaryDirectory() as folder:
        wrong = sum(map(bool, run_nights(Path(folder), nights, seed, kinds or tuple(KINDS))))
    click.echo(f"{nights} nights, seed {seed}: {nights - wrong} the same as from scratch")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
