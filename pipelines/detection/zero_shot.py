"""Zero-shot CLIP on overlapping tiles: how much more a picture looks like an object than others."""

from collections.abc import Iterator, Sequence

import numpy as np

from ..clip.model import find_clip
from ..clusters.edges import renormalised
from ..images.tiles import relative_boxes
from ..lake import Lake
from ..study import Study
from .catalog import Sought
from .images import Looked
from .seen import Floats, Seen
from .tile_vectors import N_TILES, SCALES, TileVectors

# What cosines are multiplied by before phrases compete for a tile: where CLIP's own scale ends. The
# bundled model's, 22, leaves more phrases in the race, and finds fewer of the planted objects.
_SHARPNESS = 100.0
_LEAST = 1e-30  # a share whose logarithm is finite in float32


class ZeroShot:
    """A CLIP model and the texts of objects, which compete with a vocabulary for every tile.

    The score of an image is that of its best tile: the logarithm of the share that the object gets
    among the phrases of the vocabulary, in standard deviations above the mean of tiles of that
    scale in the reference images. So a text that the model likes everywhere gains nothing by it.
    """

    def __init__(
        self,
        study: Study,
        lake: Lake,
        sought: Sequence[Sought],
        vocabulary: Sequence[Sought],
        reference: Sequence[Looked],
    ) -> None:
        choice = find_clip(study)
        self.detector_id = f"clip_tiles-{choice.clip_id}"
        self._vectors = TileVectors(study, lake, choice)
        texts = _directions(study, [*sought, *vocabulary])
        self._texts, self._rivals = texts[: len(sought)], texts[len(sought) :]
        # (v, o): which phrases an object competes with; not those that may mean it, too
        self._competes = np.array(
            [[not one.shares_a_name(other) for one in sought] for other in vocabulary], np.float32
        )
        self._mean, self._deviation = self._measure(reference)

    def look(self, looked: Looked) -> Iterator[tuple[Looked, Seen]]:
        """What it sees, a part of the images at a time, in their order."""
        boxes = np.array(relative_boxes(SCALES), np.float32)
        for part, unit in self._vectors.read(looked):
            standing = (self._shares(unit) - self._mean) / self._deviation  # (n, tiles, o)
            best = np.where(np.isnan(standing), -np.inf, standing).argmax(axis=1)  # (n, o)
            scores = np.take_along_axis(standing, best[:, None], axis=1)[:, 0]
            yield part, Seen(scores, boxes[best])

    def _measure(self, reference: Sequence[Looked]) -> tuple[Floats, Floats]:
        """The mean and the standard deviation of each object at each tile's scale, (tiles, o)."""
        n, total, squares = np.zeros((3, N_TILES, len(self._texts)))
        for looked in reference:
            for _, unit in self._vectors.read(looked):
                shares = self._shares(unit).astype(np.float64)
                n += np.isfinite(shares).sum(axis=0)
                total += np.nansum(shares, axis=0)
                squares += np.nansum(shares**2, axis=0)
        scale_of = np.repeat(np.arange(len(SCALES)), [scale.grid**2 for scale in SCALES])
        belongs = np.equal.outer(scale_of, scale_of)  # (tiles, tiles): of the same scale
        n, total, squares = (belongs @ sums for sums in (n, total, squares))
        mean = total / np.maximum(n, 1)
        variance = squares / np.maximum(n, 1) - mean**2
        deviation = np.sqrt(np.maximum(variance, 1e-12))
        return mean.astype(np.float32), deviation.astype(np.float32)

    def _shares(self, unit: Floats) -> Floats:
        """The logarithm of what each object gets of each tile: (n, tiles, o), nan for a flat one.

        `unit` is (n * tiles, d), zero for a flat tile.
        """
        own, rivals = _SHARPNESS * (unit @ self._texts.T), _SHARPNESS * (unit @ self._rivals.T)
        top = np.maximum(rivals.max(axis=1), own.max(axis=1))[:, None]
        mine, others = np.exp(own - top), np.exp(rivals - top) @ self._competes
        shares = np.log(np.maximum(mine, _LEAST)) - np.log(np.maximum(mine + others, _LEAST))
        shares[~unit.any(axis=1)] = np.nan
        found: Floats = shares.reshape(-1, N_TILES, len(self._texts))
        return found


def _directions(study: Study, sought: Sequence[Sought]) -> Floats:
    """The mean direction of the texts of each object, (o, d) of norm 1."""
    from dask.system import CPU_COUNT

    from ..clip.encoder import Encoder  # imports torch

    encoder = Encoder(find_clip(study), "cpu", batch_size=16, threads=CPU_COUNT)
    texts = [text.lower() for one in sought for text in one.looks_like]
    ends = np.cumsum([len(one.looks_like) for one in sought])
    parts = np.split(renormalised(encoder.captions(texts)), ends[:-1])
    return renormalised(np.array([part.mean(axis=0) for part in parts], np.float32))
