"""Pictures, their copies and their single changes as vectors of every method, in one pass."""

import io
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from ..clusters.forest import Vectors
from ..errors import EvaluationError
from ..images.decode import image_limits
from ..progress import progress
from .copies import KINDS, changed_alone, web_copy
from .methods import Method
from .pictures import Pictures
from .rules import thumbnail

ORIGINAL, COPY = "original", "copy"
N_CHANGED = 128  # pictures that are changed in a single way, for each of the ways
_AT_ONCE = 64  # pictures, with all that is made of them, in memory


@dataclass(frozen=True)
class Encoded:
    """The vectors of n pictures."""

    thumbnails: Vectors
    vectors: dict[str, dict[str, Vectors]]
    """What (`ORIGINAL`, `COPY` or one of `KINDS`) and method: (n, d); of KINDS the first ones."""
    seconds: dict[str, float] = field(default_factory=dict)
    """What each method took for a picture on average, decoding included."""


def encode_all(pictures: Pictures, methods: list[Method], seed: int) -> Encoded:
    """Encode every picture, a copy of it, and of the first `N_CHANGED` each change alone.

    A copy depends on the seed and the sample_id alone. Stored vectors of the pictures, where there
    are any, are those of the first method and are not made again.

    Raises:
        EvaluationError: a method gives a vector without a direction.

    """
    thumbnails: list[Vectors] = []
    parts: dict[tuple[str, str], list[Vectors]] = defaultdict(list)
    spent = dict.fromkeys((method.name for method in methods), 0.0)
    n_encoded = dict(spent)
    with image_limits(None), progress("evaluate", len(pictures)) as advance:
        for start in range(0, len(pictures), _AT_ONCE):
            part = slice(start, min(start + _AT_ONCE, len(pictures)))
            encoded = pictures.read(part)
            thumbnails += map(thumbnail, encoded)
            for what, images in _versions(encoded, pictures.sample_ids[part], seed, start):
                for number, method in enumerate(methods):
                    if what == ORIGINAL and number == 0 and pictures.vectors is not None:
                        parts[what, method.name].append(pictures.vectors[0][part])
                        continue
                    began = time.perf_counter()
                    parts[what, method.name].append(method.encode(images))
                    spent[method.name] += time.perf_counter() - began
                    n_encoded[method.name] += len(images)
            advance(part.stop - part.start)
    vectors: dict[str, dict[str, Vectors]] = defaultdict(dict)
    for (what, name), found in parts.items():
        vectors[what][name] = _finite(np.concatenate(found), what, name, pictures)
    seconds = {name: spent[name] / n_encoded[name] for name in spent}
    return Encoded(np.stack(thumbnails), dict(vectors), seconds)


def _versions(
    encoded: list[bytes], sample_ids: list[str], seed: int, start: int
) -> Iterator[tuple[str, list[bytes]]]:
    """The pictures themselves, their copies, and the first ones' changes, encoded."""
    yield ORIGINAL, encoded
    images = [Image.open(io.BytesIO(data)).convert("RGB") for data in encoded]
    rngs = [np.random.default_rng([seed, int(sample_id, 16)]) for sample_id in sample_ids]
    copies = zip(images, rngs, strict=True)
    yield COPY, [_png(web_copy(image, rng)) for image, rng in copies]
    few = images[: max(0, N_CHANGED - start)]
    for kind in KINDS if few else ():
        yield kind, [_png(changed_alone(i, kind, rng)) for i, rng in zip(few, rngs, strict=False)]


def _finite(vectors: Vectors, what: str, method: str, pictures: Pictures) -> Vectors:
    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(broken):
        sample_id = pictures.sample_ids[int(broken[0])]
        raise EvaluationError(f"{method}: sample {sample_id} ({what}) has no finite vector")
    return vectors


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
