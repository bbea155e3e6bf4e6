"""Copies of pictures of any shape, and single changes."""

import io

import numpy as np
import pytest
from PIL import Image

from memtriggers.pipelines.evaluation.copies import KINDS, changed_alone, copy_of, web_copy
from memtriggers.pipelines.evaluation.rules import thumbnail


def noise(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("size", [(1, 1), (900, 7), (7, 900), (128, 128), (300, 200)])
def test_a_copy_has_the_size_of_its_picture(size: tuple[int, int]) -> None:
    for seed in range(30):
        copy = web_copy(noise(*size), np.random.default_rng(seed))
        assert (copy.size, copy.mode) == (size, "RGB")


def test_of_a_square_it_is_the_copy_that_models_are_trained_on() -> None:
    for seed in range(10):
        ours, theirs = (np.random.default_rng(seed) for _ in range(2))
        image = noise(128, 128)
        assert web_copy(image, ours).tobytes() == copy_of(image, theirs, 0.5).tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_each_change_changes_something(kind: str) -> None:
    image = noise(128, 96)
    changed = [changed_alone(image, kind, np.random.default_rng(seed)) for seed in range(20)]
    assert {copy.size for copy in changed} == {image.size}
    differ = [np.abs(np.asarray(c, float) - np.asarray(image, float)).mean() for c in changed]
    assert np.median(differ) > 0.05


def test_grey_alone_is_always_grey() -> None:
    for seed in range(20):
        pixels = np.asarray(changed_alone(noise(64, 64), "grey", np.random.default_rng(seed)))
        assert (pixels == pixels[..., :1]).all()


def test_thumbnails_see_through_a_shade_but_not_into_another_picture() -> None:
    image = noise(90, 128)
    pictures = [image, image.point(lambda v: v * 0.8), image.rotate(90), Image.new("RGB", (9, 9)),
                Image.new("L", (50, 20), 200)]  # fmt: skip
    thumbnails = np.stack([thumbnail(png(picture)) for picture in pictures])
    correlation = thumbnails @ thumbnails.T
    assert np.diag(correlation) == pytest.approx(1, abs=1e-5)
    assert correlation[0, 1] > 0.95
    assert correlation[0, 2] < 0.9
    assert correlation[3, 4] == pytest.approx(1), "one grey and another: nothing tells them apart"
    assert correlation[0, 3] == pytest.approx(0, abs=1e-6)
