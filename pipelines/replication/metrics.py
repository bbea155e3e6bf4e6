"""The metrics by which pictures are compared with the references of a cluster, side by side."""

from dataclasses import dataclass

from .matches import Matches, best_cosines
from .pixels import PREPROCESSING
from .references import Pictures, Target, Training
from .templates import Templates, load_templates

CLIP = "clip"
DISTANCES = ("l2", "l2_tiles", "webster")

Scores = dict[tuple[str, str], Matches]  # by metric and reference


def is_distance(metric: str) -> bool:
    """Whether a copy has at most the threshold (a distance) instead of at least (a cosine)."""
    return metric in DISTANCES


def made_with(metric: str, clip_id: str) -> tuple[str, str]:
    """The model and the preprocessing behind the scores of a metric."""
    return ("pixels", PREPROCESSING) if is_distance(metric) else (clip_id, "that of the model")


@dataclass(frozen=True)
class Comparison:
    """Compares pictures with the references of one cluster.

    Cosines are taken to the medoid, the representatives, every member and the whole keyword set;
    distances of pixels, for which pictures must be decoded, to the first two.
    """

    training: Training
    target: Target
    metrics: tuple[str, ...]
    templates: Templates | None  # where no distance is asked for, or no picture is stored

    def score(self, pictures: Pictures) -> Scores:
        """The best reference of each of n pictures, which are stored where pixels are compared."""
        scores: Scores = {}
        if CLIP in self.metrics:
            unit = self.training.pictures.vectors
            for reference, rows in self.target.references.items():
                scores[CLIP, reference] = best_cosines(pictures.vectors, unit, rows)
        if self.templates is not None:
            scores |= self.templates.score(pictures, self.metrics)
        return scores


def compare_with(training: Training, target: Target, metrics: tuple[str, ...]) -> Comparison:
    """Load what pictures are compared with."""
    by_pixels = any(is_distance(metric) for metric in metrics)
    templates = load_templates(training.pictures, target) if by_pixels else None
    return Comparison(training, target, metrics, templates)
