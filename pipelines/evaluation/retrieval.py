"""How often a caption finds its image among all of them, and an image its caption."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..clusters.edges import Vectors

RANKS = (1, 5, 10)
_BLOCK_ROWS = 1024


@dataclass(frozen=True)
class Retrieval:
    """The share of queries that find an own one among the k most similar, and that by chance."""

    direction: str
    k: int
    recall: float
    chance: float


def retrieval(images: Vectors, texts: Vectors, captions: list[str]) -> list[Retrieval]:
    """Both directions at each of `RANKS`.

    Images whose captions are the same text are hits for each other; ties count against the model.

    Args:
        images: (n, d) float32 of unit norm.
        texts: (n, d) float32 of unit norm; row i is the caption of image i.
        captions: n texts.

    """
    group = np.unique(captions, return_inverse=True)[1]
    found = []
    for direction, queries, items in (
        ("text to image", texts, images),
        ("image to text", images, texts),
    ):
        n_before = _rivals(queries, items, group)
        found += [
            Retrieval(direction, k, float((n_before < k).mean()), _chance(group, k)) for k in RANKS
        ]
    return found


def _rivals(queries: Vectors, items: Vectors, group: NDArray[np.intp]) -> NDArray[np.int64]:
    """How many items of other captions are at least as similar as the best of the own, (n,)."""
    n_before = []
    for start in range(0, len(queries), _BLOCK_ROWS):
        part = slice(start, start + _BLOCK_ROWS)
        cosine = queries[part] @ items.T
        own = group[part][:, None] == group[None, :]
        best = np.where(own, cosine, -np.inf).max(axis=1, keepdims=True)
        n_before.append(((cosine >= best) & ~own).sum(axis=1))
    return np.concatenate(n_before)


def _chance(group: NDArray[np.intp], k: int) -> float:
    """The mean probability that k of n drawn without return hold one of the own g."""
    n, g = len(group), np.bincount(group)[group]
    missed = np.ones(n)
    for drawn in range(min(k, n)):
        missed *= np.maximum(n - g - drawn, 0) / (n - drawn)
    return float(1 - missed.mean())
