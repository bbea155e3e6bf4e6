"""What a forest knows: the weakest edge on the way to a hub, and pairs that come twice."""

import networkx as nx
import numpy as np
import pytest

from memtriggers.pipelines.clusters.edges import Edges
from memtriggers.pipelines.clusters.growing import GrowingForest


def make_pairs(seed: int, n: int, number: int) -> Edges:
    """Random pairs, each with a random cosine of its own."""
    random = np.random.default_rng(seed)
    first, second = np.triu_indices(n, 1)
    chosen = random.permutation(len(first))[:number]
    cosine = random.uniform(0.5, 1, number)
    return Edges(first[chosen].astype(np.int32), second[chosen].astype(np.int32), cosine)


def as_graph(forest: Edges, n: int) -> nx.Graph:
    graph = nx.Graph()
    graph.add_nodes_from(range(n))
    for a, b, cosine in zip(forest.first, forest.second, forest.cosine, strict=True):
        graph.add_edge(int(a), int(b), weight=float(cosine))
    return graph


@pytest.mark.parametrize(("n", "number"), [(2, 1), (30, 12), (60, 400), (200, 180)])
def test_no_pair_is_called_useless_that_would_change_the_forest(n: int, number: int) -> None:
    growing = GrowingForest(n, [0.5])
    growing.add(make_pairs(n, n, number))
    growing.settle()
    graph, everything = as_graph(growing.forest, n), np.arange(n, dtype=np.int32)
    useless = growing.known.useless(slice(0, n), everything)
    n_spared = 0
    for a in range(n):
        for b, path in nx.single_source_shortest_path(graph, a).items():
            if a != b:
                weakest = min(graph.edges[edge]["weight"] for edge in nx.utils.pairwise(path))
                assert useless[a, b] <= weakest + 1e-6
                n_spared += int(useless[a, b] > 0.5)
        apart = [b for b in range(n) if not nx.has_path(graph, a, b)]
        assert np.all(useless[a, apart] == growing.known.floor)
    assert n_spared
    for_all = growing.known.useless_to_all(slice(0, n // 2), slice(0, n))
    assert np.all(for_all <= useless[: n // 2].min(axis=0))


def test_next_to_a_threshold_nothing_counts_as_known() -> None:
    growing = GrowingForest(3, [0.5, 0.8])
    growing.add(Edges(np.array([0, 1], np.int32), np.array([1, 2], np.int32), np.array([0.8, 0.9])))
    growing.settle()
    useless = growing.known.useless(slice(0, 3), np.arange(3, dtype=np.int32))
    assert useless[0, 1] == pytest.approx(0.8 - 1e-5, abs=1e-7)
    assert useless[1, 2] == pytest.approx(0.9)


def test_pairs_that_come_twice_count_once() -> None:
    pairs = make_pairs(1, 40, 300)
    once, twice = GrowingForest(40, [0.5]), GrowingForest(40, [0.5])
    once.add(pairs)
    for part in (pairs, pairs, pairs.take(np.arange(100))):
        twice.add(part)
    assert np.array_equal(once.fold().sorted().cosine, twice.fold().sorted().cosine)
    expected = nx.maximum_spanning_tree(as_graph(pairs, 40)).size(weight="weight")
    assert once.forest.cosine.sum() == pytest.approx(expected)
