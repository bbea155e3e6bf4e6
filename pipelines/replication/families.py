"""Families of prompts compared: their rates, and whether one copies more than the words alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import stats

from ..clusters.intervals import wilson_interval
from ..core.database import connect, dbt_macro, query
from ..core.lake import Lake
from ..core.registry import TABLES
from .decided import thresholds_in_force

SCHEMA = TABLES["replication_by_family"].schema
BASELINE = "keywords"  # the family that the others are compared with
_REPLICATES = 1_000

Rates = npt.NDArray[np.float64]
Row = dict[str, Any]


@dataclass(frozen=True)
class PromptCopies:
    """Which seeds of a prompt gave a copy of its cluster."""

    family: str
    cluster_id: str
    is_copy: dict[int, bool]  # by seed


def compare_families(lake: Lake) -> pa.Table:
    """The rows of replication_by_family, from the scores, the prompts and the thresholds."""
    values = {"scores": str(lake.replication_scores), "prompts": str(lake.prompts)}
    with connect(lake) as connection:
        connection.register("thresholds", thresholds_in_force(lake))
        connection.execute(dbt_macro("is_copy"))
        found = connection.execute(query("score/copies_by_family"), values).fetchall()
    rows: list[Row] = []
    for key, group in groupby(found, lambda row: row[:4]):
        prompts = [
            PromptCopies(family, cluster_id, dict(zip(seeds, is_copy, strict=True)))
            for *_, family, cluster_id, _, seeds, is_copy in group
        ]
        named = dict(zip(SCHEMA.names, key, strict=False))
        rows += [named | row for row in family_rows(prompts)]
    return pa.Table.from_pylist(rows, SCHEMA)


def family_rows(prompts: list[PromptCopies]) -> Iterator[Row]:
    """One row a family: its rate, and its difference to that of the words alone.

    A rate is the mean over clusters of the mean over their prompts of the share of copies, so that
    each cluster counts once. Its 95 % interval is that of a bootstrap over clusters, then prompts,
    then seeds, and never narrower than Wilson's of its generations, which is what is left where all
    or none are copies. Prompts of a cluster share their seeds, that is their noise: a difference is
    drawn with the same clusters and seeds for both families, and its p value is that of an exact
    sign test over the pairs of one cluster and seed that differ; with one prompt a family that is
    McNemar's test.

    Args:
        prompts: those of one generator, keyword set, metric and reference.

    """
    clusters = [
        _matrix(list(group))
        for _, group in groupby(
            sorted(prompts, key=attrgetter("cluster_id")), attrgetter("cluster_id")
        )
    ]
    rates, differences = _bootstrap(clusters)
    for family in sorted(rates):
        n_prompts = sum(cluster.families.count(family) for cluster in clusters)
        yield {
            "family": family,
            "n_clusters": sum(family in cluster.families for cluster in clusters),
            "n_prompts": n_prompts,
            **_rate(clusters, family, rates[family]),
            **_difference(clusters, family, differences.get(family)),
        }


@dataclass(frozen=True)
class _Cluster:
    """The prompts of one cluster and their seeds."""

    families: list[str]  # (p,) that of each prompt
    copies: Rates  # (p, s) 1 where a seed gave a copy, NaN where it gave nothing

    def seed_rates(self, family: str) -> Rates:
        """The share of the family's prompts that copy, (s,) by seed."""
        rates: Rates = self.copies[np.array(self.families) == family].mean(axis=0)
        return rates


def _matrix(prompts: list[PromptCopies]) -> _Cluster:
    seeds = sorted({seed for prompt in prompts for seed in prompt.is_copy})
    copies = [[float(prompt.is_copy.get(seed, np.nan)) for seed in seeds] for prompt in prompts]
    return _Cluster([prompt.family for prompt in prompts], np.array(copies))


