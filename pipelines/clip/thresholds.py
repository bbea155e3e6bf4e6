"""The thresholds that a study and its lake come to: those named, or those recommended."""

import json
from dataclasses import dataclass

from ..core.lake import Lake
from ..core.study import Study
from .model import find_clip
from .recommended import recommended_threshold

_AROUND = 0.05  # cosine, below and above the recommended threshold
_HIGHEST = 0.99  # at 1, rounding decides


@dataclass(frozen=True)
class Thresholds:
    """The cosines at which clusters are computed, ascending, and those that are shown."""

    computed: tuple[float, ...]
    report: float
    by_keyword_set: dict[str, float]
    """Of the keyword sets that name one of their own."""

    def of(self, keyword_set: str) -> float:
        """The threshold at which a keyword set is shown."""
        return self.by_keyword_set.get(keyword_set, self.report)

    @property
    def fingerprint(self) -> str:
        """Differs whenever a stage that reads them has to run again."""
        own = sorted(self.by_keyword_set.items())
        return f"{' '.join(map(str, self.computed))}; report {self.report}" + (
            f"; {json.dumps(own)}" if own else ""
        )


def resolve_thresholds(study: Study, lake: Lake) -> Thresholds:
    """The thresholds of a study; what it leaves out follows from the model.

    Raises:
        ModelError, LakeError: the model, or what recommends a threshold for it, cannot be read.

    """
    if study.cluster.thresholds is not None:
        computed = sorted(study.cluster.thresholds)
        shown = computed[len(computed) // 2]
    else:
        shown = recommended_threshold(find_clip(study), lake).threshold
        computed = sorted(
            {round(shown - _AROUND, 2), shown, min(round(shown + _AROUND, 2), _HIGHEST)}
        )
    if study.report.threshold is not None:
        shown = study.report.threshold
    own = {k.name: k.threshold for k in study.keyword_set if k.threshold is not None}
    return Thresholds(tuple(sorted({*computed, shown, *own.values()})), shown, own)
