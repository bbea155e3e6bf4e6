"""The metrics by which pictures are compared with the references of a cluster, side by side."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..clip.copy_model import CopyChoice, find_copy_model
from ..clip.model import ClipChoice, find_clip
from ..clusters.edges import Rows
from ..core.study import Study
from .compared import IMAGE, Compared
from .matches import Matches, best_cosines
from .partial import GRID, TiledReferences, load_tiles
from .pixels import PREPROCESSING
from .references import KEYWORD_SET, MEDOID, MEMBERS, REPRESENTATIVES, Target, Training
from .surroundings import RELATIVE, THUMBNAIL, Surrounded
from .templates import Templates, load_templates

CLIP, SSCD = "clip", "sscd"
COSINES = (CLIP, SSCD)
TILES = {"clip_tiles": CLIP, "sscd_tiles": SSCD}  # and the model that makes their vectors
DISTANCES = ("l2", "l2_tiles", "webster", RELATIVE)
_BY_DEFAULT = DISTANCES[:-1]  # the relative one decodes thousands of images that others need not

Scores = dict[tuple[str, str], Matches]  # by metric and reference


def is_distance(metric: str) -> bool:
    """Whether a copy has at most the threshold (a distance) instead of at least (a cosine)."""
    return metric in DISTANCES


def references_of(metric: str) -> tuple[str, ...]:
    """What a metric compares with: cosines of whole pictures with every image."""
    few = (MEDOID, REPRESENTATIVES)
    return (*few, MEMBERS, KEYWORD_SET) if metric in COSINES else few


@dataclass(frozen=True)
class Models:
    """The metrics of a study, and the models that make their vectors."""

    metrics: tuple[str, ...]
    clip: ClipChoice
    copies: CopyChoice | None

    @property
    def tile_metrics(self) -> list[str]:
        """The metrics of tiles among them."""
        return [metric for metric in self.metrics if metric in TILES]

    def choice(self, metric: str) -> ClipChoice | CopyChoice:
        """The model of a cosine: of whole pictures or of tiles."""
        if TILES.get(metric, metric) == CLIP:
            return self.clip
        assert self.copies is not None  # or the study would not have been read
        return self.copies

    def model_id(self, metric: str) -> str:
        """What tells the tables of its vectors apart."""
        choice = self.choice(metric)
        return choice.clip_id if isinstance(choice, ClipChoice) else choice.copy_id

    def made_with(self, metric: str) -> tuple[str, str]:
        """The model and the preprocessing behind the scores of a metric."""
        if is_distance(metric):
            small = f", then {THUMBNAIL} × {THUMBNAIL}" if metric == RELATIVE else ""
            return "pixels", PREPROCESSING + small
        tiles = f", of {GRID} × {GRID} overlapping tiles" if metric in TILES else ""
        choice = self.choice(metric)
        if isinstance(choice, ClipChoice):
            return choice.clip_id, f"that of the model{tiles}"
        return f"{Path(choice.path).name} {choice.sha256[:8]}", f"{choice.preprocessing}{tiles}"


def find_models(study: Study) -> Models:
    """The metrics that the study asks for and their models.

    Raises:
        ModelError: a model cannot be found.
        StudyError: the study does not vouch for its descriptor of copies.

    """
    copies = find_copy_model(study)
    metrics = (CLIP, *([SSCD] if copies else []), *_BY_DEFAULT)
    return Models(study.score.metrics or metrics, find_clip(study), copies)


@dataclass(frozen=True)
class Comparison:
    """Compares pictures with the references of one cluster.

    Cosines are taken to the medoid, the representatives, every member and the whole keyword set;
    distances of pixels, for which pictures must be decoded, and tiles to the first two.
    """

    training: Training
    target: Target
    cosines: dict[str, dict[str, Rows]]  # by metric and reference
    tiles: list[TiledReferences]
    distances: tuple[str, ...]
    templates: Templates | None  # where no distance is asked for, or no picture is stored

    def score(self, pictures: Compared, surrounded: Surrounded | None = None) -> Scores:
        """The best reference of each of n pictures, which are stored where pixels are compared.

        Args:
            pictures: n of them.
            surrounded: the same, where they are compared with many clusters.

        """
        scores: Scores = {}
        for metric, references in self.cosines.items():
            unit, vectors = self.training.pictures.vectors[metric], pictures.vectors[metric]
            for reference, rows in references.items():
                scores[metric, reference] = best_cosines(vectors, unit, rows)
        for tiles in self.tiles:
            scores |= tiles.score(pictures)
        if self.templates is not None:
            scores |= self.templates.score(pictures, self.distances, surrounded)
        return scores


def compare_with(training: Training, target: Target, metrics: tuple[str, ...]) -> Comparison:
    """Load what pictures are compared with."""
    pictures = training.pictures
    tiles = [load_tiles(metric, pictures, target) for metric in metrics if metric in TILES]
    distances = tuple(metric for metric in metrics if is_distance(metric))
    return Comparison(
        training,
        target,
        {m: _with_vectors(pictures, m, target) for m in metrics if m in COSINES},
        [one for one in tiles if one is not None],
        distances,
        load_templates(training, target, RELATIVE in distances) if distances else None,
    )


def has_what_it_takes(pictures: Compared, metric: str) -> npt.NDArray[np.bool_]:
    """Which of n pictures can be compared by a metric, (n,) bool."""
    if metric not in COSINES:
        return pictures.stored[IMAGE if is_distance(metric) else metric].offsets >= 0
    return np.asarray(pictures.vectors[metric].any(axis=1))


def _with_vectors(pictures: Compared, metric: str, target: Target) -> dict[str, Rows]:
    """The references that have a vector, where there are some."""
    unit = pictures.vectors[metric]
    found = {name: rows[unit[rows].any(axis=1)] for name, rows in target.references.items()}
    return {name: rows for name, rows in found.items() if len(rows)}
