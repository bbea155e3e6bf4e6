"""Fewer tiles of an image than the stage cuts: each is a forward pass of the bundled CLIP."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from memtriggers.pipelines.detection import tile_vectors, zero_shot
from memtriggers.pipelines.images.tiles import Scale, n_tiles


@contextmanager
def few_tiles(*scales: Scale) -> Iterator[None]:
    """Let the stage cut these, instead of 35 tiles."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (tile_vectors, zero_shot):
            patch.setattr(module, "SCALES", scales)
            patch.setattr(module, "N_TILES", n_tiles(scales))
        yield


@pytest.fixture(scope="module")
def ten_tiles() -> Iterator[None]:
    """The whole picture and thirds of its sides, side by side."""
    with few_tiles(Scale(1, 1), Scale(3, 3)):
        yield


@pytest.fixture
def two_tiles() -> Iterator[None]:
    """The whole picture and its middle: too few to find much in."""
    with few_tiles(Scale(1, 1), Scale(2, 1)):
        yield
