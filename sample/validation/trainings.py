"""The trainings of the study: which rows each of them sees, with which seed, and its model."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from ...pipelines.lake import replacing
from ..diffusion import as_pipeline
from ..train_diffusion import AutoencoderRecipe, Recipe, read_rows, train_autoencoder, train_unet
from .arms import ARMS
from .lakes import VIEWS, Asked

PIXELS = 32
SEEDS = (1, 2)  # the recipe was chosen with others
NOTHING = "nothing"  # was done to the rows
N_ROWS_OUT = 400  # that every way to curate removes, or changes
ARM_PROMPTS = ("words", "held_out", "utility")
RISK_FIT = "risk_fit.json"


@dataclass(frozen=True)
class Run:
    """One training: what was done to the rows, and the seed."""

    arm: str
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.arm}-{self.seed}"


BASES = tuple(Run(NOTHING, seed) for seed in SEEDS)
CURATED = tuple(Run(arm, SEEDS[0]) for arm in ARMS)


def asked_of(run: Run, plants: Path, folder: Path) -> Asked:
    """Where a run is measured, and what its model is asked."""
    own, fit = folder / run.name, folder / RISK_FIT
    if run.arm != NOTHING:
        return Asked(plants, own, PIXELS, ARM_PROMPTS, is_curated=True)
    return Asked(plants, own, PIXELS, risk_fit=fit if fit.exists() else None)


def train(run: Run, plants: Path, folder: Path) -> Asked:
    """Write the rows that a run sees, and its model, where they are missing.

    Every run trains as many steps, with the autoencoder of the whole rows.
    """
    base, asked = (asked_of(one, plants, folder) for one in (BASES[0], run))
    asked.folder.mkdir(parents=True, exist_ok=True)
    if not asked.rows.exists():
        with replacing(asked.rows) as unfinished:
            pq.write_table(_curated(run, base), unfinished, compression="zstd")
    if not (asked.model / "model_index.json").exists():
        _train(run, base, asked, folder / "autoencoder.pt")
    return asked


def _curated(run: Run, base: Asked) -> pa.Table:
    """The lake of the whole rows says what is removed."""
    whole = pq.read_table(base.plants / "planted.parquet")
    return whole if run.arm == NOTHING else ARMS[run.arm](whole, base, N_ROWS_OUT)


def _train(run: Run, base: Asked, asked: Asked, checkpoint: Path) -> None:
    whole, rows = read_rows(base.rows, PIXELS), read_rows(asked.rows, PIXELS)
    autoencoder = train_autoencoder(AutoencoderRecipe(PIXELS), whole.pixels, checkpoint)
    recipe = Recipe(PIXELS, run.seed, VIEWS, VIEWS * len(whole.captions) // Recipe.batch)
    trained = train_unet(recipe, rows, autoencoder, asked.folder / "unet.pt")
    unfinished = asked.model.with_suffix(".tmp")
    as_pipeline(autoencoder, *trained).to(torch.float16).save_pretrained(unfinished)
    unfinished.replace(asked.model)


def runs() -> Iterator[Run]:
    """The rows as they are with every seed, then every way to curate them with the first."""
    yield from BASES
    yield from CURATED
