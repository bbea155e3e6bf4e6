"""Reads the sample for the trainings, and hands pictures to their models."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image

from ..pipelines.evaluation.held_out import is_held_out
from .bundled import ROWS, read_images

Array = np.ndarray[Any, Any]

SIZE = 192  # pixels a side of the model's input; the sample's long sides are 128


@dataclass(frozen=True)
class Sample:
    """The decoded sample."""

    urls: list[str]
    captions: list[str]
    pixels: Array  # (n, size, size, 3) uint8
    held_out: Array  # (n,) bool: never trained on

    def at(self, rows: Array) -> "Sample":
        """Some of its rows."""
        return Sample(
            [self.urls[row] for row in rows],
            [self.captions[row] for row in rows],
            self.pixels[rows],
            self.held_out[rows],
        )


def read_sample(size: int = SIZE) -> Sample:
    """Decode every image once, at one size: 4,283 × 192 × 192 × 3 bytes are 470 MB."""
    table = pq.read_table(ROWS, columns=["URL", "TEXT"])
    urls, captions = table["URL"].to_pylist(), table["TEXT"].to_pylist()
    pixels = np.stack([decode(image, size) for image in read_images().values()])
    return Sample(urls, captions, pixels, np.array([is_held_out(url) for url in urls]))


def decode(encoded: bytes, size: int) -> Array:
    """(size, size, 3) uint8, resized as the model's preprocessing does it."""
    image = Image.open(io.BytesIO(encoded)).convert("RGB")
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))


def same_picture(pixels: Array, correlation: float) -> Array:
    """(n, n) bool: whose 32 × 32 thumbnails correlate at least so much; needs no model.

    The sample has natural near-duplicates, which must not be trained apart or counted as errors.
    """
    thumbnails = [
        np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BOX), np.float32)
        for image in pixels
    ]
    flat = np.stack(thumbnails).reshape(len(pixels), -1)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True) + 1e-6
    return np.asarray(flat @ flat.T >= correlation) | np.eye(len(pixels), dtype=bool)


def to_input(images: Sequence[Array] | Array) -> torch.Tensor:
    """(n, 3, side, side) float32 in -1 … 1 of pictures (side, side, 3) uint8, channels last."""
    batch = torch.from_numpy(np.stack(list(images))).permute(0, 3, 1, 2).float()
    return batch.div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def in_batches(function: Callable[[torch.Tensor], torch.Tensor], pixels: Array) -> torch.Tensor:
    """(n, …) float32: what the function makes of the pictures, 64 at a time."""
    parts = range(0, len(pixels), 64)
    return torch.cat([function(to_input(pixels[start : start + 64])) for start in parts])
