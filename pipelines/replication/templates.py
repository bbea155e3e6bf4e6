"""The pictures of one cluster as templates that others are compared with, pixel by pixel."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..clusters.edges import Rows
from .matches import Matches
from .pictures import IMAGE, Pictures
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
from .surroundings import Surroundings

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

    def score(self, pictures: Pictures, metrics: Iterable[str]) -> dict[tuple[str, str], Matches]:
        """The nearest representative of each of n pictures, and the medoid, by every metric."""
        parts: dict[tuple[str, str], list[Matches]] = {}
        for start in range(0, len(pictures), _BATCH):
            encoded = pictures.stored[IMAGE].read(slice(start, start + _BATCH))
            pixels = read_pixels(encoded.to_pylist())
            for metric, distances in self._distances(pixels, metrics).items():
                nearest = self._nearest(distances, np.arange(len(self.rows)))
                parts.setdefault((metric, REPRESENTATIVES), []).append(nearest)
                if self.is_medoid.any():
                    medoid = self._nearest(distances, np.flatnonzero(self.is_medoid))
                    parts.setdefault((metric, MEDOID), []).append(medoid)
        return {key: concatenated(matches) for key, matches in parts.items()}

    def _distances(self, pixels: Pixels, metrics: Iterable[str]) -> dict[str, Distances]:
        """(n, r) by metric; the products of the pixels are those of several metrics."""
        found: dict[str, Distances] = {}
        if "l2" in metrics or "l2_tiles" in metrics:
            errors = squared_errors(pixels, self.pixels)
            found |= {"l2": l2(errors), "l2_tiles": l2_tiles(errors)}
        if "webster" in metrics:
            masked = squared_errors(pixels, self.pixels, self.mask)
            found["webster"] = webster(masked, self.mask)
        if self.surroundings is not None:
            found["l2_relative"] = self.surroundings.relative(pixels, self.pixels)
        return {metric: distances for metric, distances in found.items() if metric in metrics}

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
