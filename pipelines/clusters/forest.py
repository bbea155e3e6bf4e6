"""The components of nearly identical vectors, exact and at every threshold, from one forest.

The graph joins two vectors whose cosine reaches a threshold. Its maximum spanning forest has at
most n - 1 edges and the same components at every threshold, so that no list of all pairs need ever
exist: pairs come block by block and are folded into the forest of those before them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

Rows = npt.NDArray[np.int32]
Cosines = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]

MARGIN = 1e-5  # float32 products stray by less; within it of a threshold, float64 decides
BLOCK_ROWS = 2048  # 16 MB of products, and BLAS is at its full speed
BUFFERED_PAIRS = 1_000_000  # 16 bytes each; a block may add its own on top
LEVELS = 16  # at which a pair is looked up in the forest before it is kept


@dataclass(frozen=True)
class Edges:
    """Pairs of rows, `first < second`, and the cosine of each."""

    first: Rows  # (m,) int32
    second: Rows  # (m,) int32
    cosine: Cosines  # (m,) float64

    def __len__(self) -> int:
        return len(self.cosine)

    def take(self, which: npt.NDArray[np.generic]) -> "Edges":
        """Those of a mask or of a list of positions."""
        return Edges(self.first[which], self.second[which], self.cosine[which])

    def sorted(self) -> "Edges":
        """By row."""
        return self.take(np.lexsort((self.second, self.first)))


def renormalised(vectors: npt.NDArray[np.floating]) -> Vectors:
    """Rows of norm 1 in float32, (n, d); one of zeros becomes NaN, as one with a NaN stays."""
    wide = vectors.astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit: Vectors = wide / np.sqrt((wide * wide).sum(axis=1, keepdims=True))
    return unit


def spanning_forest(
    unit: Vectors,
    thresholds: Sequence[float],
    block_rows: int = BLOCK_ROWS,
    advance: Callable[[int], None] = lambda blocks: None,
) -> Edges:
    """The maximum spanning forest of all pairs whose cosine reaches the smallest threshold.

    Its components at each of `thresholds` are exact: whether a pair reaches one is decided by the
    float64 cosine of the float32 vectors. Neither `block_rows` nor the order of rows changes them.

    Args:
        unit: (n, d) float32, each row of norm 1.
        thresholds: cosines; the smallest is the floor of the forest.
        block_rows: rows of a block of products.
        advance: called with 1 after each of `block_count(n, block_rows)` blocks, at most.

    Returns:
        At most n - 1 edges with their float64 cosines, sorted.

    """
    kept, first_copy = _distinct_rows(unit)
    vectors = unit if len(kept) == len(unit) else unit[kept]
    growing = _GrowingForest(len(vectors))
    for pairs in _near_pairs(vectors, min(thresholds), block_rows):
        growing.add(_decided(pairs, vectors, thresholds))
        advance(1)
    forest = growing.folded()
    cosine = exact_cosines(vectors, forest.first, forest.second)
    forest = Edges(kept[forest.first], kept[forest.second], cosine)
    return _concatenated([forest, _copies(first_copy)]).sorted()


def components(forest: Edges, n: int, threshold: float) -> Rows:
    """The smallest row of each row's component at a threshold, (n,) int32."""
    label = _labels(forest, n, threshold)
    _, smallest = np.unique(label, return_index=True)
    return smallest.astype(np.int32)[label]


def exact_cosines(vectors: Vectors, first: Rows, second: Rows) -> Cosines:
    """The float64 cosines of pairs of rows, (m,); of two identical rows, exactly 1.

    NumPy sums each row by itself and in an order that depends on its length alone, so that a pair
    has the same cosine wherever it is met.
    """
    cosine = np.empty(len(first), np.float64)
    for start in range(0, len(first), 4096):
        part = slice(start, start + 4096)
        a = vectors[first[part]].astype(np.float64)
        b = vectors[second[part]].astype(np.float64)
        norms = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
        cosine[part] = np.minimum((a * b).sum(axis=1) / norms, 1.0)
    return cosine


