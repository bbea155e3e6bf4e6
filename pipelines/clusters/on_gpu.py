"""Pairs that may change a forest, found on a GPU by whole products: cheaper there than a bound."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from .edges import Edges, Vectors
from .growing import GrowingForest, Known
from .pairs import Block


def near_pairs(
    vectors: Vectors, growing: GrowingForest, blocks: Iterable[Block], device: str
) -> Iterator[Edges]:
    """The pairs that may change a forest, each with its float32 product as its cosine.

    One list for each block; see `pairs.near_pairs`, which does the same on the CPU.

    Args:
        vectors: (n, d), rows of norm 1; all of them are moved to the device.
        growing: the forest; what it knows when a block is begun spares that block some pairs.
        blocks: of the upper triangle.
        device: of torch, such as "cuda:0"; "cpu" finds the same.

    """
    torch.backends.cuda.matmul.allow_tf32 = False  # 10 bits would be wrong by more than MARGIN
    on_device = torch.from_numpy(vectors).to(device)
    known, joined = growing.known, _Joined(growing.known, device)
    for rows, columns in blocks:
        if growing.known is not known:
            known, joined = growing.known, _Joined(growing.known, device)
        products = on_device[rows] @ on_device[columns].T
        row, column = torch.nonzero(products > joined.useless(rows, columns), as_tuple=True)
        cosine = products[row, column].double().cpu().numpy()
        first, second = (
            (part.start + places.cpu().numpy()).astype(np.int32)
            for part, places in ((rows, row), (columns, column))
        )
        pairs = Edges(first, second, cosine)
        yield pairs if rows != columns else pairs.take(first < second)


class _Joined:
    """What a forest joins already, on a device; see `Known`."""

    def __init__(self, known: Known, device: str) -> None:
        self.floor = torch.tensor(known.floor, device=device)
        self.tree = torch.from_numpy(known.tree).to(device)
        self.to_hub = torch.from_numpy(known.to_hub).to(device)

    def useless(self, rows: slice, columns: slice) -> torch.Tensor:
        """The product of each row with each column up to which it is of no use."""
        joined = torch.minimum(self.to_hub[rows, None], self.to_hub[columns])
        return torch.where(self.tree[rows, None] == self.tree[columns], joined, self.floor)
