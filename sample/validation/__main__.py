"""Trains the models of the study, measures them, and writes its tables: hours, resumable.

    python -m memtriggers.sample.validation FOLDER

FOLDER, outside the tree, holds checkpoints, models and a lake a run. What is finished is not done
again. The tables go to `results/` beside this file, or to --out.
"""

import argparse
from pathlib import Path

import pyarrow as pa
import torch

from ..data import HERE
from .lakes import GUIDANCE, run
from .rates import read_generated
from .results import as_table, write_results
from .risk import count_copies, fit_risk
from .trainings import BASES, CURATED, RISK_FIT, asked_of, train

RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    """Read the command line and do what is not done yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--plants", type=Path, default=HERE / "planted")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    plants, folder = arguments.plants, arguments.folder
    for base in BASES:
        asked = train(base, plants, folder)
        for guidance_scale in GUIDANCE:
            run(asked, guidance_scale)
    if not (folder / RISK_FIT).exists():
        _fit(plants, folder)
    for curated in CURATED:
        run(train(curated, plants, folder), GUIDANCE[0])
    write_results(plants, folder, arguments.out)


def _fit(plants: Path, folder: Path) -> None:
    """Fit the risk to what the whole rows gave back, and publish it in the lake that removes."""
    images = pa.concat_tables(
        as_table(base, read_generated(asked_of(base, plants, folder))) for base in BASES
    )
    fit_risk(count_copies(plants, images), folder / RISK_FIT)
    run(asked_of(BASES[0], plants, folder), GUIDANCE[0])


if __name__ == "__main__":
    main()
