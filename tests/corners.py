"""A descriptor of copies that can be told by hand, as TorchScript."""

import warnings
from pathlib import Path

import torch


class Corners(torch.nn.Module):
    """The means of the four quarters of each colour, and the shape that the network saw."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(b, 3, height, width) to (b, 14)."""
        means = torch.nn.functional.adaptive_avg_pool2d(pixels, 2).flatten(1)
        shape = torch.tensor([[pixels.shape[2], pixels.shape[3]]], dtype=torch.float32)
        return torch.cat([means, shape.expand(len(means), 2) / 1000], 1)


def save_corners(path: Path) -> Path:
    """Save the network; returns the path."""
    with warnings.catch_warnings(action="ignore"):  # torch calls all of TorchScript old
        torch.jit.save(torch.jit.script(Corners()), path)
    return path
