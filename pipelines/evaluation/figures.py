"""The figures of an evaluation: what each method comes to on each kind of pairs."""

from dataclasses import dataclass, replace

import numpy as np

from ..clip.recommended import Recommendation
from ..clusters.edges import Vectors
from ..core.errors import EvaluationError
from .copies import KINDS
from .encoded import ORIGINAL, Encoded
from .pair_counts import Curve, Point, Rule, count_pairs, nearest_share, sum_curves
from .rules import copies_rule

COPIES, SERIES, LABELLED = "copies", "copies_and_series", "labelled"
"""Kinds of pairs: copies; the same, where pictures of one series count as false; labelled ones."""
PRECISIONS = (0.99, 0.95)
SHOWN = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
_GRID = [k / 100 for k in range(1, 100)]


@dataclass(frozen=True)
class PairFigures:
    """One method on one kind of pairs."""

    method: str
    pairs: str
    """`COPIES`, `SERIES` or `LABELLED`."""
    n_vectors: int
    n_pairs: int
    n_true: int
    at_precision: dict[str, Point | None]
    """By precision, at least: the threshold with the largest recall."""
    at_threshold: list[Point]
    """At each of `SHOWN`."""
    nearest: float | None = None
    """Of copies: the share that is nearest to its original."""
    by_set: list[float | None] | None = None
    """Of copies: the recall at the first precision of each set alone."""
    kinds: dict[str, float] | None = None
    """Of copies: the recall of each change alone, from the threshold of the first precision."""


@dataclass(frozen=True)
class Measured:
    """Every curve, and its figures."""

    curves: dict[tuple[str, str], Curve]
    """By pairs and method."""
    figures: list[PairFigures]

    def __add__(self, other: "Measured") -> "Measured":
        """Both."""
        return Measured(self.curves | other.curves, [*self.figures, *other.figures])


def measure_copies(encoded: Encoded, alike: Rule, pairs: str = COPIES) -> Measured:
    """Each picture with its copy against all pairs of pictures that are not alike.

    The pairs of each set of copies are counted by themselves, so that more sets make a figure
    firmer without making it another one, and the counts are added.
    """
    originals, sets = encoded.vectors[ORIGINAL], []
    for copies in encoded.copies:
        both = {name: np.concatenate([originals[name], copies[name]]) for name in originals}
        sets.append(count_pairs(both, copies_rule(len(encoded.thumbnails), alike)))
    curves = {name: sum_curves([one[name] for one in sets]) for name in originals}
    figures = [
        replace(
            _figures(name, pairs, (1 + len(sets)) * len(originals[name]), curve),
            nearest=_nearest(encoded, name, alike),
            by_set=[_first_recall(one[name]) for one in sets],
            kinds=_recall_by_kind(encoded, name, curve),
        )
        for name, curve in curves.items()
    ]
    return Measured({(pairs, name): curve for name, curve in curves.items()}, figures)


def measure_labelled(vectors: dict[str, Vectors], rule: Rule, by: str) -> Measured:
    """The pairs that people labelled.

    Raises:
        EvaluationError: none of them is a true pair; names who labelled them.

    """
    curves = count_pairs(vectors, rule)
    if not next(iter(curves.values())).n_true:
        raise EvaluationError(f"{by}: no true pair among the {_n_vectors(vectors):,} images")
    figures = [_figures(name, LABELLED, len(vectors[name]), c) for name, c in curves.items()]
    return Measured({(LABELLED, name): curve for name, curve in curves.items()}, figures)


def recommend(curve: Curve, on: str) -> Recommendation | None:
    """The smallest threshold, a multiple of 0.01, at which 99 of 100 pairs are true; None: none.

    Args:
        curve: of the model.
        on: the pairs that it was measured on, in words.

    """
    for threshold in _GRID:
        point = curve.at(threshold)
        if point.precision is not None and point.precision >= PRECISIONS[0]:
            return Recommendation(
                threshold,
                f"pair precision {point.precision:.3f} and recall {point.recall:.3f} on {on}, "
                f"{curve.n_true:,} true pairs",
            )
    return None


def _figures(method: str, pairs: str, n_vectors: int, curve: Curve) -> PairFigures:
    return PairFigures(
        method,
        pairs,
        n_vectors,
        curve.n_pairs,
        curve.n_true,
        {str(precision): curve.at_precision(precision) for precision in PRECISIONS},
        [curve.at(threshold) for threshold in SHOWN],
    )


def _first_recall(curve: Curve) -> float | None:
    found = curve.at_precision(PRECISIONS[0])
    return None if found is None else found.recall


def _nearest(encoded: Encoded, method: str, alike: Rule) -> float:
    originals = encoded.vectors[ORIGINAL][method]
    shares = [nearest_share(copies[method], originals, alike) for copies in encoded.copies]
    return sum(shares) / len(shares)


def _recall_by_kind(encoded: Encoded, method: str, curve: Curve) -> dict[str, float] | None:
    found = curve.at_precision(PRECISIONS[0])
    if found is None:
        return None
    recall = {}
    for kind in KINDS:
        changed = encoded.vectors[kind][method]
        cosine = (changed * encoded.vectors[ORIGINAL][method][: len(changed)]).sum(axis=1)
        recall[kind] = float((cosine + 1e-6 >= found.threshold).mean())
    return recall


def _n_vectors(vectors: dict[str, Vectors]) -> int:
    return len(next(iter(vectors.values())))
