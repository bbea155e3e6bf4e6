"""The components of nearly identical vectors, exact and at every threshold, from one forest.

The graph joins two vectors whose cosine reaches a threshold. Its maximum spanning forest has at
most n - 1 edges and the same components at every threshold, so that no list of all pairs need ever
exist: pairs come block by block and are folded into the forest of those before them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from .bound import bounding
from .edges import MARGIN, Edges, Rows, Vectors, concatenated, exact_cosines
from .growing import GrowingForest, labels
from .order import ordered
from .pairs import Block, near_pairs, new_blocks, rows_of_block


@dataclass(frozen=True)
class Start:
    """The forest of some of the rows, at the same thresholds, to begin with."""

    rows: Rows
    forest: Edges


NOTHING = Start(np.empty(0, np.int32), concatenated([]))


def spanning_forest(
    unit: Vectors,
    thresholds: Sequence[float],
    block_rows: int | None = None,
    advance: Callable[[int], None] = lambda blocks: None,
    start: Start = NOTHING,
    gpu: str | None = None,
) -> Edges:
    """The maximum spanning forest of all pairs whose cosine reaches the smallest threshold.

    Its components at each of `thresholds` are exact: whether a pair reaches one is decided by the
    float64 cosine of the float32 vectors. Neither `block_rows` nor the order of rows changes them.

    Args:
        unit: (n, d) float32, each row of norm 1.
        thresholds: cosines; the smallest is the floor of the forest.
        block_rows: rows of a block of products; if left out, those of `pairs.rows_of_block`.
        advance: called with 1 after each of `block_count(n, block_rows)` blocks, at most.
        start: only the other rows are compared, with these and with each other; the components are
            the same as without it.
        gpu: where blocks are multiplied, such as "cuda:0"; None: on the CPU. Pairs next to a
            threshold are decided on the CPU either way.

    Returns:
        At most n - 1 edges with their float64 cosines, sorted.

    """
    if not len(unit):
        return concatenated([])
    kept, first_copy = _distinct_rows(unit)
    is_old = np.zeros(len(unit), bool)
    is_old[first_copy[start.rows]] = True
    # BLAS has one thread in each of ours: within a small product, threads wait for each other.
    with threadpool_limits(1, user_api="blas"):
        order, pairs = ordered(unit[kept], ~is_old[kept])
        kept = kept[order]
        pairs = concatenated([pairs, _in_order(start.forest, kept, first_copy)])
        blocks = new_blocks(len(kept), int(is_old.sum()), block_rows or rows_of_block(gpu))
        forest = _grow(unit[kept], thresholds, pairs, blocks, advance, gpu).renamed(kept)
    cosine = exact_cosines(unit, forest.first, forest.second)
    forest = Edges(forest.first, forest.second, cosine)
    return concatenated([forest, _copies(first_copy)]).sorted()


def components(forest: Edges, n: int, threshold: float) -> Rows:
    """The smallest row of each row's component at a threshold, (n,) int32."""
    label = labels(forest, n, threshold)
    _, smallest = np.unique(label, return_index=True)
    return smallest.astype(np.int32)[label]


def block_count(n: int, block_rows: int) -> int:
    """How many blocks the upper triangle of n × n cosines has, at most."""
    side = -(-n // block_rows)
    return side * (side + 1) // 2


def _distinct_rows(unit: Vectors) -> tuple[Rows, Rows]:
    """The rows that are no copy of an earlier one, and each row's first copy."""
    # A group of k copies is a star of k - 1 edges; compared in blocks it would be k² / 2 pairs.
    rows = np.ascontiguousarray(unit).view(np.dtype((np.void, unit.shape[1] * unit.itemsize)))
    _, first, copy = np.unique(rows.ravel(), return_index=True, return_inverse=True)
    return np.sort(first).astype(np.int32), first[copy].astype(np.int32)


def _copies(first_copy: Rows) -> Edges:
    copies = np.flatnonzero(first_copy != np.arange(len(first_copy))).astype(np.int32)
    return Edges(first_copy[copies], copies, np.ones(len(copies)))


def _in_order(forest: Edges, kept: Rows, first_copy: Rows) -> Edges:
    """The edges of a forest between the rows that are kept, as places in their order."""
    place = np.empty(len(first_copy), np.int32)
    place[kept] = np.arange(len(kept))
    edges = forest.renamed(place[first_copy])
    return edges.take(edges.first < edges.second)


def _grow(
    vectors: Vectors,
    thresholds: Sequence[float],
    pairs: Edges,
    blocks: Iterable[Block],
    advance: Callable[[int], None],
    gpu: str | None,
) -> Edges:
    """The forest of some pairs and of those in the blocks."""
    growing = GrowingForest(len(vectors), thresholds)
    growing.add(_decided(pairs, vectors, thresholds))
    growing.settle()
    for pairs in _search(vectors, min(thresholds), growing, blocks, gpu):
        growing.add(_decided(pairs, vectors, thresholds))
        advance(1)
    return growing.fold()


def _search(
    vectors: Vectors,
    floor: float,
    growing: GrowingForest,
    blocks: Iterable[Block],
    gpu: str | None,
) -> Iterator[Edges]:
    if gpu is None:
        return near_pairs(vectors, bounding(vectors, floor), growing, blocks)
    from . import on_gpu  # torch takes seconds to import

    return on_gpu.near_pairs(vectors, growing, blocks, gpu)


def _decided(pairs: Edges, vectors: Vectors, thresholds: Sequence[float]) -> Edges:
    """The pairs that reach the floor; those next to a threshold with their exact cosine."""
    close = np.zeros(len(pairs), bool)
    for threshold in thresholds:
        close |= np.abs(pairs.cosine - threshold) < MARGIN
    pairs.cosine[close] = exact_cosines(vectors, pairs.first[close], pairs.second[close])
    return pairs.take(pairs.cosine >= min(thresholds))
