"""The background rate: how often generations of other clusters' prompts count as copies of one."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.registry import TABLES
from .compared import IMAGE, Compared, Which, concatenated_pictures
from .decided import Thresholds
from .generations import Generations, Prompted
from .metrics import Comparison, is_distance
from .references import MEDOID, MEMBERS, Target
from .surroundings import RELATIVE, Surrounded, surround_stored

SCHEMA = TABLES["background"].schema
_PICTURES = 500  # of a generator, taken alike from all of its prompts


@dataclass
class Background:
    """Some pictures of every prompt of one generator, and the medoids of their clusters."""

    generator_id: str
    each: int  # pictures of a prompt, at most
    parts: list[Compared] = field(default_factory=list)
    medoids: list[int] = field(default_factory=list)  # one a picture
    surrounded: dict[float, Surrounded] = field(default_factory=dict)  # by threshold

    def add(self, prompted: Prompted, target: Target) -> None:
        """Keep the first seeds of a prompt, which are as good as any."""
        part = prompted.pictures.take(np.arange(min(self.each, len(prompted.seeds))))
        self.parts.append(part)
        self.medoids += [int(target.references[MEDOID][0])] * len(part)

    def rows(self, comparison: Comparison, thresholds: Thresholds) -> list[dict[str, Any]]:
        """The rates at which those of other clusters reach the thresholds of this one."""
        target = comparison.target
        is_other = ~np.isin(self.medoids, target.references[MEMBERS])
        if not is_other.any():
            return []
        pictures = concatenated_pictures(self.parts).take(is_other)
        scores = comparison.score(pictures, self._surrounded(comparison, is_other))
        return [
            {
                "generator_id": self.generator_id,
                **dict(zip(SCHEMA.names[1:4], target.key, strict=True)),
                "metric": metric,
                "reference": reference,
                "n_background": len(pictures),
                "background_rate": float(
                    is_copy(metric, matches.score, thresholds[metric, reference]).mean()
                ),
            }
            for (metric, reference), matches in scores.items()
            if (metric, reference) in thresholds
        ]

    def _surrounded(self, comparison: Comparison, which: Which) -> Surrounded | None:
        """Decoded once for all clusters of a threshold, if it is asked how they are surrounded."""
        if RELATIVE not in comparison.distances:
            return None
        threshold = comparison.target.threshold
        if threshold not in self.surrounded:
            stored = concatenated_pictures(self.parts).stored[IMAGE]
            around = comparison.training.surroundings[threshold]
            self.surrounded[threshold] = surround_stored(stored, around)
        return self.surrounded[threshold].take(which)


def backgrounds_of(generations: Generations) -> dict[str, Background]:
    """One for each generator, still empty."""
    n_prompts = Counter(generations.prompts["generator_id"].to_pylist())
    return {name: Background(name, max(1, _PICTURES // n)) for name, n in n_prompts.items()}


def is_copy(
    metric: str, score: np.ndarray[Any, np.dtype[np.float64]], threshold: float
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether each score is that of a copy: a distance up to the threshold, a cosine from it on.

    The rule of models/macros/is_copy.sql, for arrays. One that is not a number is none.
    """
    return score <= threshold if is_distance(metric) else score >= threshold
