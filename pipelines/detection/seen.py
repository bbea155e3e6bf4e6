"""What detectors see: a score and a box for every image and object, whichever detector it is."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from .images import Looked

Floats = npt.NDArray[np.float32]


class Seen(NamedTuple):
    """What a detector sees of o objects in n images; nan where it has nothing to judge by."""

    scores: Floats  # (n, o) the larger, the more surely it is there
    boxes: Floats  # (n, o, 4) where: left, top, right, bottom, from 0 to 1


class Detector(Protocol):
    """Finds the objects that it was made for; what is expensive it keeps in the lake."""

    detector_id: str

    def look(self, looked: Looked) -> Iterator[tuple[Looked, Seen]]:
        """What it sees, a part of the images at a time, in their order."""
        ...


class Scored(NamedTuple):
    """The images of one population, and what is seen in them: 2 MB of scores for 1,000 images."""

    ids: list[str]
    scores: Floats  # (n, o) of the objects of the study, and then of the vocabulary
    boxes: Floats  # (n, o of the study, 4)


def see(detector: Detector, images: Sequence[Looked], n_objects: int, n_own: int) -> Scored:
    """What a detector sees in all of these images; boxes only of the first `n_own` objects."""
    ids: list[str] = []
    scores = [np.empty((0, n_objects), np.float32)]
    boxes = [np.empty((0, n_own, 4), np.float32)]
    for looked in images:
        for part, seen in detector.look(looked):
            ids += part.ids.to_pylist()
            scores.append(seen.scores)
            boxes.append(seen.boxes[:, :n_own])
    return Scored(ids, np.concatenate(scores), np.concatenate(boxes))
