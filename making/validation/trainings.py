"""The runs of the study: which rows each of them trains on, with which seed, and its model."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from ...pipelines.core.lake import replacing
from ..bundled import SAMPLE
from ..diffusion_model import as_pipeline
from ..plant import SHARE, WORD_LEVEL
from ..train_diffusion import AutoencoderRecipe, Recipe, read_rows, train_autoencoder, train_unet
from .arms import ARMS
from .lakes import N_SEEDS, VIEWS, Asked, Scanned

PIXELS = 32
NOTHING = "nothing"  # was done to the rows
COMMITTED = SAMPLE / "diffusion"
COMMON_PROMPTS = ("words", "held_out", "utility")  # that every run is asked


@dataclass(frozen=True)
class Run:
    """One training: what was done to the rows, and the seed."""

    arm: str
    seed: int
    n_rows: int | None = None  # that are removed or changed; None: as many as the arm finds
    pixels: int = PIXELS

    @property
    def name(self) -> str:
        """Of its folder."""
        if self.arm != NOTHING:
            return f"{self.arm}-{self.n_rows or 'all'}-{self.seed}"
        return f"{self.arm}-{self.pixels}-{self.seed}"


# The recipe was chosen with other seeds.
BASES = tuple(Run(NOTHING, seed) for seed in (1, 2))
LARGER = Run(NOTHING, 0, pixels=64)  # the model that comes along
CURATED = tuple(
    Run(arm, 1, n_rows)
    for arm, n_rows in (
        ("trigger", 400),
        ("cosine", 400),
        ("exact_hash", 400),
        ("random", 400),
        ("reweighted", None),
        ("varied", 400),
        ("trigger", 200),
        ("exact_hash", None),
        ("cosine", 800),
        ("cosine", 1200),
        ("cosine", None),
        ("random", 1200),
    )
)
RUNS = (*BASES, LARGER, *CURATED)


def scanned_of(plants: Path, folder: Path) -> Scanned:
    """The whole rows, as a curator scans them."""
    return Scanned(plants, folder / "scan")


def asked_of(run: Run, plants: Path, folder: Path) -> Asked:
    """Where a run is measured, and what its model is asked."""
    own = folder / run.name
    if run == LARGER:
        return Asked(
            plants, own, run.pixels, COMMON_PROMPTS, n_seeds=N_SEEDS // 2, trained=COMMITTED
        )
    if run in BASES:
        return Asked(plants, own, run.pixels, n_seeds=N_SEEDS)
    kinds = (WORD_LEVEL, SHARE)
    return Asked(plants, own, run.pixels, COMMON_PROMPTS, kinds, N_SEEDS // 2, is_curated=True)


def train(run: Run, plants: Path, folder: Path) -> Asked:
    """Write the rows that a run sees, and its model, where they are missing.

    Every run trains as many steps, with the autoencoder of the whole rows.
    """
    asked, scanned = asked_of(run, plants, folder), scanned_of(plants, folder)
    asked.folder.mkdir(parents=True, exist_ok=True)
    if not asked.rows.exists():
        with replacing(asked.rows) as unfinished:
            pq.write_table(_curated(run, scanned), unfinished, compression="zstd")
    if not (asked.model / "model_index.json").exists():
        _train(run, asked, folder / "autoencoder.pt")
    return asked


def _curated(run: Run, scanned: Scanned) -> pa.Table:
    """The lake of the whole rows says what is removed."""
    whole = pq.read_table(scanned.plants / "planted.parquet")
    return whole if run.arm == NOTHING else ARMS[run.arm](whole, scanned, run.n_rows)


def _train(run: Run, asked: Asked, checkpoint: Path) -> None:
    whole, rows = (
        read_rows(path, run.pixels) for path in (asked.plants / "planted.parquet", asked.rows)
    )
    autoencoder = train_autoencoder(AutoencoderRecipe(run.pixels), whole.pixels, checkpoint)
    n_steps = VIEWS * len(whole.captions) // Recipe.batch
    recipe = Recipe(run.pixels, run.seed, VIEWS, n_steps)
    trained = train_unet(recipe, rows, autoencoder, asked.folder / "unet.pt")
    unfinished = asked.model.with_suffix(".tmp")
    as_pipeline(autoencoder, *trained).to(torch.float16).save_pretrained(unfinished)
    unfinished.replace(asked.model)
