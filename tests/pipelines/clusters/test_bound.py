"""The bound is never below the cosine, and it is used where it pays."""

from collections.abc import Iterator

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from memtriggers.pipelines.clusters import bound
from memtriggers.pipelines.clusters.bound import bounding
from memtriggers.pipelines.clusters.edges import MARGIN, Vectors, renormalised
from memtriggers.pipelines.clusters.order import ordered


@pytest.fixture(autouse=True)
def one_blas_thread() -> Iterator[None]:
    """As in `spanning_forest`: several wait for each other where other processes are busy."""
    with threadpool_limits(1, user_api="blas"):
        yield


def make_vectors(seed: int, n: int, dimensions: int, rank: int, falls: float) -> Vectors:
    """Vectors of a rank, whose variance along the k-th axis falls with k ** (-2 falls)."""
    random = np.random.default_rng(seed)
    scale = np.arange(1, rank + 1) ** -falls
    axes = np.linalg.qr(random.standard_normal((dimensions, dimensions)))[0][:rank]
    return renormalised((random.standard_normal((n, rank)) * scale) @ axes)


@pytest.mark.parametrize("rank", [1, 3, 7, 30, 64])  # up to 7, nothing is left beside the bound
@pytest.mark.parametrize("falls", [0.0, 0.5, 2.0])
def test_no_cosine_is_above_its_bound(
    rank: int, falls: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bound, "WIDTHS", (8,))
    monkeypatch.setattr(bound, "_GATHERED", 0.0)
    unit = make_vectors(rank, 500, 64, rank, falls)
    unit[250:] = renormalised(unit[:250] + 1e-3 * unit[250:])
    bounds = bounding(unit, 0.9)
    assert bounds is not None
    assert bounds.shape == (500, 8)
    wide = unit.astype(np.float64)
    assert np.all(bounds @ bounds.T >= wide @ wide.T - MARGIN)


def test_a_tail_that_float32_takes_for_nothing_still_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bound, "WIDTHS", (8,))
    monkeypatch.setattr(bound, "_GATHERED", 0.0)
    random = np.random.default_rng(0)
    inside = np.pad(random.standard_normal((500, 7)), ((0, 0), (0, 57)))
    inside /= np.linalg.norm(inside, axis=1, keepdims=True)
    tail = np.where(np.arange(500) < 450, 3e-4, 0.45)[:, None] * np.eye(64)[7]
    unit = renormalised((inside + tail) @ np.linalg.qr(random.standard_normal((64, 64)))[0])
    bounds = bounding(unit, 0.9)
    assert bounds is not None
    wide = unit.astype(np.float64)
    assert np.all(bounds @ bounds.T >= wide @ wide.T - MARGIN)


def test_few_dimensions_do_where_the_spectrum_falls() -> None:
    unit = make_vectors(0, 3000, 512, 512, 0.5)
    bounds = bounding(unit, 0.9)
    assert bounds is not None
    assert bounds.shape[1] <= 96


def test_whole_vectors_are_compared_where_every_bound_reaches_the_floor() -> None:
    unit = make_vectors(0, 3000, 512, 512, 0.0)
    assert bounding(unit, 0.0) is None
    assert bounding(unit[:, :2], 0.9) is None  # no narrower one to choose


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 1000])
def test_an_order_holds_every_row_once_and_its_pairs_are_true(n: int) -> None:
    unit = make_vectors(1, n, 16, 16, 0.5)
    is_new = np.random.default_rng(3).random(n) < 0.3
    order, pairs = ordered(unit, is_new)
    assert np.all(np.diff(is_new[order].astype(int)) >= 0)
    assert sorted(order) == list(range(n))
    assert np.all(pairs.first < pairs.second)
    placed = unit[order]
    products = (placed[pairs.first] * placed[pairs.second]).sum(axis=1)
    assert np.allclose(products, pairs.cosine, atol=1e-6)


def test_rows_of_a_group_are_neighbours_in_the_order() -> None:
    random = np.random.default_rng(2)
    group = random.permutation(np.repeat(np.arange(20), 100))
    vectors = random.standard_normal((20, 64))[group] + 0.05 * random.standard_normal((2000, 64))
    order, _ = ordered(renormalised(vectors), np.zeros(2000, bool))
    assert np.count_nonzero(np.diff(group[order])) < 60  # of 1900 when shuffled
