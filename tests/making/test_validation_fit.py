"""The fit of the risk: coefficients that it was drawn from, and what counts as better."""

import numpy as np
import pytest

from memtriggers.making.validation.fit import (
    FEATURES,
    Observed,
    brier,
    calibration_slope,
    compare,
    fit,
    log_loss,
    smoothed_share,
)

BETA = np.array([-12.0, 1.5, 0.8, 6.0])


def draw(n: int, seed: int, beta: np.ndarray = BETA, n_seeds: int = 32) -> Observed:
    """Groups of many doses and shares, whose rates are drawn."""
    rng = np.random.default_rng(seed)
    copies = 2.0 ** rng.integers(0, 7, n)
    captions = copies * rng.integers(1, 13, n)
    share = smoothed_share(copies, captions)
    contrast = rng.uniform(0.15, 0.45, n)
    x = np.stack([np.ones(n), np.log(100 * copies), np.log(share / (1 - share)), contrast], axis=1)
    rate = rng.binomial(n_seeds, 1 / (1 + np.exp(-x @ beta))) / n_seeds
    return Observed(100 * copies, share, 100 * captions, contrast, rate)


def test_it_finds_what_the_rates_were_drawn_from() -> None:
    observed = draw(20_000, 0)
    found = fit(FEATURES["risk"](observed), observed.rate)
    error = np.sqrt(np.diag(found.covariance))
    assert (np.abs(found.coefficients - BETA) < 4 * error).all()
    assert (error[:3] < 0.15).all() and error[3] < 0.4


def test_its_covariance_covers() -> None:
    covered = []
    for seed in range(200):
        observed = draw(100, seed)
        found = fit(FEATURES["risk"](observed), observed.rate)
        error = 1.96 * np.sqrt(np.diag(found.covariance))
        covered.append(np.abs(found.coefficients - BETA) < error)
    assert (np.mean(covered, axis=0) > 0.88).all()


def test_separable_groups_have_finite_coefficients() -> None:
    observed = draw(60, 1)
    sure = (observed.exposures > 500).astype(float)
    found = fit(FEATURES["risk"](observed), sure)
    assert np.isfinite(found.coefficients).all() and np.isfinite(found.covariance).all()
    p = found.predict(FEATURES["risk"](observed))
    assert log_loss(p, sure).mean() < 0.05 and brier(p, sure).mean() < 0.02


def test_losses_are_the_means_over_generations() -> None:
    p, rate, n = np.array([0.2]), np.array([0.25]), 4
    outcomes = np.array([1, 0, 0, 0])
    expected = -(np.log(0.2) + 3 * np.log(0.8)) / n
    assert log_loss(p, rate)[0] == pytest.approx(expected)
    assert brier(p, rate)[0] == pytest.approx(((outcomes - 0.2) ** 2).mean())


def test_a_slope_says_how_overconfident_one_is() -> None:
    observed = draw(5_000, 2)
    p = fit(FEATURES["risk"](observed), observed.rate).predict(FEATURES["risk"](observed))
    assert calibration_slope(p, observed.rate) == pytest.approx(1, abs=0.01)
    odds = np.log(p / (1 - p))
    boasting = 1 / (1 + np.exp(-2 * odds))
    assert calibration_slope(boasting, observed.rate) == pytest.approx(0.5, abs=0.02)


def test_on_held_out_groups_the_truth_beats_its_halves() -> None:
    figures = {one.name: one for one in compare(draw(200, 3), draw(200, 4))}
    risk = figures["risk"]
    assert risk.log_loss_excess == risk.brier_excess == (0.0, 0.0)
    assert 0.7 < risk.slope < 1.4 and (risk.spearman or 0) > 0.6
    for name in ("frequency alone", "share alone"):
        assert figures[name].log_loss > risk.log_loss and figures[name].log_loss_excess[0] > 0
        assert figures[name].brier_excess[0] > 0


def test_where_the_share_says_nothing_no_interval_pretends_that_it_does() -> None:
    """With its coefficient 0, copies alone are as good: about half of the differences are below."""
    flat = np.array([-10.0, 1.5, 0.0, 0.0])
    lows = []
    for seed in range(20):
        held_out = draw(60, 100 + seed, flat)
        (alone,) = [
            one for one in compare(draw(60, seed, flat), held_out) if one.name == "copies alone"
        ]
        lows.append(alone.log_loss_excess[0] > 0)
    assert np.mean(lows) <= 0.2