def block_count(n: int, block_rows: int = BLOCK_ROWS) -> int:
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


def _near_pairs(vectors: Vectors, floor: float, block_rows: int) -> Iterator[Edges]:
    """Every pair of rows that may reach the floor, one block of the upper triangle at a time."""
    n = len(vectors)
    products = np.empty(min(n, block_rows) ** 2, np.float32)
    for top in range(0, n, block_rows):
        rows = vectors[top : top + block_rows]
        for left in range(top, n, block_rows):
            columns = vectors[left : left + block_rows]
            block = products[: len(rows) * len(columns)]
            np.matmul(rows, columns.T, out=block.reshape(len(rows), len(columns)))
            near = np.flatnonzero(block >= floor - MARGIN)
            first, second = np.divmod(near.astype(np.int32), np.int32(len(columns)))
            pairs = Edges(first + np.int32(top), second + np.int32(left), block[near].astype(float))
            yield pairs if left > top else pairs.take(pairs.first < pairs.second)


def _decided(pairs: Edges, vectors: Vectors, thresholds: Sequence[float]) -> Edges:
    """The pairs that reach the floor; those next to a threshold with their exact cosine."""
    close = np.zeros(len(pairs), bool)
    for threshold in thresholds:
        close |= np.abs(pairs.cosine - threshold) < MARGIN
    pairs.cosine[close] = exact_cosines(vectors, pairs.first[close], pairs.second[close])
    return pairs.take(pairs.cosine >= min(thresholds))


class _GrowingForest:
    """The maximum spanning forest of the pairs so far; a bounded number wait to be folded in."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.forest = _concatenated([])
        self.waiting: list[Edges] = []
        self.levels = np.empty(0)  # (k,) cosines, ascending
        self.component_at = np.empty((0, n), np.int32)  # of each row, at each level

    def add(self, pairs: Edges) -> None:
        """Let pairs wait, and fold when too many do."""
        self.waiting.append(self._unknown(pairs))
        if sum(map(len, self.waiting)) > BUFFERED_PAIRS:
            self.forest = self.folded()
            self.waiting = []
            self.levels = np.unique(np.quantile(self.forest.cosine, np.linspace(0, 1, LEVELS)))
            at = [_labels(self.forest, self.n, level) for level in self.levels]
            self.component_at = np.stack(at)

    def folded(self) -> Edges:
        """The forest with the waiting pairs in it."""
        edges = _concatenated([self.forest, *self.waiting])
        # SciPy's tree is a minimum one, and it takes a weight of zero for no edge.
        weight = np.where(edges.cosine == 0, np.finfo(float).smallest_subnormal, -edges.cosine)
        graph = coo_array((weight, (edges.first, edges.second)), shape=(self.n, self.n))
        tree = minimum_spanning_tree(graph.tocsr(), overwrite=True).tocoo()
        return Edges(tree.row, tree.col, -tree.data)

    def _unknown(self, pairs: Edges) -> Edges:
        """The pairs that the forest does not join already, by edges that are no weaker."""
        if not len(self.levels):
            return pairs
        level = np.searchsorted(self.levels[:-1], pairs.cosine)  # at least the cosine, or the last
        component = self.component_at[level, pairs.first]
        joined = component == self.component_at[level, pairs.second]
        return pairs.take(~joined | (pairs.cosine > self.levels[-1]))


def _labels(forest: Edges, n: int, threshold: float) -> Rows:
    """A number for each row's component at a threshold, (n,)."""
    edges = forest.take(forest.cosine >= threshold)
    graph = coo_array((np.ones(len(edges), np.int8), (edges.first, edges.second)), shape=(n, n))
    label: Rows = connected_components(graph, directed=False)[1]
    return label


def _concatenated(edges: list[Edges]) -> Edges:
    return Edges(
        np.concatenate([np.empty(0, np.int32), *(e.first for e in edges)]),
        np.concatenate([np.empty(0, np.int32), *(e.second for e in edges)]),
        np.concatenate([np.empty(0), *(e.cosine for e in edges)]),
    )