def _rate(clusters: list[_Cluster], family: str, replicates: Rates) -> Row:
    copies = [c.copies[np.array(c.families) == family] for c in clusters if family in c.families]
    n_generations = sum(int(np.isfinite(part).sum()) for part in copies)
    rate = float(np.mean([np.nanmean(part, axis=1).mean() for part in copies]))
    low, high = np.nanpercentile(replicates, [2.5, 97.5])
    least, most = wilson_interval(np.array(rate * n_generations), np.array(float(n_generations)))
    return {
        "n_generations": n_generations,
        "replication_rate": rate,
        "ci_low": min(float(low), float(least)),
        "ci_high": max(float(high), float(most)),
    }


def _difference(clusters: list[_Cluster], family: str, replicates: Rates | None) -> Row:
    """Nothing for the baseline itself, and where no cluster has prompts of both families."""
    if replicates is None:
        return {}
    pairs = np.concatenate(
        [
            cluster.seed_rates(family) - cluster.seed_rates(BASELINE)
            for cluster in clusters
            if {family, BASELINE} <= set(cluster.families)
        ]
    )
    n_more, n_less = int((pairs > 0).sum()), int((pairs < 0).sum())
    p_value = stats.binomtest(n_more, n_more + n_less).pvalue if n_more + n_less else 1.0
    low, high = np.nanpercentile(replicates, [2.5, 97.5])
    return {
        "difference": float(np.nanmean(pairs)),
        "difference_ci_low": float(low),
        "difference_ci_high": float(high),
        "n_pairs": int(np.isfinite(pairs).sum()),
        "p_value": float(p_value),
    }


def _bootstrap(clusters: list[_Cluster]) -> tuple[dict[str, Rates], dict[str, Rates]]:
    """By family, its rate and its difference to the baseline in 1,000 replicates.

    The seed is fixed. NaN where no drawn cluster has the family.
    """
    rng = np.random.default_rng(0)
    rates, differences = _Means(), _Means()
    drawn = rng.integers(len(clusters), size=(_REPLICATES, len(clusters)))
    for number, cluster in enumerate(clusters):
        replicate = np.nonzero(drawn == number)[0]  # (u,) one for each time it is drawn
        by_family = _draw(cluster, len(replicate), rng)
        for family, rate in by_family.items():
            rates.add(family, replicate, rate)
            if family != BASELINE and BASELINE in by_family:
                differences.add(family, replicate, rate - by_family[BASELINE])
    return rates.means(), differences.means()


def _draw(cluster: _Cluster, number: int, rng: np.random.Generator) -> dict[str, Rates]:
    """The rate of each family of a cluster in `number` draws of its seeds and prompts."""
    n_seeds = cluster.copies.shape[1]
    times = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), number)  # (u, s)
    is_there = np.isfinite(cluster.copies)
    n_there = np.maximum(times @ is_there.T, 1)
    of_prompt = times @ np.where(is_there, cluster.copies, 0).T / n_there  # (u, p)
    found = {}
    for family in sorted(set(cluster.families)):
        columns = of_prompt[:, np.array(cluster.families) == family]
        n_prompts = columns.shape[1]
        weights = rng.multinomial(n_prompts, np.full(n_prompts, 1 / n_prompts), number)
        found[family] = (weights * columns).sum(axis=1) / n_prompts
    return found


class _Means:
    """Means of what each replicate is given, by family."""

    def __init__(self) -> None:
        self._sums: dict[str, Rates] = {}
        self._counts: dict[str, Rates] = {}

    def add(self, family: str, replicate: npt.NDArray[np.int64], values: Rates) -> None:
        """Give replicates a value each; one may get several."""
        for kept, weights in ((self._sums, values), (self._counts, np.ones(len(values)))):
            added = np.bincount(replicate, weights, _REPLICATES)
            kept[family] = kept.get(family, np.zeros(_REPLICATES)) + added

    def means(self) -> dict[str, Rates]:
        """(1000,) by family, NaN where a replicate was given nothing."""
        return {
            family: np.divide(
                sums,
                self._counts[family],
                out=np.full(_REPLICATES, np.nan),
                where=self._counts[family] > 0,
            )
            for family, sums in self._sums.items()
        }
