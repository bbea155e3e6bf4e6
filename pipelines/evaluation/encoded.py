"""Images, their copies and their single changes as vectors of every method, in one pass."""

import io
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..clusters.edges import Vectors
from ..core.errors import EvaluationError
from ..core.progress import progress
from ..images.decode import image_limits, open_rgb
from .copies import KINDS, changed_alone, web_copy
from .images import Images
from .methods import Method
from .rules import thumbnail

ORIGINAL = "original"
N_CHANGED = 128  # pictures that are changed in a single way, for each of the ways
_AT_ONCE = 64  # pictures, with all that is made of them, in memory


@dataclass(frozen=True)
class Encoded:
    """The vectors of n pictures."""

    thumbnails: Vectors
    vectors: dict[str, dict[str, Vectors]]
    """What (`ORIGINAL` or one of `KINDS`) and method: (n, d); of KINDS the first ones."""
    copies: list[dict[str, Vectors]]
    """Of each set of copies, by method: (n, d)."""
    seconds: dict[str, float]
    """What each method took for a picture on average, decoding included."""


def encode_all(pictures: Images, methods: list[Method], seed: int, n_copies: int = 1) -> Encoded:
    """Encode every picture, its copies, and of the first `N_CHANGED` each change alone.

    A copy depends on the seed, its number and the sample_id alone. Stored vectors of the pictures,
    where there are any, are those of the first method and are not made again.

    Raises:
        EvaluationError: a method gives a vector without a direction.

    """
    is_stored, thumbnails, collected = pictures.vectors is not None, [], _Collected()
    with image_limits(None), progress("evaluate", len(pictures)) as advance:
        for start in range(0, len(pictures), _AT_ONCE):
            part = slice(start, min(start + _AT_ONCE, len(pictures)))
            encoded = pictures.read(part)
            thumbnails += [thumbnail(image) for image in encoded]
            ids = pictures.sample_ids[part]
            for what, images in _versions(encoded, ids, seed, n_copies, start):
                wanted = methods[1:] if what == ORIGINAL and is_stored else methods
                collected.add(what, images, wanted)
            advance(len(encoded))
    vectors = collected.vectors(pictures.sample_ids)
    if pictures.vectors is not None:
        stored = {methods[0].name: pictures.vectors[0]}
        vectors[ORIGINAL] = stored | vectors.get(ORIGINAL, {})
    copies = [vectors.pop(_copy_name(number)) for number in range(n_copies)]
    return Encoded(np.stack(thumbnails), vectors, copies, collected.seconds)


class _Collected:
    """What each method has made of each batch so far, and the time that it took."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[str, list[Vectors]]] = {}
        self._spent: dict[str, float] = defaultdict(float)
        self._n_images: dict[str, int] = defaultdict(int)

    def add(self, what: str, images: list[bytes], methods: list[Method]) -> None:
        """Encode one batch with each method."""
        for method in methods:
            began = time.perf_counter()
            made = method.encode(images)
            self._spent[method.name] += time.perf_counter() - began
            self._n_images[method.name] += len(images)
            self._parts.setdefault(what, {}).setdefault(method.name, []).append(made)

    def vectors(self, sample_ids: list[str]) -> dict[str, dict[str, Vectors]]:
        """All batches together, by what they are and by method."""
        return {
            what: {
                name: check_finite(np.concatenate(parts), f"{name}, {what}", sample_ids)
                for name, parts in by_method.items()
            }
            for what, by_method in self._parts.items()
        }

    @property
    def seconds(self) -> dict[str, float]:
        """A picture, by method."""
        return {name: spent / self._n_images[name] for name, spent in self._spent.items()}


def _versions(
    encoded: list[bytes], sample_ids: list[str], seed: int, n_copies: int, start: int
) -> Iterator[tuple[str, list[bytes]]]:
    """The pictures themselves, their copies, and the first ones' changes, encoded."""
    yield ORIGINAL, encoded
    images = [open_rgb(data) for data in encoded]
    for number in range(n_copies):
        copies = zip(images, _generators(sample_ids, seed, number), strict=True)
        yield _copy_name(number), [_png(web_copy(image, rng)) for image, rng in copies]
    few, rngs = images[: max(0, N_CHANGED - start)], _generators(sample_ids, seed)
    for kind in KINDS if few else ():
        yield kind, [_png(changed_alone(i, kind, rng)) for i, rng in zip(few, rngs, strict=False)]


def _copy_name(number: int) -> str:
    return f"copy {number + 1}"


def _generators(sample_ids: list[str], *seeds: int) -> list[np.random.Generator]:
    return [np.random.default_rng([*seeds, int(sample_id, 16)]) for sample_id in sample_ids]


def check_finite(vectors: Vectors, where: str, sample_ids: list[str]) -> Vectors:
    """The vectors; raises EvaluationError where one has no direction, and names its sample."""
    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(broken):
        raise EvaluationError(f"{where}: no finite vector of sample {sample_ids[int(broken[0])]}")
    return vectors


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
