"""One detector over all images: its thresholds, and which objects each image shows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..core.errors import SourceError, StudyError
from ..core.registry import TABLES
from ..core.study import NamedObject, Study
from .calibration import (
    FROM_BACKGROUND,
    LABELS,
    MIN_BACKGROUND,
    NOTHING,
    Calibration,
    Errors,
    find_threshold,
    measure,
)
from .images import BACKGROUND, GENERATED, TRAIN, Looked
from .seen import Detector, Floats, Scored, see

DETECTIONS = pa.schema(
    [
        ("detector_id", pa.string()),
        ("object", pa.string()),
        ("population", pa.string()),
        ("image_id", pa.string()),
        ("score", pa.float64()),
        ("shows", pa.bool_()),
        ("box", pa.list_(pa.float32())),
    ]
)
HITS = pa.schema([("image_id", pa.string()), ("object_number", pa.int32())])

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Examined:
    """What a detector sees in the images of each population."""

    detector_id: str
    scored: dict[str, Scored]  # by population
    thresholds: npt.NDArray[np.float64]  # (o,) from the background; nan where there is too little
    n_own: int  # objects of the study, which come first

    def hits(self) -> pa.Table:
        """Which training and background images show which objects of the vocabulary."""
        tables = [HITS.empty_table()]
        for scored in (self.scored[TRAIN], self.scored[BACKGROUND]):
            shows = scored.scores[:, self.n_own :] >= self.thresholds[self.n_own :]
            images, objects = np.nonzero(shows)
            ids = pa.array(scored.ids, pa.string()).take(pa.array(images))
            tables.append(pa.table([ids, objects.astype(np.int32)], schema=HITS))
        return pa.concat_tables(tables)

    def detections(
        self, objects: Sequence[NamedObject], found: Mapping[str, Calibration]
    ) -> pa.Table:
        """Rows of `object_detections`: whether each image shows each object of the study."""
        tables = [DETECTIONS.empty_table()]
        for (population, scored), (number, one) in (
            (entry, numbered) for entry in self.scored.items() for numbered in enumerate(objects)
        ):
            scores = scored.scores[:, number].astype(np.float64)
            n = len(scores)
            columns = [
                pa.repeat(self.detector_id, n),
                pa.repeat(one.name, n),
                pa.repeat(population, n),
                pa.array(scored.ids, pa.string()),
                pa.array(scores, mask=np.isnan(scores)),
                pa.array(scores >= found[one.name].threshold),
                pa.FixedSizeListArray.from_arrays(
                    pa.array(scored.boxes[:, number].ravel()), 4
                ).cast(DETECTIONS.field("box").type),
            ]
            tables.append(pa.table(columns, schema=DETECTIONS))
        return pa.concat_tables(tables)


def examine(
    detector: Detector,
    images: Mapping[str, Sequence[Looked]],
    n_own: int,
    n_objects: int,
    names: Mapping[str, Sequence[int]],
    false_rate: float,
) -> Examined:
    """Look at all images, and set thresholds by the background.

    Args:
        detector: made for `n_objects` objects, the first `n_own` of which are the study's.
        images: by population.
        n_own: the objects of the study.
        n_objects: those of the vocabulary among them.
        names: by image of the background the numbers of the objects that its caption names; whether
            they show them is no error of the detector's.
        false_rate: the share of the other images in which an object may be seen.

    """
    scored = {
        population: see(detector, looked, n_objects, n_own) for population, looked in images.items()
    }
    background = scored[BACKGROUND]
    is_named = np.zeros(background.scores.shape, bool)
    for place, image_id in enumerate(background.ids):
        is_named[place, [n for n in names.get(image_id, ()) if n < n_objects]] = True
    thresholds = [
        find_threshold(without, false_rate) if len(without) >= MIN_BACKGROUND else np.nan
        for without in (background.scores[~is_named[:, n], n] for n in range(n_objects))
    ]
    return Examined(detector.detector_id, scored, np.array(thresholds), n_own)


def calibrate(
    study: Study, examined: Examined, number: int, labels: Mapping[str, bool], false_rate: float
) -> Calibration:
    """The threshold of one object of the study, by its labels or else by the background.

    Raises:
        SourceError: labels are of no image that was looked at, or of one kind only.
        StudyError: there are neither labels nor a background.

    """
    one = study.object[number]
    labelled = {p: _labelled(scored, number, labels) for p, scored in examined.scored.items()}
    parts = {
        TRAIN: _both(labelled[TRAIN], labelled[BACKGROUND]),  # both are training images
        GENERATED: labelled[GENERATED],
    }
    scores, shows = _both(*parts.values())
    if not labels:
        threshold = float(examined.thresholds[number])
        if np.isnan(threshold):
            raise StudyError(
                f"object: {one.name!r}: fewer than {MIN_BACKGROUND} images say no keyword, so that "
                "nothing sets its threshold: name a file of labels"
            )
        return Calibration(threshold, FROM_BACKGROUND, dict.fromkeys(parts, NOTHING))
    if shows.all() or not shows.any():
        said = "shows it" if not shows.any() else "is without it"
        raise SourceError(
            f"{study.path(one.labels or '')}: of {len(labels)} labelled images {len(shows)} were "
            f"looked at, and none {said}; label some of: memtriggers sql 'from object_detections'"
        )
    threshold = find_threshold(scores[~shows], false_rate)
    of_all = measure(scores, shows, false_rate, threshold)
    return Calibration(
        threshold,
        LABELS,
        {p: _errors_of(*part, of_all, false_rate, threshold) for p, part in parts.items()},
    )


def _labelled(scored: Scored, number: int, labels: Mapping[str, bool]) -> tuple[Floats, Mask]:
    """The scores of the labelled images of a population, and whether they show it."""
    places = [place for place, image_id in enumerate(scored.ids) if image_id in labels]
    shows = np.array([labels[scored.ids[place]] for place in places], bool)
    return np.nan_to_num(scored.scores[places, number], nan=-np.inf), shows


def _both(one: tuple[Floats, Mask], other: tuple[Floats, Mask]) -> tuple[Floats, Mask]:
    return np.concatenate([one[0], other[0]]), np.concatenate([one[1], other[1]])


def _errors_of(
    scores: Floats, shows: Mask, of_all: Errors, false_rate: float, threshold: float
) -> Errors:
    """Those of the population where it has labels of both kinds, else those of all labels."""
    if shows.all() or not shows.any():
        return of_all
    return measure(scores, shows, false_rate, threshold)


def detector_rows(detector_id: str, found: Mapping[str, Calibration]) -> Iterator[dict[str, Any]]:
    """Rows of `object_detectors`: what each object's threshold is, and what was measured of it."""
    for name, calibration in found.items():
        for population in (TRAIN, GENERATED):
            errors = calibration.errors[population]
            yield {
                "detector_id": detector_id,
                "object": name,
                "population": population,
                "threshold": calibration.threshold,
                "method": calibration.method,
                "n_labelled_with": errors.n_with,
                "n_labelled_without": errors.n_without,
                "sensitivity": errors.sensitivity,
                "specificity": errors.specificity,
                "precision": errors.precision,
            }


DETECTORS = TABLES["object_detectors"].schema
