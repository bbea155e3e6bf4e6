"""The blocks of pairs come to what a list of all pairs says, at every threshold."""

from itertools import combinations

import numpy as np
import pytest

from memtriggers.pipelines.clusters.edges import Vectors, renormalised
from memtriggers.pipelines.evaluation.pair_counts import Curve, Rule, count_pairs, nearest_share
from memtriggers.pipelines.evaluation.rules import (
    alike_rule,
    copies_rule,
    label_rule,
    listed_rule,
)

LABELS = ["a", "b", "", None, "a", "", "c", "b", "a", None] * 5


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    """50 vectors, five of each of ten directions, some of them equal."""
    random = np.random.default_rng(0)
    directions = np.tile(random.standard_normal((10, 8)), (5, 1))
    noise = random.standard_normal(directions.shape) * np.repeat([0, 0, 0.2, 0.5, 1.0], 10)[:, None]
    return renormalised(directions + noise)


def listed(vectors: Vectors, rule: Rule) -> list[tuple[float, bool]]:
    """Every pair that counts: its float64 cosine, and whether it is true."""
    pairs = []
    for i, j in combinations(range(len(vectors)), 2):
        true, counted = rule(np.array([i]), np.array([j]))
        if counted[0, 0]:
            cosine = float(vectors[i].astype(np.float64) @ vectors[j].astype(np.float64))
            pairs.append((cosine, bool(true[0, 0])))
    return pairs


def assert_is(curve: Curve, pairs: list[tuple[float, bool]]) -> None:
    assert (curve.n_pairs, curve.n_true) == (len(pairs), sum(true for _, true in pairs))
    for threshold in (-1, -0.5, 0, 0.3, 0.71, 0.8, 0.9, 0.95, 0.99, 1):
        point = curve.at(threshold)
        # A float32 product may fall on either side of a threshold that it is this close to.
        for found, of in ((point.n_pairs, pairs), (point.n_true, [p for p in pairs if p[1]])):
            least, most = (sum(c >= threshold + e for c, _ in of) for e in (2e-6, -3e-6))
            assert least <= found <= most, threshold
        if point.n_pairs:
            assert point.precision == point.n_true / point.n_pairs
        assert point.recall == point.n_true / curve.n_true
        n_false = point.n_pairs - point.n_true
        assert point.false_per_million == pytest.approx(1e6 * n_false / len(pairs))


def rules() -> dict[str, Rule]:
    random = np.random.default_rng(1)
    thumbnails = renormalised(random.standard_normal((25, 2)))
    first, second = random.integers(0, 50, (2, 60))
    said = random.random(60) < 0.5
    return {
        "labels": label_rule(LABELS),
        "copies": copies_rule(25, alike_rule(thumbnails)),
        "copies with labels": copies_rule(25, alike_rule(thumbnails, label_rule(LABELS[:25]))),
        "list of true pairs": listed_rule(50, first, second, None),
        "list of both kinds": listed_rule(50, first, second, said),
    }


@pytest.mark.parametrize("name", rules())
@pytest.mark.parametrize("block_rows", [7, 1024])
def test_blocks_come_to_what_all_pairs_say(vectors: Vectors, name: str, block_rows: int) -> None:
    rule = rules()[name]
    (curve,) = count_pairs({"model": vectors}, rule, block_rows).values()
    assert_is(curve, listed(vectors, rule))


def test_each_method_has_its_own_curve(vectors: Vectors) -> None:
    rule, other = label_rule(LABELS), vectors[::-1].copy()
    together = count_pairs({"model": vectors, "other": other}, rule)
    assert_is(together["other"], listed(other, rule))
    assert not np.array_equal(together["model"].hits, together["other"].hits)


def test_an_empty_label_is_like_no_other() -> None:
    rows = np.arange(6)
    true, counted = label_rule(["a", "", None, "a", "", None])(rows, rows)
    assert np.argwhere(np.triu(true, 1)).tolist() == [[0, 3]]
    assert counted.all()


def test_a_list_that_says_which_are_duplicates_leaves_out_all_others() -> None:
    rows = np.arange(4)
    first, second = np.array([0, 3]), np.array([1, 2])
    true, counted = listed_rule(4, first, second, np.array([True, False]))(rows, rows)
    assert np.argwhere(np.triu(true, 1)).tolist() == [[0, 1]]
    assert np.argwhere(np.triu(counted, 1)).tolist() == [[0, 1], [2, 3]]
    true, counted = listed_rule(4, first, second, None)(rows, rows)
    assert np.argwhere(np.triu(true, 1)).tolist() == [[0, 1], [2, 3]]
    assert counted.all()


def test_what_is_alike_is_neither_true_nor_false() -> None:
    """Three pictures, the first two alike; then their copies."""
    thumbnails = np.eye(3, dtype=np.float32)[[0, 0, 1]]
    rows = np.arange(6)
    true, counted = copies_rule(3, alike_rule(thumbnails))(rows, rows)
    assert np.argwhere(np.triu(true, 1)).tolist() == [[0, 3], [1, 4], [2, 5]]
    neither = np.argwhere(np.triu(~counted, 1)).tolist()
    assert neither == [[0, 1], [0, 4], [1, 3], [3, 4]]


def test_the_largest_recall_at_a_precision() -> None:
    """Cosines to the first: 0.9 true, 0.8 false, 0.7 and 0.6 true, 0.1 false."""
    cosines = np.array([0.9, 0.8, 0.7, 0.6, 0.1])
    unit = np.zeros((6, 7), np.float32)
    unit[0, 0] = 1
    unit[1:, 0], unit[1:, 1:6] = cosines, np.diag(np.sqrt(1 - cosines**2))
    first = np.zeros(5, np.int64)
    rule = listed_rule(6, first, np.arange(1, 6), np.array([True, False, True, True, False]))
    (curve,) = count_pairs({"model": unit}, rule).values()
    half, most, all_true = (curve.at_precision(p) for p in (0.7, 0.76, 1.0))
    assert half is not None and (half.recall, half.n_pairs) == (1.0, 4)
    assert 0.1 < half.threshold < 0.1003
    assert most == all_true
    assert all_true is not None and (all_true.recall, all_true.n_pairs) == (pytest.approx(1 / 3), 1)
    wrong = listed_rule(6, first, np.arange(1, 6), np.array([False, False, True, False, False]))
    (curve,) = count_pairs({"model": unit}, wrong).values()
    assert curve.at_precision(0.5) is None
    steps = curve.steps()
    assert steps.n_pairs.tolist() == [5, 4, 3, 2, 1]
    assert steps.precision.tolist() == [1 / 5, 1 / 4, 1 / 3, 0, 0]
    assert steps.threshold == pytest.approx(np.sort(cosines), abs=1e-4)


def test_a_copy_is_nearest_when_no_other_picture_is_as_near() -> None:
    originals = np.eye(3, dtype=np.float32)
    tie = renormalised(np.array([[1.0, 1, 0]]))[0]
    copies = np.stack([originals[0], tie, originals[1]])
    apart = alike_rule(np.eye(3, dtype=np.float32))
    assert nearest_share(copies, originals, apart) == pytest.approx(1 / 3)
    twins = alike_rule(np.eye(3, dtype=np.float32)[[0, 0, 1]])
    assert nearest_share(copies, originals, twins) == pytest.approx(2 / 3)
