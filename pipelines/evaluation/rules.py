"""Which pairs are true, which are false and which are neither."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import csr_array

from ..clusters.edges import Vectors
from ..images.decode import open_rgb
from .pair_counts import Mask, Rows, Rule

_SIDE = 32  # pixels of a thumbnail
ALIKE = 0.95  # correlation of thumbnails


def thumbnail(encoded: bytes) -> Vectors:
    """An image as 32 × 32 colours without their mean, (3073,) float32 of unit norm.

    Of one grey throughout nothing is left: such images have only the last place, and so are alike.
    """
    small = open_rgb(encoded).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    colours = np.append(np.asarray(small, np.float32).ravel(), np.float32(0))
    colours[:-1] -= colours[:-1].mean()
    norm = np.linalg.norm(colours)
    if norm < 1:
        colours[:], colours[-1], norm = 0, 1, np.float32(1)
    unit: Vectors = colours / norm
    return unit


def alike_rule(thumbnails: Vectors, *known: Rule) -> Rule:
    """True: pictures that are alike without any model: by their thumbnails, or known to be."""

    def rule(rows: Rows, columns: Rows) -> tuple[Mask, Mask]:
        alike = thumbnails[rows] @ thumbnails[columns].T >= ALIKE
        alike |= rows[:, None] == columns[None, :]
        for other in known:
            alike |= other(rows, columns)[0]
        return alike, np.ones_like(alike)

    return rule


def copies_rule(n: int, alike: Rule) -> Rule:
    """Of n pictures and then their n copies: a picture and its copy are true.

    Whatever else is alike is neither true nor false: a sample's own near-duplicates are no errors.
    """

    def rule(rows: Rows, columns: Rows) -> tuple[Mask, Mask]:
        true = (rows % n)[:, None] == (columns % n)[None, :]
        return true, true | ~alike(rows % n, columns % n)[0]

    return rule


def label_rule(labels: Sequence[str | None]) -> Rule:
    """Pictures of the same label are true, all others false; an empty label is like no other."""
    codes: dict[str, int] = {}
    code = np.array(
        [codes.setdefault(label, len(codes)) if label else -1 - i for i, label in enumerate(labels)]
    )

    def rule(rows: Rows, columns: Rows) -> tuple[Mask, Mask]:
        true = code[rows][:, None] == code[columns][None, :]
        return true, np.ones_like(true)

    return rule


def listed_rule(n: int, first: Rows, second: Rows, is_duplicate: NDArray[np.bool_] | None) -> Rule:
    """The pairs of a list, (m,) rows each.

    Where the list says of each pair whether it is a duplicate, no other pair counts; where it does
    not, its pairs are the true ones, and all others false.
    """
    chosen = np.ones(len(first), bool) if is_duplicate is None else is_duplicate
    true_pairs = _matrix(n, first[chosen], second[chosen])
    listed = None if is_duplicate is None else _matrix(n, first, second)

    def rule(rows: Rows, columns: Rows) -> tuple[Mask, Mask]:
        true = true_pairs[rows][:, columns].toarray()
        counted = np.ones_like(true) if listed is None else listed[rows][:, columns].toarray()
        return true, counted

    return rule


def _matrix(n: int, first: Rows, second: Rows) -> csr_array:
    """(n, n) bool: both ways round."""
    rows, columns = np.concatenate([first, second]), np.concatenate([second, first])
    return csr_array((np.ones(len(rows), bool), (rows, columns)), shape=(n, n))
