"""Distances of pixels beside their formulas, written out."""

import io

import numpy as np
import pytest
from PIL import Image

from memtriggers.pipelines.replication.pixels import (
    SIDE,
    Pixels,
    l2,
    l2_tiles,
    read_pixels,
    squared_errors,
    template_mask,
    webster,
)


def random_pixels(n: int, seed: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (n, SIDE, SIDE, 3), np.uint8)


def encoded(pixels: Pixels, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def test_they_are_what_their_formulas_say() -> None:
    generated, references = random_pixels(2, 0), random_pixels(3, 1)
    mask = np.random.default_rng(2).random((SIDE, SIDE)) < 0.3
    whole = squared_errors(generated, references)
    masked = squared_errors(generated, references, mask)
    for i, g in enumerate(generated / 255.0):
        for j, t in enumerate(references / 255.0):
            square = (g - t) ** 2
            tiles = [
                square[y : y + 64, x : x + 64].mean()
                for y in range(0, SIDE, 64)
                for x in range(0, SIDE, 64)
            ]
            assert l2(whole)[i, j] == pytest.approx(np.sqrt(square.mean()), rel=1e-12)
            assert l2_tiles(whole)[i, j] == pytest.approx(np.sqrt(max(tiles)), rel=1e-12)
            template = (square * mask[:, :, None]).sum() / mask.mean()
            assert webster(masked, mask)[i, j] == pytest.approx(template, rel=1e-12)


def test_an_exact_copy_has_distance_0_and_one_level_of_one_pixel_is_seen() -> None:
    pixels = random_pixels(2, 3)
    almost = pixels.copy()
    almost[0, 5, 5, 0] ^= 1
    errors = squared_errors(pixels, pixels)
    assert np.diag(l2(errors)).tolist() == np.diag(l2_tiles(errors)).tolist() == [0.0, 0.0]
    assert squared_errors(pixels[:1], almost[:1]).sum() == 1.0


def test_a_picture_that_shares_its_background_alone_is_far_by_its_worst_tile() -> None:
    pixels = np.zeros((2, SIDE, SIDE, 3), np.uint8)
    pixels[1, :64, :64] = 255
    errors = squared_errors(pixels[:1], pixels[1:])
    assert l2(errors)[0, 0] == pytest.approx(0.25)
    assert l2_tiles(errors)[0, 0] == 1.0


def test_pictures_are_brought_to_the_centre_at_256_pixels() -> None:
    wide = np.zeros((300, 512, 3), np.uint8)
    wide[:, 106:406] = 200  # the middle square
    assert (read_pixels([encoded(wide)])[0][8:-8, 8:-8] == 200).all()
    already = random_pixels(1, 4)
    assert (read_pixels([encoded(already[0])]) == already).all()
    grey = Image.fromarray(np.full((20, 10), 7, np.uint8))
    buffer = io.BytesIO()
    grey.save(buffer, "PNG")
    assert (read_pixels([buffer.getvalue()]) == 7).all()


def test_the_mask_leaves_out_what_varies_between_near_copies() -> None:
    first = random_pixels(1, 5)[0]
    second = first.copy()
    second[100:120, 40:60] = 255 - second[100:120, 40:60]  # another caption in the same poster
    errors = squared_errors(first[None], second[None]).sum() / 255**2
    assert 100 < errors < 1000
    mask = template_mask(np.stack([first, second]))
    assert not mask[103:117, 43:57].any()
    assert mask[:98].all() and mask[122:].all()
    masked = squared_errors(first[None], second[None], mask)
    assert webster(masked, mask)[0, 0] == 0.0
    assert template_mask(random_pixels(3, 6)).all()  # no two of them are near copies
