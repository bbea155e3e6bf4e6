"""Trains the models of the study and measures them: hours, resumable at any point.

    python -m memtriggers.sample.validation FOLDER

FOLDER, outside the tree, holds checkpoints, models and a lake a run. What is finished is not done
again.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import torch

from ..data import HERE
from ..diffusion import as_pipeline
from ..train_diffusion import AutoencoderRecipe, Recipe, read_rows, train_autoencoder, train_unet
from .arms import ARMS
from .lakes import GUIDANCE, Asked, run

PIXELS = 32
SEEDS = (0, 1)  # of training
N_ROWS_OUT = 400  # that every way to curate removes, or changes
ARM_PROMPTS = ("words", "held_out")
NOTHING = "nothing"


@dataclass(frozen=True)
class Run:
    """One training: what was done to the rows, and the seed."""

    arm: str
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.arm}-{self.seed}"


def runs() -> Iterator[Run]:
    """The rows as they are with every seed, then every way to curate them with the first."""
    yield from (Run(NOTHING, seed) for seed in SEEDS)
    yield from (Run(arm, SEEDS[0]) for arm in ARMS)


def asked_of(one: Run, plants: Path, folder: Path) -> Asked:
    """Where a run is measured, and what its model is asked."""
    own = folder / one.name
    if one.arm == NOTHING:
        return Asked(plants, own, plants / "planted.parquet", own / "model", PIXELS)
    return Asked(plants, own, own / "rows.parquet", own / "model", PIXELS, ARM_PROMPTS)


def curate(one: Run, asked: Asked, base: Asked) -> None:
    """Write the rows that the run sees; the lake of the whole rows says what is removed."""
    if one.arm != NOTHING and not asked.rows.exists():
        asked.folder.mkdir(parents=True, exist_ok=True)
        whole = pq.read_table(base.rows)
        pq.write_table(ARMS[one.arm](whole, base, N_ROWS_OUT), asked.rows, compression="zstd")


def train(one: Run, asked: Asked, base: Asked, folder: Path) -> None:
    """Every run trains as many steps, with the autoencoder of the whole rows."""
    if (asked.model / "model_index.json").exists():
        return
    whole, rows = read_rows(base.rows, PIXELS), read_rows(asked.rows, PIXELS)
    n_steps = Recipe.views * len(whole.captions) // Recipe.batch
    autoencoder = train_autoencoder(
        AutoencoderRecipe(PIXELS), whole.pixels, folder / "autoencoder.pt"
    )
    recipe = Recipe(PIXELS, one.seed, steps=n_steps)
    trained = train_unet(recipe, rows, autoencoder, asked.folder / "unet.pt")
    as_pipeline(autoencoder, *trained).to(torch.float16).save_pretrained(asked.model)


def main() -> None:
    """Read the command line and do what is not done yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--plants", type=Path, default=HERE / "planted")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    base = asked_of(Run(NOTHING, SEEDS[0]), arguments.plants, arguments.folder)
    for one in runs():
        asked = asked_of(one, arguments.plants, arguments.folder)
        asked.folder.mkdir(parents=True, exist_ok=True)
        curate(one, asked, base)
        train(one, asked, base, arguments.folder)
        for guidance_scale in GUIDANCE if one.arm == NOTHING else GUIDANCE[:1]:
            run(asked, guidance_scale)


if __name__ == "__main__":
    main()
