"""Cuts pictures into overlapping tiles: what is small in a picture fills one of them."""

import io
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageStat

from .decode import open_rgb

Picture = Image.Image

_FLAT = 5.0  # a tile whose colours have no larger standard deviation (of 0 to 255) shows nothing


class Scale(NamedTuple):
    """Tiles of a picture, each 1 / `parts` as wide and high, `grid` of them a side."""

    parts: int
    grid: int


def n_tiles(scales: Sequence[Scale]) -> int:
    """The tiles of a picture at all of these scales."""
    return sum(scale.grid**2 for scale in scales)


def cut_tiles(image: bytes, scales: Sequence[Scale]) -> list[Picture]:
    """The tiles of an encoded picture, scale by scale, row by row."""
    picture = open_rgb(image)
    return [picture.crop(box) for scale in scales for box in _boxes(*picture.size, scale)]


def relative_boxes(scales: Sequence[Scale]) -> list[tuple[float, float, float, float]]:
    """Where the tiles lie: left, top, right, bottom, from 0 to 1, in the order of `cut_tiles`."""
    side = 10_000
    return [
        (left / side, top / side, right / side, bottom / side)
        for scale in scales
        for left, top, right, bottom in _boxes(side, side, scale)
    ]


def _boxes(width: int, height: int, scale: Scale) -> list[tuple[int, int, int, int]]:
    wide, high = max(1, width // scale.parts), max(1, height // scale.parts)
    steps = max(1, scale.grid - 1)
    lefts = [round(n * (width - wide) / steps) for n in range(scale.grid)]
    tops = [round(n * (height - high) / steps) for n in range(scale.grid)]
    return [(left, top, left + wide, top + high) for top in tops for left in lefts]


def shows_something(tile: Picture) -> bool:
    """Whether a tile is more than one colour."""
    return bool(max(ImageStat.Stat(tile).stddev) > _FLAT)


def encoded(tile: Picture) -> bytes:
    """The tile as a file that costs next to nothing and loses nothing."""
    buffer = io.BytesIO()
    tile.save(buffer, "BMP")
    return buffer.getvalue()
