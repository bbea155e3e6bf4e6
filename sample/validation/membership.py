"""Membership inference: whether the loss of a row says that the model was trained on it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ..diffusion import Part, new_scheduler
from ..train_diffusion import Rows, encode_all, tokenize

_TIMES = (100, 250, 400, 550, 700)  # of 1,000: neither the picture itself nor noise alone
_N_NOISES = 2  # at each
_BATCH = 128


@torch.no_grad()
def losses(pipeline: Part, rows: Rows, seed: int = 0) -> npt.NDArray[np.float64]:
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
    mean: npt.NDArray[np.float64] = (total / (len(_TIMES) * _N_NOISES)).numpy()
    return mean


@dataclass(frozen=True)
class Inference:
    """How well members are told from others by a score that is larger for members."""

    n_members: int
    auc: float
    true_positives: float  # at 1 % false positives


def infer(members: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> Inference:
    """Of scores of members and of others, (n,) and (m,)."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, members, side="left")
    upto = np.searchsorted(ordered, members, side="right")
    auc = float((below + upto).mean() / (2 * len(others)))
    limit = ordered[min(len(ordered) - 1, int(np.ceil(0.99 * len(ordered))) - 1)]
    return Inference(len(members), auc, float((members > limit).mean()))
