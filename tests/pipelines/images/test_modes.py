"""A picture of any mode is what its RGB twin is, to everything that reads encoded pictures."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from memtriggers.pipelines.clip.batches import Batches
from memtriggers.pipelines.clip.encoder import Encoder
from memtriggers.pipelines.clip.model import find_clip
from memtriggers.pipelines.clip.tower import PREPROCESSINGS, Tower
from memtriggers.pipelines.core.study import Fetch, Study
from memtriggers.pipelines.evaluation.encoded import encode_all
from memtriggers.pipelines.evaluation.images import Images
from memtriggers.pipelines.evaluation.methods import Method, find_peers
from memtriggers.pipelines.evaluation.rules import thumbnail
from memtriggers.pipelines.images.decode import image_limits, store_image
from memtriggers.pipelines.images.thumbnails import make_thumbnail
from memtriggers.pipelines.images.tiles import Scale, cut_tiles
from memtriggers.pipelines.replication.pixels import read_pixels

SIDE = 96  # pixels: larger than what the models see, so that everything is made smaller
MODES = ("1", "L", "P", "P-transparent", "LA", "RGBA", "CMYK", "I;16", "I;16B")
Pixels = npt.NDArray[np.uint8]


def noise(*bands: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, *bands), np.uint8)


def encode(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def on_white(colours: Pixels, alpha: Pixels) -> Pixels:
    share = alpha[..., None] / 255
    return np.round(colours * share + 255 * (1 - share)).astype(np.uint8)


def example(mode: str) -> tuple[bytes, bytes]:
    """A picture of a mode as a file that loses nothing, and its RGB twin as another."""
    encoded, pixels = _EXAMPLES[mode[:4]](mode)
    return encoded, encode(Image.fromarray(pixels), "PNG")


def _opaque(mode: str) -> tuple[bytes, Pixels]:
    picture = Image.fromarray(noise(3)).convert(mode)
    return encode(picture, "TIFF" if mode == "CMYK" else "PNG"), np.asarray(picture.convert("RGB"))


def _transparent(mode: str) -> tuple[bytes, Pixels]:
    picture = Image.fromarray(noise(len(mode)), mode)
    *colours, alpha = (np.asarray(band) for band in picture.split())
    rgb = np.stack(colours * 3 if mode == "LA" else colours, axis=-1)
    return encode(picture, "PNG"), on_white(rgb, alpha)


def _transparent_palette(_: str) -> tuple[bytes, Pixels]:
    picture = Image.fromarray(noise(3)).quantize(32)
    alpha = bytes(range(0, 256, 8))  # of each colour
    opacity = np.frombuffer(alpha, np.uint8)[np.asarray(picture)]
    pixels = on_white(np.asarray(picture.convert("RGB")), opacity)
    return encode(picture, "PNG", transparency=alpha), pixels


def _deep(mode: str) -> tuple[bytes, Pixels]:
    values = noise().astype(np.uint16) * 257
    picture = Image.frombytes(
        mode, (SIDE, SIDE), values.astype(">u2" if mode == "I;16B" else "<u2").tobytes()
    )
    return encode(picture, "TIFF"), np.repeat(noise()[..., None], 3, axis=-1)


_EXAMPLES: dict[str, Callable[[str], tuple[bytes, Pixels]]] = {
    **dict.fromkeys(("1", "L", "P", "CMYK"), _opaque),
    **dict.fromkeys(("LA", "RGBA"), _transparent),
    "P-tr": _transparent_palette,
    "I;16": _deep,
}


def _pixels_of_file(encoded: bytes) -> Pixels:
    with Image.open(io.BytesIO(encoded)) as picture:
        return np.asarray(picture.convert("RGB"))


def _stored(encoded: bytes) -> Pixels:
    with image_limits(None):
        return _pixels_of_file(store_image(encoded, Fetch(short_side=48)).image)


def _tower(encoded: bytes) -> npt.NDArray[np.float32]:
    """What a network sees that hands on what it is given."""
    tower = Tower(torch.nn.Flatten(), PREPROCESSINGS["dcr224"], Batches("cpu", 1, 1))
    return tower.images([encoded])


def _hash(encoded: bytes) -> npt.NDArray[np.float32]:
    pytest.importorskip("imagehash")
    peers, _ = find_peers("cpu", None)
    return next(peer for peer in peers if peer.name == "phash").encode([encoded])


def _copies(encoded: bytes) -> npt.NDArray[np.float32]:
    """The copies that `evaluate` makes of a picture, as small pictures."""
    pictures = Images("a picture", ["0" * 32], [""], lambda _: [encoded])
    method = Method("thumbnails", lambda images: np.stack([thumbnail(i) for i in images]))
    return encode_all(pictures, [method], seed=0).copies[0]["thumbnails"]


READERS: dict[str, Callable[[bytes], Any]] = {
    "fetch": _stored,
    "descriptor of copies": _tower,
    "tiles": lambda encoded: np.stack(list(map(np.asarray, cut_tiles(encoded, (Scale(2, 3),))))),
    "thumbnails": lambda encoded: _pixels_of_file(make_thumbnail(encoded).webp),
    "score": lambda encoded: read_pixels([encoded]),
    "pairs of evaluate": thumbnail,
    "hashes of evaluate": _hash,
    "copies of evaluate": _copies,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("mode", MODES)
def test_readers_see_the_rgb_twin(reader: str, mode: str) -> None:
    seen, expected = map(READERS[reader], example(mode))
    assert np.allclose(seen, expected, atol=2 if seen.dtype == np.uint8 else 0.02)


@pytest.mark.parametrize("mode", MODES)
def test_the_model_sees_the_rgb_twin(
    mode: str, tiny_clip: Path, make_study: Callable[..., Study]
) -> None:
    study = make_study(sections=f'[clip]\nmodel = "{tiny_clip}"')
    encoder = Encoder(find_clip(study), "cpu", 1, 1)
    seen, expected = map(encoder.decode, example(mode))
    assert torch.allclose(seen, expected, atol=0.02)
