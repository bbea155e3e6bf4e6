"""Thresholds, errors, corrected rates and amplification: against formulas and by simulation."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from memtriggers.pipelines.core.errors import SourceError
from memtriggers.pipelines.core.study import Study
from memtriggers.pipelines.detection.calibration import (
    LABELS,
    NOTHING,
    Calibration,
    Errors,
    find_threshold,
    measure,
    read_labels,
)
from memtriggers.pipelines.detection.candidates import candidate_rows, lift_interval
from memtriggers.pipelines.detection.catalog import Sought
from memtriggers.pipelines.detection.rates import Count, corrected, rate_rows

PERFECT = Errors(1000, 1000, 1000, 0)


def rows_of(*counts: Count, errors: Errors = NOTHING) -> list[dict[str, object]]:
    found = {"flag": Calibration(1.0, LABELS, {"train": errors, "generated": errors})}
    return list(rate_rows(counts, found, "d"))


def train(n: int, k: int) -> Count:
    return Count("moon", "flag", None, None, None, n, k)


def prompt(name: str, n: int, k: int, family: str = "short") -> Count:
    return Count("moon", "flag", "g", family, name, n, k)


def test_a_threshold_lets_through_the_share_that_it_says() -> None:
    scores = np.arange(100, dtype=np.float32)
    for false_rate, n in ((0.02, 2), (0.1, 10), (0.001, 0)):
        assert (scores >= find_threshold(scores, false_rate)).sum() == n
    tied = np.array([1, 5, 5, 5], np.float32)
    assert (tied >= find_threshold(tied, 0.3)).sum() == 0, "all of a tie or none"
    assert find_threshold(np.array([np.nan, 1], np.float32), 0.02) > 1


def test_errors_are_those_of_labels_that_did_not_set_the_threshold() -> None:
    random = np.random.default_rng(0)
    shows = np.repeat([True, False], [400, 4000])
    scores = (random.normal(size=4400) + 2.0 * shows).astype(np.float32)
    errors = measure(scores, shows, 0.02, threshold=0.0)
    assert (errors.n_with, errors.n_without) == (400, 4000)
    assert errors.specificity == pytest.approx(0.98, abs=0.006)
    assert errors.sensitivity == pytest.approx(stats.norm.sf(stats.norm.isf(0.02) - 2), abs=0.06)
    few = measure(scores[[0, 4000]], shows[[0, 4000]], 0.02, threshold=-100.0)
    assert few == Errors(1, 1, 1, 1), "with one of each there is nothing to hold out"


def test_the_corrected_rate_is_that_of_rogan_and_gladen() -> None:
    errors = Errors(100, 100, 60, 2)
    assert corrected(0.31, errors) == pytest.approx((0.31 + 0.98 - 1) / (0.6 + 0.98 - 1))
    assert corrected(0.0, errors) == 0 and corrected(0.9, errors) == 1
    assert corrected(0.3, NOTHING) is None
    assert corrected(0.3, Errors(100, 100, 5, 5)) is None, "a coin says nothing"


def test_a_raw_rate_has_wilsons_interval_and_none_is_corrected_without_labels() -> None:
    (row,) = rows_of(train(100, 10))
    low, high = stats.binomtest(10, 100).proportion_ci(method="wilson")
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((low, high), abs=1e-6)
    assert row["corrected_rate"] is None and "corrected_ci_low" not in row


def test_the_corrected_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Images and labels drawn again and again from a detector that is known."""
    random, truth, sensitivity, specificity = np.random.default_rng(1), 0.3, 0.65, 0.98
    covered = 0
    for _ in range(300):
        p = truth * sensitivity + (1 - truth) * (1 - specificity)
        errors = Errors(
            60, 150, random.binomial(60, sensitivity), random.binomial(150, 1 - specificity)
        )
        (row,) = rows_of(train(200, random.binomial(200, p)), errors=errors)
        covered += row["corrected_ci_low"] <= truth <= row["corrected_ci_high"]  # type: ignore[operator]
    assert covered / 300 == pytest.approx(0.95, abs=0.04)


def test_amplification_is_generated_over_trained_with_an_interval_on_a_log_scale() -> None:
    rows = rows_of(train(1000, 100), prompt("a", 500, 300), errors=PERFECT)
    of_prompt = next(row for row in rows if row.get("prompt_id") == "a")
    assert of_prompt["amplification"] == pytest.approx(6.0, rel=0.02)
    error = np.sqrt((1 - 0.6) / 300 + (1 - 0.1) / 100)  # of the logarithm, by the delta method
    low, high = np.log([of_prompt["amplification_ci_low"], of_prompt["amplification_ci_high"]])
    assert (low, high) == pytest.approx(np.log(6) + np.array([-1.96, 1.96]) * error, abs=0.03)
    never = rows_of(train(1000, 0), prompt("a", 500, 300))
    assert all("amplification" not in row for row in never), "nothing is how many times nothing"


