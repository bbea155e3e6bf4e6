"""Trains the models of the study, measures them, and writes its tables: hours, resumable.

    python -m memtriggers.making.validation FOLDER

FOLDER, outside the tree, holds checkpoints, models and a lake a run. The tables go to
FOLDER/results, or to --out; a run that has its tables there is not done again. One run takes one
core: --run names some of them, for another process or another machine.
"""

import argparse
import fcntl
import shutil
from pathlib import Path

import torch

from ...pipelines.core.lake import replacing
from ..bundled import SAMPLE
from .lakes import GUIDANCE, run, scan
from .tables import RISK_FIT, is_written, write_fit, write_mitigation, write_run
from .trainings import BASES, LARGER, RUNS, Run, scanned_of, train


def main() -> None:
    """Read the command line and do what is not done yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--plants", type=Path, default=SAMPLE / "planted")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--run", action="append", choices=[run.name for run in RUNS])
    arguments = parser.parse_args()
    # With another number of threads the weights come out another way.
    torch.set_num_threads(1)
    plants, folder = arguments.plants, arguments.folder
    study = Validation(plants, folder, arguments.out or folder / "results")
    for one in RUNS:
        if arguments.run is None or one.name in arguments.run:
            study.do(one)
    study.conclude()


class Validation:
    """Where the rows, the work and the results of the study are."""

    def __init__(self, plants: Path, folder: Path, out: Path) -> None:
        self.plants, self.folder, self.out = plants, folder, out
        self.scanned = scanned_of(plants, folder)

    def do(self, one: Run) -> None:
        """Train a run, ask it, and write what it gave back, where that is not there yet."""
        if is_written(one, self.out):
            return
        if one not in (*BASES, LARGER):
            self.conclude()  # what is removed depends on the risk
        self.scan()
        asked = train(one, self.plants, self.folder)
        for guidance_scale in GUIDANCE if one in BASES else GUIDANCE[:1]:
            run(asked, guidance_scale)
        write_run(one, asked, self.scanned, self.out)

    def scan(self) -> None:
        """Scan the whole rows, with the risk of their words once it is fitted."""
        self.scanned.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "scan.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be about to do the same
            if not self.scanned.rows.exists():
                with replacing(self.scanned.rows) as unfinished:
                    shutil.copyfile(self.plants / "planted.parquet", unfinished)
            fit = self.out / RISK_FIT
            scan(self.scanned, fit if fit.exists() else None)

    def conclude(self) -> None:
        """Write the tables that follow from several runs, once the whole rows have theirs."""
        if all(is_written(one, self.out) for one in BASES):
            write_fit(self.plants, self.out)
            write_mitigation(self.plants, self.out)


if __name__ == "__main__":
    main()
