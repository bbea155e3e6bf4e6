"""How often images show an object that nobody named, corrected for the detector; amplification."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..clusters.intervals import wilson_interval
from ..core.registry import TABLES
from .calibration import Calibration, Errors
from .images import GENERATED, TRAIN

_DRAWS = 4000  # of a posterior: the ends of its 95 % interval are known to about 2 % of its width
_TINY = 1e-6  # a rate whose logarithm is finite
_LEAST_USE = 0.05  # sensitivity + specificity - 1, below which a detector says next to nothing

Draws = npt.NDArray[np.float64]
Row = dict[str, Any]

SCHEMA = TABLES["object_rates"].schema


@dataclass(frozen=True)
class Count:
    """Images of one keyword set, or of one prompt, whose texts do not name the object."""

    keyword_set: str
    object: str
    generator_id: str | None
    family: str | None
    prompt_id: str | None
    n: int
    n_with_object: int


def corrected(rate: float, errors: Errors) -> float | None:
    """The share that shows the object, given how the detector errs; null where that says nothing.

    (p + specificity - 1) / (sensitivity + specificity - 1), within 0 and 1: W. J. Rogan and
    B. Gladen, "Estimating prevalence from the results of a screening test" (1978).
    """
    if errors.sensitivity is None or errors.specificity is None:
        return None
    use = errors.sensitivity + errors.specificity - 1
    if use < _LEAST_USE:
        return None
    return float(np.clip((rate + errors.specificity - 1) / use, 0, 1))


def rate_rows(
    counts: Sequence[Count], calibrations: Mapping[str, Calibration], detector_id: str
) -> Iterator[Row]:
    """Rows of `object_rates` of one detector.

    One a keyword set and object for the training images; for each generator one a prompt, one a
    family of prompts and one of all. The interval of several prompts is over prompts, too: seeds of
    one prompt are alike. Amplification is the generated rate over that of training, both corrected
    where that is possible; its interval is that of the logarithm.
    """
    for keyword_set, name in dict.fromkeys((c.keyword_set, c.object) for c in counts):
        of_object = [c for c in counts if (c.keyword_set, c.object) == (keyword_set, name)]
        errors, key = calibrations[name].errors, {"keyword_set": keyword_set, "object": name}
        key["detector_id"] = detector_id
        trained = _Rate.of([c for c in of_object if c.prompt_id is None], errors[TRAIN], 0)
        yield key | {"population": TRAIN} | trained.row
        for where, group in _groups([c for c in of_object if c.prompt_id is not None]):
            made = _Rate.of(group, errors[GENERATED], 1)
            amplified = made.over(trained)
            yield key | {"population": GENERATED} | where | made.row | amplified


def _groups(counts: Sequence[Count]) -> Iterator[tuple[Row, list[Count]]]:
    """The prompts of each generator, one by one, by family and all together."""
    keys: Sequence[Callable[[Count], Row]] = (
        lambda c: {"generator_id": c.generator_id, "family": c.family, "prompt_id": c.prompt_id},
        lambda c: {"generator_id": c.generator_id, "family": c.family},
        lambda c: {"generator_id": c.generator_id},
    )
    for key in keys:
        groups: dict[tuple[Any, ...], list[Count]] = {}
        for count in counts:
            groups.setdefault(tuple(key(count).values()), []).append(count)
        yield from ((key(group[0]), group) for group in groups.values())


@dataclass(frozen=True)
class _Rate:
    """A rate and what is known of it: draws of its posterior, raw and corrected."""

    n: int
    n_with_object: int
    is_one_prompt: bool
    point: float | None
    draws: Draws
    corrected_draws: Draws | None

    @classmethod
    def of(cls, counts: Sequence[Count], errors: Errors, stream: int) -> "_Rate":
        """The rate of all these counts; rates that are compared are drawn from other streams."""
        n, k = (np.array([getattr(c, a) for c in counts], int) for a in ("n", "n_with_object"))
        n_all, k_all = int(n.sum()), int(k.sum())
        random = np.random.default_rng([n_all, k_all, stream])  # the same counts, the same interval
        chosen = random.integers(len(counts), size=(_DRAWS, len(counts))) if len(counts) else None
        if chosen is None or n_all == 0:
            draws = random.beta(0.5, 0.5, _DRAWS)
        else:
            # Jeffreys' prior for each prompt's seeds; which prompts there are is drawn, too.
            each = random.beta(k[chosen] + 0.5, n[chosen] - k[chosen] + 0.5)
            draws = (each * n[chosen]).sum(axis=1) / n[chosen].sum(axis=1)
        point = corrected(k_all / n_all, errors) if n_all else None
        right = None if point is None else _corrected_draws(draws, errors)
        return cls(n_all, k_all, len(counts) == 1, point, draws, right)

    @property
    def row(self) -> Row:
        """Its columns of `object_rates`."""
        if self.n == 0:
            return {"n": 0, "n_with_object": 0}
        low, high = wilson_interval(np.float64(self.n_with_object), np.float64(self.n))  # type: ignore[arg-type]
        if not self.is_one_prompt:
            low, high = np.quantile(self.draws, (0.025, 0.975))
        row = {
            "n": self.n,
            "n_with_object": self.n_with_object,
            "rate": self.n_with_object / self.n,
            "ci_low": float(low),
            "ci_high": float(high),
            "corrected_rate": self.point,
        }
        if self.corrected_draws is not None:
            row |= _interval(self.corrected_draws, "corrected_")
        return row

    def over(self, trained: "_Rate") -> Row:
        """How many times as often as in training; null where training never shows it."""
        if self.n == 0 or trained.n == 0:
            return {}
        mine, base = self.n_with_object / self.n, trained.n_with_object / trained.n
        ours, theirs = self.draws, trained.draws
        if self.corrected_draws is not None and trained.corrected_draws is not None:
            mine, base = self.point or 0.0, trained.point or 0.0
            ours, theirs = self.corrected_draws, trained.corrected_draws
        if base == 0:
            return {}
        ratio = np.log(np.maximum(ours, _TINY)) - np.log(np.maximum(theirs, _TINY))
        ends = np.exp(np.quantile(ratio, (0.025, 0.975)))
        return {
            "amplification": mine / base,
            "amplification_ci_low": float(ends[0]),
            "amplification_ci_high": float(ends[1]),
        }


def _corrected_draws(draws: Draws, errors: Errors) -> Draws:
    """What is known of the corrected rate, the errors themselves being known from few labels."""
    random = np.random.default_rng([errors.n_with, errors.n_without])
    found = random.beta(errors.n_found + 0.5, errors.n_with - errors.n_found + 0.5, _DRAWS)
    false = random.beta(errors.n_false + 0.5, errors.n_without - errors.n_false + 0.5, _DRAWS)
    use = np.maximum(found - false, _LEAST_USE)
    right: Draws = np.clip((draws - false) / use, 0, 1)
    return right


def _interval(draws: Draws, prefix: str) -> Row:
    low, high = np.quantile(draws, (0.025, 0.975))
    return {f"{prefix}ci_low": float(low), f"{prefix}ci_high": float(high)}
