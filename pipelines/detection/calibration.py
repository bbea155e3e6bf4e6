"""From which score on a detector sees an object, and how often it errs."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..core.errors import SourceError
from ..core.study import NamedObject, Study

LABELS, FROM_BACKGROUND = "labels", "background"
MIN_BACKGROUND = 50  # fewer images say nothing of a false rate
_FOLDS = 5
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")

Scores = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Errors:
    """What a detector made of labelled images: how many show the object, how many do not."""

    n_with: int
    n_without: int
    n_found: int  # of those with it
    n_false: int  # of those without it

    @property
    def is_measured(self) -> bool:
        """Whether both kinds were there."""
        return self.n_with > 0 and self.n_without > 0

    @property
    def sensitivity(self) -> float | None:
        """The share that is found of what is there; its recall."""
        return self.n_found / self.n_with if self.n_with else None

    @property
    def specificity(self) -> float | None:
        """The share of images without the object in which it is not seen."""
        return 1 - self.n_false / self.n_without if self.n_without else None

    @property
    def precision(self) -> float | None:
        """The share that is right of what is seen, in images labelled as these are."""
        seen = self.n_found + self.n_false
        return self.n_found / seen if seen else None


NOTHING = Errors(0, 0, 0, 0)


def read_labels(study: Study, named: NamedObject) -> dict[str, bool]:
    """Whether images show an object, by sample_id or image_id, as a person said.

    Raises:
        SourceError: the file cannot be read, or a line says neither yes nor no.

    """
    if named.labels is None:
        return {}
    path = Path(study.path(named.labels))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            key = next((k for k in rows.fieldnames or () if k in ("sample_id", "image_id")), None)
            if key is None or "shows" not in (rows.fieldnames or ()):
                raise SourceError(f"{path}: it has to have the columns sample_id and shows")
            return {
                row[key] or "": _read(row["shows"], f"{path}: line {rows.line_num}") for row in rows
            }
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from None


def _read(said: str | None, where: str) -> bool:
    text = (said or "").strip().lower()
    if text not in (*_TRUE, *_FALSE):
        raise SourceError(f"{where}: shows: {said!r}: say true or false")
    return text in _TRUE


def find_threshold(without: Scores, false_rate: float) -> float:
    """The lowest score that at most a share `false_rate` of n images without the object reach."""
    ordered = np.sort(np.nan_to_num(without, nan=-np.inf))[::-1]
    last = ordered[min(int(false_rate * len(ordered)), len(ordered) - 1)]
    return float(np.nextafter(np.float32(last), np.float32(np.inf)))


def measure(scores: Scores, shows: Mask, false_rate: float, threshold: float) -> Errors:
    """How a detector errs on n labelled images at thresholds that they did not set.

    Each fifth is judged by the threshold that the others give; where there are too few for that,
    by `threshold`, which flatters it.
    """
    folds = min(_FOLDS, int((~shows).sum()), int(shows.sum()))
    if folds < 2:
        return _count(scores, shows, threshold)
    fold_of = np.empty(len(scores), np.int64)
    for kind in (shows, ~shows):
        fold_of[kind] = np.arange(kind.sum()) % folds
    counted = [
        _count(
            scores[fold_of == fold],
            shows[fold_of == fold],
            find_threshold(scores[(fold_of != fold) & ~shows], false_rate),
        )
        for fold in range(folds)
    ]
    return total(counted)


def total(errors: Sequence[Errors]) -> Errors:
    """All of them in one."""
    return Errors(
        sum(e.n_with for e in errors),
        sum(e.n_without for e in errors),
        sum(e.n_found for e in errors),
        sum(e.n_false for e in errors),
    )


def _count(scores: Scores, shows: Mask, threshold: float) -> Errors:
    seen = scores >= threshold
    return Errors(
        int(shows.sum()), int((~shows).sum()), int((seen & shows).sum()), int((seen & ~shows).sum())
    )


@dataclass(frozen=True)
class Calibration:
    """A threshold, what set it, and how the detector errs in each population."""

    threshold: float
    method: str  # labels or background
    errors: Mapping[str, Errors]
