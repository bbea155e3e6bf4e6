"""objects: which images show an object that nobody named, in training data and in generations."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from .core.database import connect, query, write_stamped
from .core.errors import LakeError, StudyError
from .core.lake import Lake
from .core.runs import Counts
from .core.stamp import Stamp
from .core.study import Objects, Study
from .detection.catalog import Sought, known_vocabulary, objects_of

if TYPE_CHECKING:
    from .detection.examine import Examined
    from .detection.images import Looked
    from .detection.seen import Detector


def run(study: Study, lake: Lake, stamp: Stamp) -> Counts:
    """Write object_detections, object_detectors, object_rates and object_candidates.

    Returns:
        Images that were looked at, and images that show an object of the study.

    Raises:
        StudyError: the study names no object and discovers none, or nothing sets a threshold.
        SourceError: labels or the vocabulary cannot be read.
        ModelError: a detector cannot be found or loaded.
        LakeError: there is no image.

    """
    from .detection.images import (
        BACKGROUND,
        GENERATED,
        TRAIN,
        choose_images,
        fetch_background,
        looked_at,
    )

    settings = study.objects or Objects()
    if not study.object and not settings.discover:
        raise StudyError(
            "objects: nothing to look for: name an object in [[object]], or say discover = true"
        )
    own, vocabulary = objects_of(study), known_vocabulary(study)
    background = fetch_background(study, lake, settings.background)
    with connect(lake) as connection:
        choose_images(connection, study, lake, background, settings.images)
        name_objects(connection, [*own, *vocabulary])
        images = {p: looked_at(connection, p) for p in (TRAIN, GENERATED, BACKGROUND)}
        if not images[TRAIN]:
            raise LakeError(f"{lake.root}: no keyword set has an image; run: memtriggers fetch")
        written = _Tables(study, connection, vocabulary)
        for detector, discovers in _detectors(study, lake, own, vocabulary, images):
            written.add(detector, discovers, images, settings)
        return written.write(lake, stamp)


def name_objects(connection: duckdb.DuckDBPyConnection, sought: Sequence[Sought]) -> None:
    """Make the table object_names: which text of object_images names which object, by number."""
    spellings = [
        {"object_number": number, "spelling": spelling}
        for number, one in enumerate(sought)
        for spelling in one.spellings
    ]
    connection.execute(query("objects/names"), {"spellings": spellings})


def _detectors(
    study: Study,
    lake: Lake,
    own: list[Sought],
    vocabulary: list[Sought],
    images: "dict[str, list[Looked]]",
) -> "Iterator[tuple[Detector, bool]]":
    """Each detector, and whether it looks for the vocabulary, too."""
    from .detection.calibration import MIN_BACKGROUND
    from .detection.images import BACKGROUND, TRAIN
    from .detection.open_vocabulary import OpenVocabulary
    from .detection.zero_shot import ZeroShot

    settings = study.objects or Objects()
    n_background = sum(map(len, images[BACKGROUND]))
    reference = images[BACKGROUND if n_background >= MIN_BACKGROUND else TRAIN]
    discovered = vocabulary if settings.discover else []
    yield ZeroShot(study, lake, own, discovered, vocabulary, reference), settings.discover
    if settings.detector is not None and own:
        yield OpenVocabulary(study, lake, own), False


class _Tables:
    """Collects the tables of all detectors."""

    def __init__(
        self, study: Study, connection: duckdb.DuckDBPyConnection, vocabulary: Sequence[Sought]
    ) -> None:
        from .detection.calibration import read_labels

        self._study, self._connection, self._vocabulary = study, connection, vocabulary
        self._labels = [read_labels(study, one) for one in study.object]
        self._background_names = _background_names(connection)
        self._detections: list[pa.Table] = []
        self._rows: dict[str, list[dict[str, Any]]] = {
            "object_detectors": [],
            "object_rates": [],
            "object_candidates": [],
        }
        self._n_images = 0

    def add(
        self,
        detector: "Detector",
        discovers: bool,
        images: "dict[str, list[Looked]]",
        settings: Objects,
    ) -> None:
        """Let a detector look at all images, and count what it sees."""
        from .detection.examine import calibrate, detector_rows, examine

        n_own = len(self._study.object)
        n_objects = n_own + (len(self._vocabulary) if discovers else 0)
        examined = examine(
            detector, images, n_own, n_objects, self._background_names, settings.false_rate
        )
        found = {
            one.name: calibrate(self._study, examined, number, labels, settings.false_rate)
            for number, (one, labels) in enumerate(
                zip(self._study.object, self._labels, strict=True)
            )
        }
        detections = self._with_names(examined.detections(self._study.object, found))
        self._detections.append(detections)
        self._rows["object_detectors"] += detector_rows(detector.detector_id, found)
        self._rows["object_rates"] += self._rates(detections, found, detector.detector_id)
        if discovers:
            self._rows["object_candidates"] += self._candidates(examined)
        self._n_images = max(self._n_images, sum(len(s.ids) for s in examined.scored.values()))

    def write(self, lake: Lake, stamp: Stamp) -> Counts:
        """Write the tables; returns the counts of the stage."""
        from .detection import candidates, examine, rates

        detections = pa.concat_tables(self._detections)
        schemas = {
            "object_detectors": examine.DETECTORS,
            "object_rates": rates.SCHEMA,
            "object_candidates": candidates.SCHEMA,
        }
        write_stamped(detections, lake.object_detections, stamp)
        for name, schema in schemas.items():
            rows = pa.Table.from_pylist(self._rows[name], schema)
            write_stamped(rows, getattr(lake, name), stamp)
        shown = detections.filter(detections["shows"])["image_id"].unique()
        return Counts(self._n_images, len(shown))

    def _with_names(self, detections: pa.Table) -> pa.Table:
        """The detections with `is_named`: whether the caption or the prompt names the object."""
        names = pa.array([one.name for one in self._study.object], pa.string())
        sought = pa.table({"object_number": range(len(names)), "object": names})
        self._connection.register("sought", sought)
        self._connection.register("detections", detections)
        return self._connection.execute(query("objects/detections")).to_arrow_table()

    def _rates(
        self, detections: pa.Table, found: dict[str, Any], detector_id: str
    ) -> Iterator[dict[str, Any]]:
        from .detection.rates import Count, rate_rows

        self._connection.register("object_detections", detections)
        values = {"detector_id": detector_id}
        counts = self._connection.execute(query("objects/counts"), values).fetchall()
        return rate_rows([Count(*row) for row in counts], found, detector_id)

    def _candidates(self, examined: "Examined") -> Iterator[dict[str, Any]]:
        from .detection.candidates import candidate_rows

        self._connection.register("hits", examined.hits())
        n_own = len(self._study.object)
        values = {
            "n_objects": len(self._vocabulary),
            "n_own": n_own,
            "everything": [one.name for one in self._study.keyword_set if one.is_everything],
        }
        counts = self._connection.execute(query("objects/candidate_counts"), values).fetchall()
        return candidate_rows(counts, self._vocabulary, examined.detector_id)


def _background_names(connection: duckdb.DuckDBPyConnection) -> dict[str, list[int]]:
    """By image of the background, the numbers of the objects that its caption names."""
    rows = connection.execute(
        "select image_id, list(object_number) from object_images "
        "join object_names using (text) where population = 'background' group by image_id"
    ).fetchall()
    return dict(rows)
