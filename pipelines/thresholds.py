"""The thresholds that a study and its lake come to: those named, or those recommended."""

from dataclasses import dataclass

from .clip.model import find_clip
from .clip.recommended import recommended_threshold
from .lake import Lake
from .study import Study

_AROUND = 0.05  # cosine, below and above the recommended threshold
_HIGHEST = 0.99  # at 1, rounding decides


@dataclass(frozen=True)
class Thresholds:
    """The cosines at which clusters are computed, ascending, and the one that the report shows."""

    computed: tuple[float, ...]
    report: float

    @property
    def fingerprint(self) -> str:
        """Differs whenever a stage that reads them has to run again."""
        return f"{' '.join(map(str, self.computed))}; report {self.report}"


def resolve_thresholds(study: Study, lake: Lake) -> Thresholds:
    """The thresholds of `[cluster]` and `[report]`; what they leave out follows from the model.

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
    return Thresholds(tuple(sorted({*computed, shown})), shown)
