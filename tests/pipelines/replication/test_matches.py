"""The best match beside brute force, whatever the blocks and the order."""

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtriggers.pipelines.clusters.edges import Vectors, renormalised
from memtriggers.pipelines.core.database import dbt_macro
from memtriggers.pipelines.replication import matches
from memtriggers.pipelines.replication.background import is_copy
from memtriggers.pipelines.replication.matches import best_cosines
from memtriggers.pipelines.replication.references import choose_references


def random_unit(n: int, seed: int, d: int = 8) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(n, d))
    return renormalised(vectors.astype(np.float16))


@given(n=st.integers(1, 30), block=st.integers(1, 7), seed=st.integers(0, 1000))
def test_it_is_the_brute_force_best(n: int, block: int, seed: int) -> None:
    unit, generated = random_unit(n, seed), random_unit(5, seed + 1)
    references = np.flatnonzero(np.random.default_rng(seed).random(n) < 0.7).astype(np.int32)
    if len(references) == 0:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matches, "_BLOCK", block)
        found = best_cosines(generated, unit, references)
    for vector, score, row in zip(generated, found.score, found.row, strict=True):
        cosines = [
            float(np.dot(vector.astype(float), unit[r].astype(float)))
            / np.sqrt(np.dot(vector.astype(float), vector) * np.dot(unit[r].astype(float), unit[r]))
            for r in references
        ]
        assert row == references[int(np.argmax(cosines))]
        assert score == pytest.approx(max(cosines), abs=1e-7)


def test_an_exact_copy_scores_1_and_of_equal_references_the_first_is_named() -> None:
    unit = random_unit(6000, seed=3)
    unit[[10, 4500, 5900]] = unit[2]
    everything = np.arange(6000, dtype=np.int32)
    found = best_cosines(unit[[5900, 17]], unit, everything)
    assert found.row.tolist() == [2, 17]
    assert found.score.tolist() == [1.0, 1.0]
    assert best_cosines(unit[[2]], unit, everything[3:]).row.tolist() == [10]


def test_the_generations_at_once_change_nothing() -> None:
    unit, generated = random_unit(500, seed=4), random_unit(40, seed=5)
    everything = np.arange(500, dtype=np.int32)
    whole = best_cosines(generated, unit, everything)
    alone = [best_cosines(generated[[i]], unit, everything) for i in range(40)]
    assert whole.score.tolist() == [float(one.score[0]) for one in alone]
    assert whole.row.tolist() == [int(one.row[0]) for one in alone]


def test_representatives_are_the_medoid_and_the_first_15_others() -> None:
    members = np.arange(100, 140, dtype=np.int32)
    references = choose_references(members, 103)
    assert references["representatives"].tolist() == list(range(100, 116))
    far = choose_references(members, 130)
    assert far["representatives"].tolist() == [*range(100, 115), 130]
    assert far["medoid"].tolist() == [130] and far["members"].tolist() == members.tolist()
    assert choose_references(members[:3], 101)["representatives"].tolist() == [100, 101, 102]


@pytest.mark.parametrize("metric", ["clip", "l2"])
@pytest.mark.parametrize("threshold", [0.2, 0.0, 1.0, None])
def test_sql_and_numpy_agree_on_what_a_copy_is(metric: str, threshold: float | None) -> None:
    at = 0.2 if threshold is None else threshold
    beside = [np.nextafter(at, -np.inf), at, np.nextafter(at, np.inf)]
    scores = [*beside, 0.1, 0.3, 0.0, -1.0, 1.0, np.inf, -np.inf, None]
    with duckdb.connect() as connection:
        connection.execute(dbt_macro("is_copy"))
        rows = connection.execute(
            "select is_copy(unnest($scores::double[]), $threshold::double, $is_distance)",
            {"scores": scores, "threshold": threshold, "is_distance": metric == "l2"},
        ).fetchall()
    # What is null in SQL is not a number in NumPy; the one answers null, the other no.
    nothing = [one is None or threshold is None for one in scores]
    assert [found is None for (found,) in rows] == nothing
    arrays = np.array(scores, np.float64), np.nan if threshold is None else threshold
    assert [found or False for (found,) in rows] == is_copy(metric, *arrays).tolist()


@pytest.mark.parametrize(("metric", "copies"), [("clip", [0, 1, 1]), ("l2", [1, 1, 0])])
def test_a_score_on_the_threshold_is_that_of_a_copy(metric: str, copies: list[int]) -> None:
    scores = np.array([0.1, 0.2, 0.3])
    assert is_copy(metric, scores, 0.2).tolist() == copies
