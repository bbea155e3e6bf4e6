"""The forest has the components of the whole graph, however its pairs are cut into blocks."""

import networkx as nx
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtriggers.pipelines.clusters import bound, growing, pairs
from memtriggers.pipelines.clusters.edges import Vectors, exact_cosines, renormalised
from memtriggers.pipelines.clusters.forest import Start, components, spanning_forest
from memtriggers.pipelines.clusters.pairs import new_blocks

THRESHOLDS = (0.7, 0.85, 0.9, 0.95)


def make_vectors(
    seed: int, n: int, dimensions: int, dtype: npt.DTypeLike, spread: float
) -> Vectors:
    """Vectors around few centres, some of them copies; a spread of 10 leaves no centre."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((max(1, n // 6), dimensions))
    vectors = centres[random.integers(0, len(centres), n)]
    vectors += spread * random.random((n, 1)) * random.standard_normal((n, dimensions))
    copies = random.random(n) < 0.1
    vectors[copies] = vectors[random.integers(0, n, n)[copies]]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return renormalised(vectors.astype(dtype))


def smallest_of_component(joined: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """The smallest row of each row's component in a whole graph, (n, n) bool."""
    graph = nx.Graph()
    graph.add_nodes_from(range(len(joined)))
    graph.add_edges_from(np.argwhere(np.triu(joined, 1)).tolist())
    smallest = np.empty(len(joined), np.int64)
    for component in nx.connected_components(graph):
        smallest[list(component)] = min(component)
    return smallest


def brute_force(unit: Vectors, threshold: float) -> npt.NDArray[np.int64]:
    wide = unit.astype(np.float64)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    return smallest_of_component(wide @ wide.T >= threshold)


def assert_exact(unit: Vectors, block_rows: int) -> None:
    forest = spanning_forest(unit, THRESHOLDS, block_rows)
    for threshold in THRESHOLDS:
        found = components(forest, len(unit), threshold)
        assert np.array_equal(found, brute_force(unit, threshold))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 200), block_rows=st.integers(1, 250))
def test_torch_finds_what_numpy_finds(seed: int, n: int, block_rows: int) -> None:
    # On its CPU device: what a GPU runs is the same code.
    unit = make_vectors(seed, n, 16, np.float32, 0.5)
    forest = spanning_forest(unit, THRESHOLDS, block_rows, gpu="cpu")
    for threshold in THRESHOLDS:
        found = components(forest, len(unit), threshold)
        assert np.array_equal(found, brute_force(unit, threshold))


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 200),
    dimensions=st.integers(2, 48),
    dtype=st.sampled_from([np.float16, np.float32]),
    spread=st.sampled_from([0.0, 0.2, 0.5, 1.0, 10.0]),
    blocks=st.integers(1, 12),
    buffered_pairs=st.sampled_from([10, 200, 1_000_000]),
    stripe=st.sampled_from([1, 5, 64]),
    cost_of_passing=st.sampled_from([0.0, 2.0, 1e9]),
)
def test_the_components_are_those_of_the_whole_graph(
    seed: int,
    n: int,
    dimensions: int,
    dtype: npt.DTypeLike,
    spread: float,
    blocks: int,
    buffered_pairs: int,
    stripe: int,
    cost_of_passing: float,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growing, "BUFFERED_PAIRS", buffered_pairs)
        patch.setattr(bound, "WIDTHS", (2, 4, 16))
        patch.setattr(bound, "_GATHERED", cost_of_passing)
        patch.setattr(bound, "STRIPE", stripe)
        patch.setattr(pairs, "STRIPE", stripe)
        assert_exact(make_vectors(seed, n, dimensions, dtype, spread), -(-n // blocks))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("spread", [0.5, 10.0])
def test_many_vectors(dtype: npt.DTypeLike, spread: float) -> None:
    assert_exact(make_vectors(1, 5000, 128, dtype, spread), block_rows=1024)


def test_the_components_are_those_of_dbscan() -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    unit = make_vectors(8, 2000, 64, np.float32, 0.5)
    found = components(spanning_forest(unit, THRESHOLDS), len(unit), 0.9)
    dbscan = cluster.DBSCAN(eps=1 - 0.9, min_samples=1, metric="cosine").fit(unit.astype(float))
    pairs_of_labels = set(zip(found.tolist(), dbscan.labels_.tolist(), strict=True))
    assert len(pairs_of_labels) == len(np.unique(found)) == len(set(dbscan.labels_.tolist()))


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 150),
    share_old=st.sampled_from([0.0, 0.1, 0.5, 0.95, 1.0]),
    spread=st.sampled_from([0.0, 0.2, 0.5, 10.0]),
    block_rows=st.sampled_from([7, 40, 1000]),
)
def test_adding_rows_gives_the_components_of_starting_over(
    seed: int, n: int, share_old: float, spread: float, block_rows: int
) -> None:
    unit = make_vectors(seed, n, 12, np.float16, spread)
    old = np.flatnonzero(np.random.default_rng(seed).random(n) < share_old).astype(np.int32)
    before = Start(old, spanning_forest(unit[old], THRESHOLDS).renamed(old))
    grown = spanning_forest(unit, THRESHOLDS, block_rows, start=before)
    for threshold in THRESHOLDS:
        assert np.array_equal(components(grown, n, threshold), brute_force(unit, threshold))


