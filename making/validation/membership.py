"""Membership inference: whether the loss of a row says that the model was trained on it."""

from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import torch
from diffusers import StableDiffusionPipeline

from ..diffusion_model import Part, new_scheduler
from ..train_diffusion import Rows, encode_all, read_rows, tokenize
from .lakes import Asked

_TIMES = (100, 250, 400, 550, 700)  # of 1,000: neither the picture itself nor noise alone
_N_NOISES = 2  # at each
_BATCH = 128


Losses = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Inference:
    """How well rows that a model was trained on are told from rows that look alike."""

    n_copies: int  # that their image has; 0: it has none
    n_members: int
    auc: float
    true_positives: float  # at 1 % false positives


def infer_membership(asked: Asked) -> Iterator[Inference]:
    """By the number of copies: members have a smaller loss than the rows that no model sees.

    Of the planted rows: those that no model sees are drawn alike.
    """
    pipeline = StableDiffusionPipeline.from_pretrained(asked.model, dtype=torch.float32)
    members, others = (
        -losses(pipeline, read_rows(path, asked.pixels))
        for path in (asked.rows, asked.plants / "unseen.parquet")
    )
    n_copies = _copies_of_rows(asked)
    for n in np.unique(n_copies[n_copies >= 0]):
        of_dose = members[n_copies == n]
        yield Inference(int(n), len(of_dose), *told_apart(of_dose, others))


def _copies_of_rows(asked: Asked) -> npt.NDArray[np.int64]:
    """Of each row of the run, in their order; -1 for the background, which looks otherwise."""
    found = duckdb.execute(
        """
        select case
            when role = 'background' then -1
            when role in ('exact', 'variant') then n_copies
            else 0
        end as n_copies
        from read_parquet($rows, file_row_number = true) as rows
        join read_csv($facts) using (url)
        left join read_csv($groups) using (group_id)
        order by file_row_number
        """,
        {
            "rows": str(asked.rows),
            "facts": str(asked.plants / "rows.csv"),
            "groups": str(asked.plants / "groups.csv"),
        },
    ).fetchnumpy()
    n_copies: npt.NDArray[np.int64] = found["n_copies"].astype(np.int64)
    return n_copies


@torch.no_grad()
def losses(pipeline: Part, rows: Rows, seed: int = 0) -> Losses:
    """The mean loss of every row over fixed times and noises, (n,).

    The same noises for all rows: what differs is the row.
    """
    scale, scheduler = pipeline.vae.config.scaling_factor, new_scheduler()
    latents = (encode_all(pipeline.vae, rows.pixels) * scale)[rows.image]
    tokens = tokenize(rows.captions)
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(len(latents), dtype=torch.float64)
    for time in [time for time in _TIMES for _ in range(_N_NOISES)]:
        noise = torch.randn(latents[:1].shape, generator=generator)
        for start in range(0, len(latents), _BATCH):
            part = slice(start, start + _BATCH)
            clean, times = latents[part], torch.full((len(latents[part]),), time)
            noises = noise.expand_as(clean)
            context = pipeline.text_encoder(tokens[part]).last_hidden_state
            noisy = scheduler.add_noise(clean, noises, times)
            target = scheduler.get_velocity(clean, noises, times)
            error = (pipeline.unet(noisy, times, context).sample - target) ** 2
            total[part] += error.flatten(1).mean(dim=1).double()
    mean: Losses = (total / (len(_TIMES) * _N_NOISES)).numpy()
    return mean


def told_apart(members: Losses, others: Losses) -> tuple[float, float]:
    """By a score that is larger for members, (n,) and (m,).

    Returns:
        The area under the ROC curve, and the true positives at 1 % false positives.

    """
    ordered = np.sort(others)
    below = np.searchsorted(ordered, members, side="left")
    upto = np.searchsorted(ordered, members, side="right")
    auc = float((below + upto).mean() / (2 * len(others)))
    limit = ordered[int(np.ceil(0.99 * len(ordered))) - 1]
    return auc, float((members > limit).mean())
