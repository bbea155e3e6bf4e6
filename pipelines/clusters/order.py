"""An order of vectors in which near ones are near each other, and a first few near pairs."""

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import leaves_list, linkage

from .edges import Edges, Rows, Vectors, concatenated

ROWS_A_PIVOT = 64  # then the products with pivots are 1 / 32 of all
MOST_PIVOTS = 4096  # their tree takes the square of it
_PART = 4096  # rows whose products with the pivots are there at once


def ordered(vectors: Vectors, is_new: npt.NDArray[np.bool_]) -> tuple[Rows, Edges]:
    """The rows by the pivot that is nearest, and the pair of each row and each of its two nearest.

    Pivots are rows drawn at random; they follow each other as the leaves of their average-linkage
    tree. The pairs join what is a large group from the beginning, so that most of its other pairs
    need not be looked at.

    Args:
        vectors: (n, d), rows of norm 1.
        is_new: (n,); these come after the others.

    Returns:
        (n,) rows in their new order, and at most 2 n pairs, as places in it, with their products.

    """
    n = len(vectors)
    if n < 3:
        return np.argsort(is_new, kind="stable").astype(np.int32), concatenated([])
    pivots = _draw_pivots(vectors, min(max(2, n // ROWS_A_PIVOT), MOST_PIVOTS))
    nearest, product = np.empty((2, n), np.int32), np.empty((2, n), np.float32)
    for start in range(0, n, _PART):
        part = slice(start, start + _PART)
        products = vectors[part] @ vectors[pivots].T
        for which in range(2):
            nearest[which, part] = products.argmax(axis=1)
            product[which, part] = products.max(axis=1)
            np.put_along_axis(products, nearest[which, part, None], -2, axis=1)
    order = np.lexsort((product[0], nearest[0], is_new)).astype(np.int32)
    place = np.argsort(order).astype(np.int32)
    rows = np.tile(np.arange(n, dtype=np.int32), 2)
    pairs = Edges(rows, pivots[nearest].ravel(), product.ravel().astype(np.float64)).renamed(place)
    return order, pairs.take(pairs.first < pairs.second)


def _draw_pivots(vectors: Vectors, number: int) -> Rows:
    drawn = np.random.default_rng(0).choice(len(vectors), number, replace=False)
    pivots: Rows = drawn[leaves_list(linkage(vectors[drawn], "average"))].astype(np.int32)
    return pivots