def test_old_rows_are_not_compared_again() -> None:
    blocks = list(new_blocks(n=10, n_old=6, block_rows=4))
    compared = np.zeros((10, 10), int)
    for rows, columns in blocks:
        compared[rows, columns] += 1
    compared = np.triu(compared)
    assert not compared[:6, :6].any()
    assert np.array_equal(compared[:, 6:], np.triu(np.ones((10, 10), int))[:, 6:])


def test_the_order_of_the_rows_does_not_change_who_is_together() -> None:
    unit = make_vectors(2, 300, 16, np.float32, 0.5)
    order = np.random.default_rng(3).permutation(len(unit))
    straight = components(spanning_forest(unit, THRESHOLDS), len(unit), 0.9)
    shuffled = components(spanning_forest(unit[order], THRESHOLDS, 64), len(unit), 0.9)
    pairs = {(straight[row], shuffled[place]) for place, row in enumerate(order)}
    assert len(pairs) == len(set(straight)) == len(set(shuffled))


def test_the_forest_is_a_maximum_one() -> None:
    unit = make_vectors(4, 200, 8, np.float32, 0.5)
    first, second = np.triu_indices(len(unit), 1)
    graph = nx.Graph()
    for a, b, cosine in zip(first, second, exact_cosines(unit, first, second), strict=True):
        if cosine >= 0.7:
            graph.add_edge(a, b, weight=cosine)
    forest = spanning_forest(unit, [0.7], block_rows=50)
    expected = nx.maximum_spanning_tree(graph)
    assert len(forest) == expected.number_of_edges()
    assert forest.cosine.sum() == pytest.approx(expected.size(weight="weight"), abs=1e-6)
    assert np.all(forest.first < forest.second)


@pytest.mark.parametrize("block_rows", [1, 3, 7, 64])
def test_a_pair_at_the_threshold_is_decided_in_float64(
    block_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing, "BUFFERED_PAIRS", 30)
    unit = make_vectors(5, 40, 512, np.float16, 0.3)
    first, second = np.divmod(np.arange(40 * 40), 40)
    cosine = exact_cosines(unit, first, second)
    for at in np.unique(cosine)[-200:-1:20]:  # not 1, at which only copies are joined
        above = np.nextafter(at, 2)
        forest = spanning_forest(unit, [at, above], block_rows)
        for threshold in (at, above):
            joined = (cosine >= threshold).reshape(40, 40)
            found = components(forest, 40, threshold)
            assert np.array_equal(found, smallest_of_component(joined))


def make_ring(seed: int) -> Vectors:
    """Three vectors, each the last one shifted: their cosines differ by float64 rounding alone."""
    vector = 1 + np.random.default_rng(seed).standard_normal(510)
    return renormalised(np.stack([np.roll(vector, 170 * turn) for turn in range(3)]))


@pytest.mark.parametrize("block_rows", [1, 2, 3])
def test_products_on_the_wrong_side_of_the_floor_do_not_decide(block_rows: int) -> None:
    n_wrong = 0
    for seed in range(30):
        pair = make_ring(seed)[:2]
        cosine = float(exact_cosines(pair, np.array([0]), np.array([1]))[0])
        above = float(np.nextafter(cosine, 2))
        n_wrong += int(float(pair[0] @ pair[1]) < cosine)
        assert len(spanning_forest(pair, [cosine], block_rows)) == 1
        assert len(spanning_forest(pair, [above], block_rows)) == 0
    assert 5 < n_wrong < 25  # of the float32 products, some stray to either side


