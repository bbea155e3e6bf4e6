"""The pictures of one cluster as templates that others are compared with, pixel by pixel."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..clusters.edges import Rows
from .compared import IMAGE, Compared
from .matches import Matches
from .pixels import (
    Distances,
    Mask,
    Pixels,
    l2,
    l2_tiles,
    read_pixels,
    squared_errors,
    template_mask,
    webster,
)
from .references import MEDOID, MEMBERS, REPRESENTATIVES, Target, Training
from .surroundings import RELATIVE, Surrounded, Surroundings, as_thumbnails

_BATCH = 16  # pictures in float64 at once: 25 MB


@dataclass(frozen=True)
class Templates:
    """The decoded representatives of a cluster, those that have a picture, at least one."""

    rows: Rows  # (r,) of the training images
    pixels: Pixels
    is_medoid: np.ndarray  # (r,)
    surroundings: Surroundings | None  # of the cluster; None where nobody asks for them

    @cached_property
    def mask(self) -> Mask:
        """What they share."""
        return template_mask(self.pixels)

    def score(
        self, pictures: Compared, metrics: Sequence[str], surrounded: Surrounded | None = None
    ) -> dict[tuple[str, str], Matches]:
        """The nearest representative of each of n pictures, and the medoid, by every metric.

        Where it is known how the pictures are surrounded, they are decoded for other metrics only.
        """
        decoded = [m for m in metrics if m != RELATIVE or surrounded is None]
        parts: dict[tuple[str, str], list[Matches]] = {}
        for start in range(0, len(pictures) if decoded else 0, _BATCH):
            encoded = pictures.stored[IMAGE].read(slice(start, start + _BATCH))
            pixels = read_pixels(encoded.to_pylist())
            for metric, distances in self._distances(pixels, decoded).items():
                for reference, matches in self._matches(distances).items():
                    parts.setdefault((metric, reference), []).append(matches)
        scores = {key: concatenated(matches) for key, matches in parts.items()}
        if RELATIVE in metrics and surrounded is not None:
            relative = self._matches(self._relative(surrounded))
            scores |= {(RELATIVE, reference): matches for reference, matches in relative.items()}
        return scores

    def _distances(self, pixels: Pixels, metrics: Sequence[str]) -> dict[str, Distances]:
        """(n, r) by metric; the products of the pixels are those of several metrics."""
        found: dict[str, Distances] = {}
        if "l2" in metrics or "l2_tiles" in metrics:
            errors = squared_errors(pixels, self.pixels)
            found |= {"l2": l2(errors), "l2_tiles": l2_tiles(errors)}
        if "webster" in metrics:
            masked = squared_errors(pixels, self.pixels, self.mask)
            found["webster"] = webster(masked, self.mask)
        if RELATIVE in metrics and self.surroundings is not None:
            found[RELATIVE] = self._relative(self.surroundings.surround(pixels))
        return {metric: distances for metric, distances in found.items() if metric in metrics}

    def _relative(self, pictures: Surrounded) -> Distances:
        assert self.surroundings is not None  # or nobody asks for them
        return self.surroundings.relative(pictures, as_thumbnails(self.pixels))

    def _matches(self, distances: Distances) -> dict[str, Matches]:
        """Of n pictures with the nearest representative, and with the medoid if it is there."""
        found = {REPRESENTATIVES: self._nearest(distances, np.arange(len(self.rows)))}
        if self.is_medoid.any():
            found[MEDOID] = self._nearest(distances, np.flatnonzero(self.is_medoid))
        return found

    def _nearest(self, distances: Distances, columns: np.ndarray) -> Matches:
        chosen = columns[distances[:, columns].argmin(axis=1)]
        return Matches(distances[np.arange(len(chosen)), chosen], self.rows[chosen])


def load_templates(training: Training, target: Target, is_relative: bool) -> Templates | None:
    """Decode the representatives of a cluster; None where no picture of them is stored."""
    rows, stored = target.references[REPRESENTATIVES], training.pictures.stored[IMAGE]
    rows = rows[stored.offsets[rows] >= 0]
    if len(rows) == 0:
        return None
    pixels = read_pixels(stored.take(rows).read().to_pylist())
    is_medoid, around = rows == target.references[MEDOID], None
    if is_relative:
        around = training.surroundings[target.threshold].without(target.references[MEMBERS])
    return Templates(rows, pixels, is_medoid, around)


def concatenated(matches: list[Matches]) -> Matches:
    """One list of matches after the other."""
    return Matches(
        np.concatenate([part.score for part in matches]),
        np.concatenate([part.row for part in matches]),
    )
