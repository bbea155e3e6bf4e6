"""Every pair of rows that may change a forest, found in blocks of products, a few at a time."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from ..core.cores import count_cores
from ..core.in_flight import in_flight
from .bound import STRIPE
from .edges import MARGIN, Edges, Rows, Vectors, concatenated
from .growing import GrowingForest, Known

Block = tuple[slice, slice]  # rows and columns

_BLOCK_ROWS = 1024  # 4 MB of products
_GPU_BLOCK_ROWS = 4096  # 64 MB of products, and as much again to compare them with


def rows_of_block(gpu: str | None) -> int:
    """The rows of a block of products on that GPU, or on the CPU."""
    return _BLOCK_ROWS if gpu is None else _GPU_BLOCK_ROWS


def near_pairs(
    vectors: Vectors, bounds: Vectors | None, growing: GrowingForest, blocks: Iterable[Block]
) -> Iterator[Edges]:
    """The pairs that may change a forest, each with its float32 product as its cosine.

    One list for each block.

    Args:
        vectors: (n, d), rows of norm 1; the nearer near rows are to each other, the faster.
        bounds: (n, k), see `bound.bounding`; without them, the products are of whole vectors.
        growing: the forest; what it knows when a block is begun spares that block some pairs.
        blocks: of the upper triangle.

    """
    threads = count_cores()
    with ThreadPoolExecutor(threads) as pool:

        def submit(block: Block) -> Future[Edges]:
            return pool.submit(_search, vectors, bounds, growing.known, *block)

        for _, future in in_flight(submit, blocks, 2 * threads):
            yield future.result()


def new_blocks(n: int, n_old: int, block_rows: int) -> Iterator[Block]:
    """The blocks of the upper triangle of (n, n), but for those of old rows alone.

    The diagonal comes first: most of what is near is there, and spares the others.
    """
    edges = [*range(0, n_old, block_rows), *range(n_old, n, block_rows), n]
    parts = [slice(*edge) for edge in pairwise(edges)]
    for offset in range(len(parts)):
        for rows, columns in zip(parts, parts[offset:], strict=False):
            if columns.start >= n_old:
                yield rows, columns


def _search(
    vectors: Vectors, bounds: Vectors | None, known: Known, rows: slice, columns: slice
) -> Edges:
    """The pairs of one block."""
    factors = vectors if bounds is None else bounds
    block = factors[rows] @ factors[columns].T
    found = []
    for top in range(0, len(block), STRIPE):
        stripe = slice(rows.start + top, min(rows.start + top + STRIPE, rows.stop))
        products = block[top : top + STRIPE]
        useless = known.useless_to_all(stripe, columns)
        near = np.flatnonzero(products.max(axis=0) > useless - np.float32(MARGIN)).astype(np.int32)
        if len(near):
            there = columns.start + near
            exact = products[:, near] if bounds is None else vectors[stripe] @ vectors[there].T
            found.append(_useful(exact, known, stripe, there))
    pairs = concatenated(found)
    return pairs if rows != columns else pairs.take(pairs.first < pairs.second)


def _useful(product: Vectors, known: Known, rows: slice, columns: Rows) -> Edges:
    """The pairs of the rows and the columns whose product may change the forest."""
    row, column = np.nonzero(product > known.useless(rows, columns))
    first = (rows.start + row).astype(np.int32)
    return Edges(first, columns[column], product[row, column].astype(np.float64))
