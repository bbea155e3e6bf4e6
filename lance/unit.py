"""Vectors of norm 1, in which a cosine is a product. Imports nothing of ours, so that all may."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Float = TypeVar("Float", np.float32, np.float64)


def unit_norm(vectors: NDArray[Float]) -> NDArray[Float]:
    """Vectors scaled to norm 1 along their last axis, (…, d), in the type that they come in.

    One of zeros becomes NaN, as one with a NaN stays; the squares of float16 would overflow.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        unit: NDArray[Float] = vectors / np.sqrt((vectors * vectors).sum(axis=-1, keepdims=True))
    return unit
