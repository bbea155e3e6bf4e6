"""The threshold curve against networkx, and the threshold that it suggests."""

import networkx
import numpy as np
import pytest

from memtriggers.pipelines.clusters.curve import SCHEMA, threshold_curve
from memtriggers.pipelines.clusters.edges import Edges, renormalised
from memtriggers.pipelines.clusters.forest import spanning_forest


def chain(cosines: list[float]) -> Edges:
    """A path over len(cosines) + 1 rows."""
    first = np.arange(len(cosines), dtype=np.int32)
    return Edges(first, first + 1, np.array(cosines))


@pytest.mark.parametrize("min_size", [2, 4])
def test_every_row_is_what_all_pairs_say(min_size: int) -> None:
    random = np.random.default_rng(0)
    centres = random.standard_normal((12, 24))[random.integers(0, 12, 90)]
    unit = renormalised((centres + 0.35 * random.standard_normal((90, 24))).astype(np.float32))
    thresholds = [0.8, 0.873, 0.95]
    rows = threshold_curve(spanning_forest(unit, thresholds), 90, thresholds, min_size).to_pylist()
    expected = sorted({*thresholds, *(step / 200 for step in range(160, 200))})
    assert [row["threshold"] for row in rows] == expected
    assert [row["threshold"] for row in rows if row["is_computed"]] == thresholds
    wide = unit.astype(np.float64)
    cosine = wide @ wide.T
    for row in rows:
        graph = networkx.from_numpy_array(cosine >= row["threshold"])
        sizes = [len(c) for c in networkx.connected_components(graph) if len(c) >= min_size]
        assert row["n_clusters"] == len(sizes)
        assert row["n_samples_clustered"] == sum(sizes) == round(90 * row["share_clustered"])
        assert row["n_samples_largest"] == max(sizes, default=0) == round(90 * row["share_largest"])
    assert len({row["n_clusters"] for row in rows}) > 5


def test_below_the_suggested_threshold_clusters_are_joined() -> None:
    # 20 triples form by 0.92; from 0.868 on a chain joins them
    forest = chain(([0.95, 0.923, 0.868] * 20)[:-1])
    rows = threshold_curve(forest, 100, [0.8, 0.9], 3).to_pylist()
    (suggested,) = [row for row in rows if row["is_suggested"]]
    assert suggested["threshold"] == 0.92
    assert suggested["reason"] == (
        "clusters are most there, 20: below it more are joined to others than appear, "
        "and the largest grows from 3.0% of the samples to 60.0% at 0.8"
    )
    assert {row["reason"] for row in rows if not row["is_suggested"]} == {None}


def test_at_the_floor_a_lower_threshold_may_do() -> None:
    rows = threshold_curve(chain([0.95, 0.1, 0.801]), 4, [0.8], 2).to_pylist()
    (suggested,) = [row for row in rows if row["is_suggested"]]
    assert suggested["threshold"] == 0.8
    assert "the lowest threshold that was looked at" in suggested["reason"]


def test_without_a_cluster_nothing_is_suggested() -> None:
    rows = threshold_curve(chain([]), 3, [0.9], 2).to_pylist()
    assert len(rows) == 20
    assert not any(row["is_suggested"] for row in rows)


def test_without_samples_there_is_no_row() -> None:
    found = threshold_curve(chain([]), 0, [0.9], 2)
    assert (found.num_rows, found.schema) == (0, SCHEMA)


def test_a_threshold_of_one_alone_has_its_row() -> None:
    (row,) = threshold_curve(chain([1.0, 1.0]), 4, [1.0], 2).to_pylist()
    assert (row["n_samples_largest"], row["is_suggested"]) == (3, True)
