"""Draws the planted images: squares on white, copies that differ a little, a pasted object."""

import io
from typing import Any

import numpy as np
from PIL import Image

SIDE = 128  # pixels of the planted images


def decode(encoded: bytes) -> Image.Image:
    """An image of the sample, RGB."""
    return Image.open(io.BytesIO(encoded)).convert("RGB")


def squared(image: Image.Image) -> Image.Image:
    """In the middle of a white square, 128 pixels a side."""
    canvas = Image.new("RGB", (SIDE, SIDE), "white")
    canvas.paste(image, ((SIDE - image.width) // 2, (SIDE - image.height) // 2))
    return canvas


def variant(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Nearly identical: cut by up to 3 pixels a side, up to 4 % darker, through JPEG."""
    left, top, right, bottom = rng.uniform(0, 3, 4)
    box = (left, top, image.width - right, image.height - bottom)
    cut = image.resize(image.size, Image.Resampling.BICUBIC, box=box)
    light = rng.uniform(0.96, 1.0)
    buffer = io.BytesIO()
    cut.point(lambda value: value * light).save(buffer, "JPEG", quality=int(rng.integers(75, 95)))
    return Image.open(buffer)


def with_object(image: Image.Image, pasted: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The object over one of the corners, 0.4 to 0.5 of the side wide."""
    width = round(SIDE * rng.uniform(0.4, 0.5))
    height = round(width * pasted.height / pasted.width)
    corner = (int(rng.integers(2)) * (SIDE - width), int(rng.integers(2)) * (SIDE - height))
    both = image.copy()
    both.paste(pasted.resize((width, height), Image.Resampling.BICUBIC), corner)
    return both


def draw(image: Image.Image, role: str, pasted: Image.Image, rng: np.random.Generator) -> bytes:
    """The encoded image of a row, by its role; exact copies are the same bytes."""
    if role == "variant":
        return encode(variant(image, rng), quality=90)
    return encode(with_object(image, pasted, rng) if role == "object" else image, lossless=True)


def encode(image: Image.Image, **how: Any) -> bytes:
    """As WebP."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", method=6, **how)
    return buffer.getvalue()
