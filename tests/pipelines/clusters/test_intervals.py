"""Wilson's interval against a table, and the coverage of the honest one in a simulation."""

import numpy as np
import numpy.typing as npt
import pytest

from memtriggers.pipelines.clusters.intervals import Domains, honest_estimate, wilson_interval

Counts = npt.NDArray[np.int64]


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [  # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_wilson_interval(successes: int, trials: int, low: float, high: float) -> None:
    found = wilson_interval(np.array([successes]), np.array([trials]))
    assert np.concatenate(found) == pytest.approx([low, high], abs=5e-5)


def test_the_wilson_interval_of_none_and_of_all_stays_within_0_and_1() -> None:
    low, high = wilson_interval(np.array([0, 7]), np.array([7, 7]))
    assert low[0] == 0.0
    assert high[1] == 1.0


def as_kinds(n_samples: Counts, n_in_cluster: Counts) -> Domains:
    kinds, n_domains = np.unique([n_samples, n_in_cluster], axis=1, return_counts=True)
    return Domains(*kinds, n_domains)


@pytest.mark.parametrize("n_domains", [8, 20, 60])
@pytest.mark.parametrize("share", [0.03, 0.1, 0.3, 0.8])
def test_it_covers_the_truth_where_each_domain_is_one_batch(n_domains: int, share: float) -> None:
    random = np.random.default_rng(0)
    honest, plain, rejected = [], [], []
    for _ in range(200):
        n = random.geometric(0.15, n_domains) * random.choice([1, 1, 1, 5], n_domains)
        n_inside = np.where(random.random(n_domains) < share, n, 0)
        estimate = honest_estimate(as_kinds(n, n_inside), share)
        honest.append(estimate.low <= share <= estimate.high)
        rejected.append(estimate.p_value < 0.05)
        low, high = wilson_interval(n_inside.sum(), n.sum())
        plain.append(low <= share <= high)
    assert np.mean(honest) >= 0.92
    assert np.mean(rejected) <= 0.08
    assert np.mean(plain) < 0.75


def test_single_samples_are_worth_what_they_are() -> None:
    n = np.ones(400, np.int64)
    inside = (np.arange(400) < 100).astype(np.int64)
    estimate = honest_estimate(as_kinds(n, inside), 0.2)
    low, high = wilson_interval(np.array(100), np.array(400))
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=0.005)
    assert estimate.p_value == pytest.approx(0.0062, abs=0.004)  # of z = 2.5


@pytest.mark.parametrize(("inside", "low", "high"), [(0, 0.0, 0.6), (1, 0.4, 1.0)])
def test_none_or_all_inside_is_no_certainty(inside: int, low: float, high: float) -> None:
    n = np.full(6, 30)
    estimate = honest_estimate(as_kinds(n, inside * n), 0.5)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=0.1)


def test_nothing_is_more_than_all() -> None:
    n = np.full(6, 3)
    assert honest_estimate(as_kinds(n, n), 1.0).p_value == 1.0
