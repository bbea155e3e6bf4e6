"""Whether a prompt gives the same image again and again: how alike its generations are."""

import numpy as np

from ..clusters.edges import MARGIN, Vectors
from .cliques import largest_clique

PAIR_COSINE, LARGEST_CLIQUE = "clip_pair_cosine_mean", "clip_largest_clique"

Found = dict[str, tuple[float, float | None]]


def consistency(unit: Vectors, threshold: float) -> Found:
    """By detector, a score and the most that it may be, where it is a bound.

    The mean cosine of all pairs of a prompt's generations, and how many of them are at least one
    pair's `threshold` alike, all with all: the largest clique, which N. Carlini et al. (2023) take
    for a sign of memorization from 10 of 500 on.

    Args:
        unit: (n, d) float32 of norm 1, at least two.
        threshold: a cosine; pairs within 1e-5 below count.

    """
    cosine = unit.astype(np.float64) @ unit.T.astype(np.float64)
    pairs = cosine[np.triu_indices(len(unit), 1)]
    clique = largest_clique(cosine >= threshold - MARGIN)
    return {
        PAIR_COSINE: (float(pairs.mean()), None),
        LARGEST_CLIQUE: (float(len(clique.members)), float(clique.upper_bound)),
    }