def test_prompts_are_counted_one_by_one_by_family_and_together() -> None:
    rows = rows_of(
        train(100, 50),
        prompt("a", 50, 5),
        prompt("b", 50, 45),
        prompt("c", 50, 25, family="caption"),
    )
    keys = [
        (row.get("family"), row.get("prompt_id"), row["n"], row["n_with_object"]) for row in rows
    ]
    assert keys == [
        (None, None, 100, 50),
        ("short", "a", 50, 5),
        ("short", "b", 50, 45),
        ("caption", "c", 50, 25),
        ("short", None, 100, 50),
        ("caption", None, 50, 25),
        (None, None, 150, 75),
    ]
    short = rows[4]
    wilson = stats.binomtest(50, 100).proportion_ci(method="wilson")
    assert short["ci_high"] - short["ci_low"] > 2 * (wilson.high - wilson.low), (  # type: ignore[operator]
        "two prompts that differ so much say little of a third"
    )


def test_the_same_counts_give_the_same_rows() -> None:
    counts = train(100, 50), prompt("a", 50, 5), prompt("b", 50, 45)
    errors = Errors(50, 50, 30, 1)
    assert rows_of(*counts, errors=errors) == rows_of(*counts, errors=errors)


def test_candidates_are_ordered_by_what_is_sure_and_have_false_discovery_rates() -> None:
    vocabulary = [Sought(name, (name,), (name,)) for name in ("bed", "flag", "key")]
    counts = [
        ("moon", 0, 3, 1, 1000, 20),  # the largest lift, of three images
        ("moon", 1, 1000, 200, 1000, 20),
        ("moon", 2, 1000, 21, 1000, 20),
        ("sea", 2, 500, 0, 1000, 20),
    ]
    rows = list(candidate_rows(counts, vocabulary, "d"))
    ranks = [(row["keyword_set"], row["candidate_rank"], row["object"]) for row in rows]
    assert ranks == [("moon", 1, "flag"), ("moon", 2, "bed"), ("moon", 3, "key"), ("sea", 1, "key")]
    flag, bed = rows[:2]
    assert bed["lift"] > flag["lift"]
    p = stats.fisher_exact([[200, 800], [20, 980]], alternative="greater").pvalue
    assert flag["q_value"] == pytest.approx(p * 4, rel=1e-6, abs=0), "the smallest of four"
    assert flag["lift"] == pytest.approx(10, rel=0.05)
    assert flag["ci_low"] < flag["lift"] < flag["ci_high"]
    assert list(candidate_rows([], vocabulary, "d")) == []


def test_the_interval_of_a_lift_covers_the_truth() -> None:
    random, n, lift = np.random.default_rng(2), 400, 4.0
    k, kb = random.binomial(n, 0.08, 2000), random.binomial(1000, 0.02, 2000)
    low, high = lift_interval(k * 1.0, np.full(2000, n), kb * 1.0, np.full(2000, 1000.0))
    assert ((low <= lift) & (lift <= high)).mean() == pytest.approx(0.95, abs=0.02)


def test_labels_are_read_and_what_is_wrong_with_them_is_said(
    tmp_path: Path, write_captions: Callable[..., Path], make_study: Callable[..., Study]
) -> None:
    write_captions("a")
    study = make_study(sections='[[object]]\nname = "flag"\nlabels = "flags.csv"')

    def write(*rows: tuple[str, ...]) -> None:
        with (tmp_path / "flags.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)

    with pytest.raises(SourceError, match=r"flags\.csv: cannot be read"):
        read_labels(study, study.object[0])
    write(("sample_id", "shows"), ("a", "TRUE"), ("b", "no"), ("c", " 1 "))
    assert read_labels(study, study.object[0]) == {"a": True, "b": False, "c": True}
    write(("image_id", "note", "shows"), ("g", "", "0"))
    assert read_labels(study, study.object[0]) == {"g": False}
    write(("sample_id", "shows"), ("a", "true"), ("b", "maybe"))
    with pytest.raises(SourceError, match=r"line 3: shows: 'maybe': say true or false"):
        read_labels(study, study.object[0])
    write(("id", "flag"), ("a", "true"))
    with pytest.raises(SourceError, match="has to have the columns sample_id and shows"):
        read_labels(study, study.object[0])
