"""A cheap bound on the cosine of two vectors.

Rotate the unit vectors u and v so that the first k dimensions hold as much of them as they can
(PCA about zero). By Cauchy and Schwarz, <u, v> is at most the product over those plus the product
of the norms of what is left, which is one product of k + 1 dimensions: (u', |u''|) · (v', |v''|).
"""

import numpy as np
from scipy.linalg import eigh

from .edges import MARGIN, Vectors

STRIPE = 64  # rows whose bounds with a column are looked at together
WIDTHS = (32, 64, 96, 128, 192, 256)  # dimensions of a bound, the last for what is left
_SAMPLE = 4096  # rows from which the rotation is found, or the width; and rotated at once
_PADDING = 1e-5  # of a squared norm: more than float32 takes away from it
_GATHERED = 2.0  # a product with gathered columns costs as much as so many in a large block


def bounding(vectors: Vectors, floor: float) -> Vectors | None:
    """Vectors (n, k + 1) whose products are at least the cosines, to within MARGIN.

    None where the products of whole vectors are cheaper, as too many bounds reach the floor.

    Args:
        vectors: (n, d), rows of norm 1, near rows near each other.
        floor: the cosine that pairs are asked to reach.

    """
    axes = _principal_axes(vectors)
    best, cost = len(axes), 1.0  # of the whole products
    for width in WIDTHS:
        if width / len(axes) >= cost:
            break
        passing = _share_passing(vectors, axes[:, : width - 1], floor)
        if width / len(axes) + _GATHERED * passing < cost:
            best, cost = width, width / len(axes) + _GATHERED * passing
    return None if best == len(axes) else _bounding(vectors, axes[:, : best - 1])


def _principal_axes(vectors: Vectors) -> Vectors:
    """Orthonormal columns, (d, d), by how much of the vectors lies along each."""
    rows = np.random.default_rng(1).permutation(len(vectors))[:_SAMPLE]
    sample = vectors[rows].astype(np.float64)
    _, axes = eigh(sample.T @ sample)  # NumPy's takes seconds where other processes are busy
    return np.ascontiguousarray(axes[:, ::-1].astype(np.float32))


def _bounding(vectors: Vectors, axes: Vectors) -> Vectors:
    bounding = np.empty((len(vectors), axes.shape[1] + 1), np.float32)
    for start in range(0, len(vectors), _SAMPLE):
        part = slice(start, start + _SAMPLE)
        kept = vectors[part] @ axes
        left = 1 - np.einsum("ij,ij->i", kept, kept, dtype=np.float64)
        bounding[part, :-1] = kept
        bounding[part, -1] = np.sqrt(np.maximum(left, 0) + _PADDING)
    return bounding


def _share_passing(vectors: Vectors, axes: Vectors, floor: float) -> float:
    """The share of stripe × column whose bound reaches the floor, in a sample."""
    rows = np.random.default_rng(2).permutation(len(vectors))
    starts = np.sort(rows[: _SAMPLE // STRIPE // 2, None])
    stripes = (starts + np.arange(STRIPE)).ravel() % len(vectors)
    columns = _bounding(vectors[rows[-_SAMPLE // 2 :]], axes)
    products = _bounding(vectors[stripes], axes) @ columns.T
    highest = products.reshape(-1, STRIPE, len(columns)).max(axis=1)
    return float((highest >= floor - MARGIN).mean())
