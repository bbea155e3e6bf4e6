"""The calibrated risk: logit p = a + b·log exposures + c·logit share, and how well it predicts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

Floats = npt.NDArray[np.float64]

_RIDGE = 1e-3  # keeps a coefficient finite where the groups are separable
_RIDGE_OF_CONSTANT = 1e-6  # where they are all alike
N_BOOTSTRAPS = 2000


@dataclass(frozen=True)
class Observed:
    """G groups: what the data says of their words, and what the model gave back."""

    exposures: Floats  # (g,) copies × views, at least one copy
    share: Floats  # (g,) of the captions that say the words, those that carry the image, smoothed
    frequency: Floats  # (g,) captions that say the words × views
    contrast: Floats  # (g,) colour_stddev / 255 of the image
    rate: Floats  # (g,) of n generations, those that are copies

    def at(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> "Observed":
        """Some of the groups."""
        return Observed(*(values[which] for values in vars(self).values()))


Features = Callable[[Observed], Floats]

FEATURES: dict[str, Features] = {
    "risk": lambda o: with_constant(np.log(o.exposures), _logit(o.share), o.contrast),
    "copies and share": lambda o: with_constant(np.log(o.exposures), _logit(o.share)),
    "copies alone": lambda o: with_constant(np.log(o.exposures)),
    "frequency alone": lambda o: with_constant(np.log(o.frequency)),
    "share alone": lambda o: with_constant(_logit(o.share)),
}


@dataclass(frozen=True)
class Fit:
    """Coefficients of a logistic regression, and their covariance over groups."""

    coefficients: Floats  # (k,)
    covariance: Floats  # (k, k)

    def predict(self, features: Floats) -> Floats:
        """The probability of each of n rows of features (n, k)."""
        return _expit(features @ self.coefficients)


def smoothed_share(n_copies: Floats, n_captions: Floats) -> Floats:
    """Away from 0 and 1, whose logits are infinite."""
    return (n_copies + 0.5) / (n_captions + 1)


def fit(features: Floats, rate: Floats) -> Fit:
    """Maximum likelihood, each group counting once, and the sandwich covariance of it.

    A group's generations are all alike, so that what varies is the group: H. White, "Maximum
    likelihood estimation of misspecified models" (1982).
    """
    penalty = np.full(features.shape[1], _RIDGE)
    penalty[0] = _RIDGE_OF_CONSTANT

    def loss(beta: Floats) -> tuple[float, Floats]:
        eta = features @ beta
        value = np.sum(np.logaddexp(0, eta) - rate * eta) + penalty @ beta**2 / 2
        return float(value), features.T @ (_expit(eta) - rate) + penalty * beta

    start = np.zeros(features.shape[1])
    found = optimize.minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-8})
    beta = found.x
    p = _expit(features @ beta)
    bread = np.linalg.inv((features * (p * (1 - p))[:, None]).T @ features + np.diag(penalty))
    scores = features * (rate - p)[:, None]
    return Fit(beta, bread @ (scores.T @ scores) @ bread)


def log_loss(p: Floats, rate: Floats) -> Floats:
    """Of each group, the mean over its generations."""
    safe = np.clip(p, 1e-6, 1 - 1e-6)
    return -(rate * np.log(safe) + (1 - rate) * np.log1p(-safe))


def brier(p: Floats, rate: Floats) -> Floats:
    """Of each group, the mean over its generations."""
    return rate * (1 - p) ** 2 + (1 - rate) * p**2


@dataclass(frozen=True)
class Figures:
    """How well one way to predict does on groups that it was not fitted on."""

    name: str
    log_loss: float
    brier: float
    slope: float  # of calibration: 1 where what is said is what happens
    spearman: float | None  # where one of the two is the same for all groups
    log_loss_excess: tuple[float, float]  # over that of the risk, 95 % of a bootstrap over groups
    brier_excess: tuple[float, float]


def compare(fitted: Observed, held_out: Observed) -> list[Figures]:
    """Fit every way to predict on some groups, and measure it on the others."""
    predicted = {
        name: fit(features(fitted), fitted.rate).predict(features(held_out))
        for name, features in FEATURES.items()
    }
    return [_figures(name, p, predicted["risk"], held_out.rate) for name, p in predicted.items()]


def _figures(name: str, p: Floats, risk: Floats, rate: Floats) -> Figures:
    return Figures(
        name,
        float(log_loss(p, rate).mean()),
        float(brier(p, rate).mean()),
        calibration_slope(p, rate),
        _spearman(p, rate),
        interval(log_loss(p, rate) - log_loss(risk, rate)),
        interval(brier(p, rate) - brier(risk, rate)),
    )


def _spearman(p: Floats, rate: Floats) -> float | None:
    is_defined = np.ptp(p) > 0 and np.ptp(rate) > 0
    return float(stats.spearmanr(p, rate).statistic) if is_defined else None


def calibration_slope(p: Floats, rate: Floats) -> float:
    """Of a logistic regression of what happened on the logit of what was said."""
    return float(fit(with_constant(_logit(np.clip(p, 1e-6, 1 - 1e-6))), rate).coefficients[1])


def interval(values: Floats, seed: int = 0) -> tuple[float, float]:
    """95 % of the means of a bootstrap over groups."""
    drawn = np.random.default_rng(seed).integers(len(values), size=(N_BOOTSTRAPS, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def with_constant(*columns: Floats) -> Floats:
    """The columns (n,) as features (n, k), after one of ones."""
    parts: Sequence[Floats] = [np.ones_like(columns[0]), *columns]
    return np.stack(parts, axis=1)


def _logit(p: Floats) -> Floats:
    odds: Floats = np.log(p / (1 - p))
    return odds


def _expit(eta: Floats) -> Floats:
    p: Floats = 1 / (1 + np.exp(-np.clip(eta, -700, 700)))
    return p
