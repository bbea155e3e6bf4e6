"""Fewer tiles of an image than the stage cuts: each is a forward pass of the bundled CLIP."""

from collections.abc import Iterator

import pytest

from memtriggers.pipelines.detection import tile_vectors, zero_shot
from memtriggers.pipelines.images.tiles import Scale, n_tiles


@pytest.fixture(scope="module")
def ten_tiles() -> Iterator[None]:
    """The whole picture and thirds of its sides, side by side: 10 tiles instead of 35."""
    scales = (Scale(1, 1), Scale(3, 3))
    with pytest.MonkeyPatch.context() as patch:
        for module in (tile_vectors, zero_shot):
            patch.setattr(module, "SCALES", scales)
            patch.setattr(module, "N_TILES", n_tiles(scales))
        yield