@pytest.mark.parametrize("block_rows", [1, 2, 3])
def test_products_in_the_wrong_order_do_not_decide_which_edge_goes(block_rows: int) -> None:
    n_wrong = 0
    first, second = np.array([0, 0, 1]), np.array([1, 2, 2])
    for seed in range(30):
        ring = make_ring(seed)
        cosine = exact_cosines(ring, first, second)
        product = (ring[first] * ring[second]).sum(axis=1)
        n_wrong += int(product.argmin() == cosine.argmax())
        thresholds = [0.1, float(cosine.max())]
        forest = spanning_forest(ring, thresholds, block_rows)
        joined = np.zeros((3, 3), bool)
        joined[first, second] = cosine >= thresholds[1]
        found = components(forest, 3, thresholds[1])
        assert np.array_equal(found, smallest_of_component(joined | joined.T))
    assert n_wrong > 3


def test_a_cosine_does_not_depend_on_the_pairs_beside_it() -> None:
    unit = make_vectors(6, 5000, 33, np.float32, 1.0)
    first, second = np.arange(4999), np.arange(1, 5000)
    together = exact_cosines(unit, first, second)
    alone = [exact_cosines(unit, first[i : i + 1], second[i : i + 1])[0] for i in range(4999)]
    assert np.array_equal(together, alone)
    assert np.array_equal(together, exact_cosines(unit, second, first))


def test_copies_are_one_component_at_a_cosine_of_one() -> None:
    unit = renormalised(np.tile(np.linspace(0.1, 0.9, 512), (20_000, 1)).astype(np.float16))
    forest = spanning_forest(unit, [0.9, 1.0])
    assert len(forest) == 19_999
    assert np.all(forest.cosine == 1.0)
    assert not components(forest, len(unit), 1.0).any()


def test_one_group_of_nearly_identical_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "BUFFERED_PAIRS", 500)
    noise = np.random.default_rng(7).standard_normal((300, 64))
    assert_exact(renormalised((1 + 0.02 * noise).astype(np.float32)), block_rows=40)


@pytest.mark.parametrize("spread", [3e-4, 0.02, 0.3])
def test_a_large_group_is_exact_where_most_pairs_are_spared(spread: float) -> None:
    random = np.random.default_rng(9)
    vectors = random.standard_normal(32) + spread * random.random((600, 1)) * (
        random.standard_normal((600, 32))
    )
    unit = renormalised(vectors.astype(np.float16))
    first, second = np.triu_indices(len(unit), 1)
    cosine = exact_cosines(unit, first, second)
    thresholds = np.quantile(cosine, [0.1, 0.5, 0.9, 0.99, 0.9999]).tolist()
    forest = spanning_forest(unit, thresholds, block_rows=64)
    for threshold in thresholds:
        joined = np.zeros((600, 600), bool)
        joined[first, second] = cosine >= threshold
        found = components(forest, 600, threshold)
        assert np.array_equal(found, smallest_of_component(joined))


def test_thresholds_of_zero_and_below() -> None:
    axes = np.eye(6, dtype=np.float32)
    unit = np.concatenate([axes, -axes[:1]])
    forest = spanning_forest(unit, [-1.0, 0.0, 0.5])
    assert len(forest) == 6
    assert not components(forest, 7, -1.0).any()
    assert not components(forest, 7, 0.0).any()
    assert components(forest, 7, 0.5).tolist() == list(range(7))


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_vectors_for_a_pair(n: int) -> None:
    forest = spanning_forest(np.ones((n, 1), np.float32), THRESHOLDS)
    assert len(forest) == 0
    assert components(forest, n, 0.9).tolist() == list(range(n))


def test_a_vector_without_direction_is_not_finite_once_renormalised() -> None:
    unit = renormalised(np.array([[3, 4], [0, 0], [np.nan, 1]], np.float16))
    assert np.allclose(unit[0], [0.6, 0.8])
    assert not np.isfinite(unit[1:]).all(axis=1).any()


@pytest.mark.parametrize("n", [0, 1])
def test_no_pair_of_real_dimensions_makes_an_empty_forest(n: int) -> None:
    assert len(spanning_forest(np.full((n, 512), 512**-0.5, np.float32), THRESHOLDS)) == 0
