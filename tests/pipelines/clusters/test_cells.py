"""Cells: what is found in them is true, what is missed is measured."""

import numpy as np
import numpy.typing as npt
import pytest
from distributed import LocalCluster

from memtriggers.pipelines.clusters import cells
from memtriggers.pipelines.clusters.cell_workers import forest_of_cells
from memtriggers.pipelines.clusters.cells import nearest_cells, pair_recall, rows_of_cells
from memtriggers.pipelines.clusters.edges import Edges, Rows, Vectors, exact_cosines, renormalised
from memtriggers.pipelines.clusters.forest import components, spanning_forest
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Resources

THRESHOLDS = [0.7, 0.9]


def make_vectors(n: int) -> Vectors:
    random = np.random.default_rng(0)
    vectors = random.standard_normal((n // 5, 32))[random.integers(0, n // 5, n)]
    return renormalised(vectors + 0.5 * random.random((n, 1)) * random.standard_normal((n, 32)))


def shared(nearest: Rows) -> npt.NDArray[np.bool_]:
    """Which pairs of rows have a cell in common, (n, n)."""
    return np.array([np.isin(nearest, cells_of_row).any(axis=1) for cells_of_row in nearest])


def test_a_vector_lies_in_its_nearest_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "ROWS_A_CELL", 50)
    nearest = nearest_cells(make_vectors(1000))
    assert nearest.shape == (1000, 2)
    assert all(len(set(row)) == 2 for row in nearest.tolist())
    found = rows_of_cells(nearest)
    assert 10 < len(found) <= 20
    for rows in found:
        assert np.all(np.diff(rows) > 0)
    counted = np.bincount(np.concatenate(found), minlength=1000)
    assert counted.max() == 2
    assert counted.sum() >= 1990  # a cell with one row has no pair


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_few_vectors(n: int) -> None:
    nearest = nearest_cells(make_vectors(40)[:n])
    assert len(nearest) == n
    assert pair_recall(make_vectors(40)[:n], nearest, [-1.0]) == {-1.0: 1.0}


def test_the_recall_is_the_share_of_pairs_with_a_cell_in_common(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cells, "_RECALL_PART", 70)
    unit = make_vectors(400)
    nearest = np.random.default_rng(1).permuted(np.tile(np.arange(12), (400, 1)), axis=1)[:, :3]
    recall = pair_recall(unit, nearest, THRESHOLDS)
    cosine = (unit @ unit.T)[~np.eye(400, dtype=bool)]
    found = shared(nearest)[~np.eye(400, dtype=bool)]
    for threshold in THRESHOLDS:
        assert recall[threshold] == pytest.approx(found[cosine >= threshold].mean())
    assert 0.3 < recall[0.9] < 0.8


def test_the_forest_of_cells_has_the_components_of_the_pairs_that_share_one(
    monkeypatch: pytest.MonkeyPatch, lake: Lake
) -> None:
    monkeypatch.setattr(cells, "ROWS_A_CELL", 40)
    unit = make_vectors(600)
    nearest = nearest_cells(unit)[:, :1]  # one of two, so that some pairs are missed
    seen: list[int] = []
    forest = forest_of_cells(
        lake, Resources(), unit, rows_of_cells(nearest), THRESHOLDS, seen.append
    )
    assert sum(seen) == len(rows_of_cells(nearest))
    assert np.array_equal(forest.cosine, exact_cosines(unit, forest.first, forest.second))
    assert not list(lake.scratch.rglob("*.npy"))
    exact = spanning_forest(unit, THRESHOLDS)
    first, second = np.nonzero(np.triu(shared(nearest), 1))
    cosine = exact_cosines(unit, first, second)
    for threshold in THRESHOLDS:
        found = components(forest, len(unit), threshold)
        assert np.all(found[first[cosine >= threshold]] == found[second[cosine >= threshold]])
        of_all = components(exact, len(unit), threshold)
        assert len(set(zip(found.tolist(), of_all.tolist(), strict=True))) == len(set(found))


def test_workers_of_a_cluster_that_exists_find_the_forest_of_one_machine(
    monkeypatch: pytest.MonkeyPatch, lake: Lake
) -> None:
    monkeypatch.setattr(cells, "ROWS_A_CELL", 100)
    unit = make_vectors(600)
    rows = rows_of_cells(nearest_cells(unit))

    def forest(resources: Resources) -> Edges:
        return forest_of_cells(lake, resources, unit, rows, THRESHOLDS, lambda _: None)

    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    ) as cluster:
        together = forest(Resources(scheduler=cluster.scheduler_address))
    alone = forest(Resources(workers=1))
    assert len(alone.first) > 100
    for edges in ("first", "second", "cosine"):
        assert np.array_equal(getattr(together, edges), getattr(alone, edges))
