"""Objects that nobody asked for: which come with a keyword more often than with other samples."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from ..core.registry import TABLES
from .catalog import Sought

Counts = npt.NDArray[np.float64]

SCHEMA = TABLES["object_candidates"].schema


def candidate_rows(
    counts: Sequence[tuple[str, int, int, int, int, int]],
    vocabulary: Sequence[Sought],
    detector_id: str,
) -> Iterator[dict[str, Any]]:
    """Rows of `object_candidates`, the best of each keyword set first.

    Candidates are ordered by the lower end of the interval of their lift, so that neither a rate
    from three images nor one that is common everywhere comes first.

    Args:
        counts: keyword set, number in the vocabulary, images and those that show the object, images
            of the background and those that show it; all without the images whose captions name it.
        vocabulary: the objects by number.
        detector_id: goes into the rows.

    """
    if not counts:
        return
    n, k, n_background, k_background = np.array([row[2:] for row in counts], np.float64).T
    low, high = lift_interval(k, n, k_background, n_background)
    # Of all images of both, so many show it: what if they were dealt out by chance (Fisher)?
    p = stats.hypergeom.sf(k - 1, n + n_background, k + k_background, n)
    q = stats.false_discovery_control(p, method="bh")
    # A lift over a rate of 0 is infinite: half an image is added to each, as to the interval.
    lift = ((k + 0.5) / (n + 0.5)) / ((k_background + 0.5) / (n_background + 0.5))
    rank: dict[str, int] = {}
    for i in sorted(range(len(counts)), key=lambda i: (counts[i][0], -low[i], counts[i][1])):
        keyword_set, number = counts[i][:2]
        rank[keyword_set] = rank.get(keyword_set, 0) + 1
        yield {
            "keyword_set": keyword_set,
            "object": vocabulary[number].name,
            "detector_id": detector_id,
            "candidate_rank": rank[keyword_set],
            "n": int(n[i]),
            "n_with_object": int(k[i]),
            "rate": k[i] / n[i],
            "n_background": int(n_background[i]),
            "background_rate": k_background[i] / n_background[i],
            "lift": lift[i],
            "ci_low": low[i],
            "ci_high": high[i],
            "q_value": float(q[i]),
        }


def lift_interval(
    k: Counts, n: Counts, k_background: Counts, n_background: Counts
) -> tuple[Counts, Counts]:
    """The 95 % interval of the ratio of two shares, k / n over that of the background, (m,) each.

    That of its logarithm, with half an image added so that none may be zero: S. D. Walter, "The
    distribution of Levin's measure of attributable risk" (1975).
    """
    k, n, kb, nb = k + 0.5, n + 0.5, k_background + 0.5, n_background + 0.5
    log_lift = np.log(k / n) - np.log(kb / nb)
    error = np.sqrt(1 / k - 1 / n + 1 / kb - 1 / nb)
    half = 1.959964 * error
    return np.exp(log_lift - half), np.exp(log_lift + half)
