"""A maximum spanning forest that grows by pairs, and what it knows to spare the search for them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

from .edges import MARGIN, Cosines, Edges, Rows, Vectors, concatenated

BUFFERED_PAIRS = 1_000_000  # 16 bytes each; a block may add its own on top
LEVELS = 16  # at which a pair is looked up in the forest before it is kept


@dataclass(frozen=True)
class Known:
    """What a forest joins already: each row to the hub of its tree.

    Two rows of a tree are joined by edges of at least the smaller of their `to_hub`: a pair whose
    product is no larger does not change the forest.
    """

    floor: np.float32  # products that are no larger are of no use at all
    tree: Rows  # (n,) a number for each row's tree
    to_hub: Vectors  # (n,)

    def useless(self, rows: slice, columns: Rows) -> Vectors:
        """The product of each row with each column up to which it is of no use."""
        joined = np.minimum(self.to_hub[rows, None], self.to_hub[columns])
        return np.where(self.tree[rows, None] == self.tree[columns], joined, self.floor)

    def useless_to_all(self, rows: slice, columns: slice) -> Vectors:
        """The product of any of the rows with each column up to which it is of no use."""
        tree = self.tree[rows]
        if (tree != tree[0]).any():
            return np.full(columns.stop - columns.start, self.floor)
        joined = np.minimum(self.to_hub[columns], self.to_hub[rows].min())
        return np.where(self.tree[columns] == tree[0], joined, self.floor)


class GrowingForest:
    """The maximum spanning forest of the pairs so far; a bounded number wait to be folded in."""

    def __init__(self, n: int, thresholds: Sequence[float]) -> None:
        self.n = n
        self.thresholds = thresholds
        self.forest = concatenated([])
        self.waiting: list[Edges] = []
        self.n_waiting = 0
        self.levels = np.empty(0)  # (k,) cosines, ascending
        self.component_at = np.empty((0, n), np.int32)  # of each row, at each level
        floor = np.float32(min(thresholds) - MARGIN)
        self.known = Known(floor, np.arange(n, dtype=np.int32), np.full(n, floor))

    def add(self, pairs: Edges) -> None:
        """Let pairs wait, each with its exact cosine if that is next to a threshold.

        When too many wait, they are folded in. A pair may come twice.
        """
        self.waiting.append(self._unknown(pairs))
        self.n_waiting += len(self.waiting[-1])
        if self.n_waiting > BUFFERED_PAIRS:
            self.settle()

    def fold(self) -> Edges:
        """The forest with all pairs in it."""
        edges = concatenated([self.forest, *self.waiting])
        # SciPy's tree is a minimum one, and it takes a weight of zero for no edge.
        weight = np.where(edges.cosine == 0, np.finfo(float).smallest_subnormal, -edges.cosine)
        # Its rows are filled by hand: SciPy would add up the weights of a pair that came twice.
        by_first = np.argsort(edges.first, kind="stable")
        starts = np.searchsorted(edges.first, np.arange(self.n + 1), sorter=by_first)
        graph = csr_array((weight[by_first], edges.second[by_first], starts), (self.n, self.n))
        tree = minimum_spanning_tree(graph, overwrite=True).tocoo()
        self.forest = Edges(tree.row, tree.col, -tree.data)
        self.waiting, self.n_waiting = [], 0
        return self.forest

    def settle(self) -> None:
        """Fold all pairs in, and learn what is joined by now."""
        if not len(self.fold()):
            return
        self.levels = np.unique(np.quantile(self.forest.cosine, np.linspace(0, 1, LEVELS)))
        at = [labels(self.forest, self.n, level) for level in self.levels]
        self.component_at = np.stack(at)
        to_hub = _to_hubs(self.forest, at[0])
        # Next to a threshold a product may hide a cosine that reaches it: nothing counts as known.
        for threshold in self.thresholds:
            to_hub[np.abs(to_hub - threshold) <= MARGIN] = threshold - MARGIN
        self.known = Known(self.known.floor, at[0], to_hub.astype(np.float32))

    def _unknown(self, pairs: Edges) -> Edges:
        """The pairs that the forest does not join already, by edges that are no weaker."""
        if not len(self.levels):
            return pairs
        level = np.searchsorted(self.levels[:-1], pairs.cosine)  # at least the cosine, or the last
        component = self.component_at[level, pairs.first]
        joined = component == self.component_at[level, pairs.second]
        return pairs.take(~joined | (pairs.cosine > self.levels[-1]))


def labels(forest: Edges, n: int, threshold: float) -> Rows:
    """A number for each row's component at a threshold, (n,)."""
    edges = forest.take(forest.cosine >= threshold)
    graph = coo_array((np.ones(len(edges), np.int8), (edges.first, edges.second)), shape=(n, n))
    label: Rows = connected_components(graph, directed=False)[1]
    return label


def _to_hubs(forest: Edges, tree: Rows) -> Cosines:
    """The weakest edge between each row and the hub of its tree, (n,); of a hub, infinite.

    A hub is a row with the most edges of its tree: in a group of nearly identical vectors, one in
    its middle.
    """
    n = len(tree)
    n_edges = np.bincount(np.concatenate([forest.first, forest.second]), minlength=n)
    by_edges = np.argsort(n_edges, kind="stable").astype(np.int32)
    hubs = np.empty(tree.max() + 1, np.int32)
    hubs[tree[by_edges]] = by_edges  # the last one written has the most
    above = _parents(forest, hubs, n)
    child = np.where(above[forest.first] == forest.second, forest.first, forest.second)
    weakest = np.full(n + 1, np.inf)
    weakest[child] = forest.cosine
    while (above != n).any():  # each time, twice as far up
        weakest = np.minimum(weakest, weakest[above])
        above = above[above]
    return weakest[:n]


def _parents(forest: Edges, hubs: Rows, n: int) -> Rows:
    """The next row on the way to the hub, (n + 1,): n is above all hubs, and above itself."""
    first = np.concatenate([forest.first, np.full(len(hubs), n, np.int32)])
    second = np.concatenate([forest.second, hubs])
    graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(n + 1, n + 1))
    above: Rows = breadth_first_order(graph.tocsr(), n, directed=False)[1]
    above[n] = n
    return above
