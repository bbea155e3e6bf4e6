"""Zero-shot CLIP on overlapping tiles: how much more a picture looks like an object than others."""

from collections.abc import Iterator, Sequence

import numpy as np

from ..clip.model import find_clip
from ..clusters.edges import renormalised
from ..core.lake import Lake
from ..core.study import Study
from ..images.tiles import relative_boxes
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

    Two things are said of a tile: how near it is to an object, its cosine, and what the object gets
    of it when all phrases of the vocabulary compete, the logarithm of a share. Both are taken in
    standard deviations above the mean of the tiles of that scale in the reference images, so that a
    text that the model likes everywhere gains nothing by it. Whether an object of the study is
    there, their mean says; which object of the vocabulary it is, the share alone. The score of an
    image is that of its best tile.
    """

    def __init__(
        self,
        study: Study,
        lake: Lake,
        own: Sequence[Sought],
        discovered: Sequence[Sought],
        vocabulary: Sequence[Sought],
        reference: Sequence[Looked],
    ) -> None:
        choice, sought = find_clip(study), [*own, *discovered]
        self.detector_id = f"clip_tiles-{choice.clip_id}"
        self._vectors = TileVectors(study, lake, choice)
        texts = _directions(study, [*sought, *vocabulary])
        self._texts, self._rivals = texts[: len(sought)], texts[len(sought) :]
        # (v, o): which phrases an object competes with; not those that may mean it, too
        self._competes = np.array(
            [[not one.may_be(other) for one in sought] for other in vocabulary], np.float32
        )
        self._weights = np.array([[0.5] * len(own) + [0.0] * len(discovered)], np.float32)
        self._weights = np.concatenate([self._weights, 1 - self._weights])  # (2, o)
        self._mean, self._deviation = self._measure(reference)

    def look(self, looked: Looked) -> Iterator[tuple[Looked, Seen]]:
        """What it sees, a part of the images at a time, in their order."""
        boxes = np.array(relative_boxes(SCALES), np.float32)
        for part, unit in self._vectors.read(looked):
            standing = (self._judge(unit) - self._mean) / self._deviation  # (n, tiles, 2, o)
            of_tiles = (standing * self._weights).sum(axis=2)  # (n, tiles, o)
            best = np.where(np.isnan(of_tiles), -np.inf, of_tiles).argmax(axis=1)  # (n, o)
            scores = np.take_along_axis(of_tiles, best[:, None], axis=1)[:, 0]
            yield part, Seen(scores, boxes[best])

    def _measure(self, reference: Sequence[Looked]) -> tuple[Floats, Floats]:
        """The means and the standard deviations at each tile's scale, (tiles, 2, o) each."""
        n, total, squares = np.zeros((3, N_TILES, *self._weights.shape))
        for looked in reference:
            for _, unit in self._vectors.read(looked):
                judged = self._judge(unit).astype(np.float64)
                n += np.isfinite(judged).sum(axis=0)
                total += np.nansum(judged, axis=0)
                squares += np.nansum(judged**2, axis=0)
        scale_of = np.repeat(np.arange(len(SCALES)), [scale.grid**2 for scale in SCALES])
        belongs = np.equal.outer(scale_of, scale_of).astype(np.float64)  # of the same scale
        n, total, squares = (np.tensordot(belongs, sums, 1) for sums in (n, total, squares))
        mean = total / np.maximum(n, 1)
        deviation = np.sqrt(np.maximum(squares / np.maximum(n, 1) - mean**2, 1e-12))
        return mean.astype(np.float32), deviation.astype(np.float32)

    def _judge(self, unit: Floats) -> Floats:
        """The cosines and the logarithms of shares, (n, tiles, 2, o); nan for a flat tile.

        `unit` is (n * tiles, d), zero for a flat tile.
        """
        near = unit @ self._texts.T
        own, rivals = _SHARPNESS * near, _SHARPNESS * (unit @ self._rivals.T)
        top = np.maximum(rivals.max(axis=1), own.max(axis=1))[:, None]
        mine, others = np.exp(own - top), np.exp(rivals - top) @ self._competes
        share = np.log(np.maximum(mine, _LEAST)) - np.log(np.maximum(mine + others, _LEAST))
        judged: Floats = np.stack([near, share], axis=1)
        judged[~unit.any(axis=1)] = np.nan
        return judged.reshape(-1, N_TILES, *self._weights.shape)


def _directions(study: Study, sought: Sequence[Sought]) -> Floats:
    """The mean direction of the texts of each object, (o, d) of norm 1."""
    from dask.system import CPU_COUNT

    from ..clip.encoder import Encoder  # imports torch

    encoder = Encoder(find_clip(study), "cpu", batch_size=16, threads=CPU_COUNT)
    texts = [text.lower() for one in sought for text in one.looks_like]
    ends = np.cumsum([len(one.looks_like) for one in sought])
    parts = np.split(renormalised(encoder.captions(texts)), ends[:-1])
    return renormalised(np.array([part.mean(axis=0) for part in parts], np.float32))
