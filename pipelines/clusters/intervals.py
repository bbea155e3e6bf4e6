"""Intervals of a share: Wilson's, and an honest one where a domain sends many samples alike."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

REPLICATES = 500  # of a bootstrap: its standard error is known to 3 %


def wilson_interval(
    successes: Floats, trials: Floats, z: Floats | float = 1.959964
) -> tuple[Floats, Floats]:
    """The Wilson score interval of a share, at 95 % by default.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927).

    Args:
        successes: how many of each `trials`, (n,).
        trials: more than 0 each, (n,).
        z: the quantile of the normal distribution.

    Returns:
        The lower and the upper ends, (n,) each.

    """
    share = successes / trials
    centre = share + z * z / (2 * trials)
    half = z * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    # Of none, and of all, the end is the share itself: rounding would leave it beside it.
    low = np.where(successes == 0, 0.0, (centre - half) / scale)
    high = np.where(successes == trials, 1.0, (centre + half) / scale)
    return low[()], high[()]


@dataclass(frozen=True)
class Domains:
    """What the domains say of one word set; those that say the same are one kind."""

    n_samples: Counts  # (k,) samples of a domain that say the words, at least 1
    n_in_cluster: Counts  # (k,) those in the cluster
    n_domains: Counts  # (k,) domains of the kind


@dataclass(frozen=True)
class Estimate:
    """A share over domains: its 95 % interval, and the p value of the null hypothesis."""

    low: float
    high: float
    p_value: float


def honest_estimate(domains: Domains, null_share: float) -> Estimate:
    """The share of samples in the cluster, where the samples of one domain may be of one batch.

    Wilson's interval on the effective number of samples, which is the number of independent ones
    that would give the variance of a bootstrap over domains, with the quantiles of Student's t: see
    C. Franco et al., "Comparative study of confidence intervals for proportions in complex sample
    surveys" (2019). The p value is that of a score test which takes each domain for one batch. The
    seed is fixed and the domains of a kind are drawn together, so that the order of rows changes
    nothing.

    Args:
        domains: at least two, for one domain says nothing of others.
        null_share: the null hypothesis is that the share is no larger; above 0.

    """
    n_samples = float(domains.n_domains @ domains.n_samples)
    n_batches = _n_worth(domains, domains.n_samples)
    share = float(domains.n_domains @ domains.n_in_cluster) / n_samples
    variance = _bootstrap_variance(domains)
    # Where all or none are in the cluster no variance is seen: each domain may be one batch.
    n_effective = min(share * (1 - share) / variance, n_samples) if variance > 0 else n_batches
    student = stats.t(_degrees_of_freedom(domains))
    low, high = wilson_interval(
        np.array(share * n_effective), np.array(n_effective), student.ppf(0.975)
    )
    if null_share == 1:
        return Estimate(float(low), float(high), 1.0)
    score = (share - null_share) / np.sqrt(null_share * (1 - null_share) / n_batches)
    return Estimate(float(low), float(high), float(student.sf(score)))


def _bootstrap_variance(domains: Domains) -> float:
    """The variance of the share over resamples of the domains."""
    total = domains.n_domains.sum()
    drawn = np.random.default_rng(0).multinomial(total, domains.n_domains / total, REPLICATES)
    return float(np.var((drawn @ domains.n_in_cluster) / (drawn @ domains.n_samples)))


def _degrees_of_freedom(domains: Domains) -> float:
    """What the variance is known from: the fewer of the domains inside the cluster and outside."""
    sides = (domains.n_in_cluster, domains.n_samples - domains.n_in_cluster)
    worth = [_n_worth(domains, side) for side in sides if side.any()]
    return max(1.0, min(*worth, _n_worth(domains, domains.n_samples) - 1))


def _n_worth(domains: Domains, n: Counts) -> float:
    """How many domains of equal size domains of sizes `n` are worth (L. Kish, 1965)."""
    return float(domains.n_domains @ n) ** 2 / float(domains.n_domains @ n**2)
