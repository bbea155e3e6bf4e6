"""Families of prompts compared: rates, intervals and paired tests counted by hand."""

import numpy as np
import pytest
from scipy import stats

from memtriggers.pipelines.clusters.intervals import wilson_interval
from memtriggers.pipelines.replication.families import PromptCopies, family_rows


def prompt(family: str, cluster: str, copies: list[int]) -> PromptCopies:
    return PromptCopies(family, cluster, {seed: bool(copy) for seed, copy in enumerate(copies)})


def test_each_cluster_counts_once_and_pairs_are_of_one_cluster_and_seed() -> None:
    prompts = [
        prompt("keywords", "a", [1, 1, 1, 0]),
        prompt("keywords", "b", [0, 0, 0, 0]),
        prompt("short", "a", [1, 0, 0, 0]),
        prompt("short", "a", [0, 0, 0, 0]),
        prompt("long", "c", [1, 1, 1, 1]),
    ]
    rows = {row["family"]: row for row in family_rows(prompts)}
    assert rows["keywords"]["replication_rate"] == 0.375
    assert (rows["keywords"]["n_clusters"], rows["keywords"]["n_generations"]) == (2, 8)
    assert rows["short"]["replication_rate"] == 0.125
    assert (rows["short"]["n_prompts"], rows["short"]["n_pairs"]) == (2, 4)
    assert rows["short"]["difference"] == pytest.approx((-0.5 - 1 - 1 + 0) / 4)
    assert rows["short"]["p_value"] == pytest.approx(stats.binomtest(0, 3).pvalue)
    assert "difference" not in rows["keywords"]
    assert "difference" not in rows["long"]  # no cluster has both
    assert rows["long"]["ci_low"] < 1 == rows["long"]["ci_high"]  # Wilson's, of four copies in four


def test_the_interval_of_the_mean_over_clusters_covers_it() -> None:
    rng = np.random.default_rng(0)
    covered, plain = 0, 0
    for _ in range(40):
        shares = rng.beta(2, 2, 12)  # clusters differ: the mean of all such is 0.5
        prompts = [
            prompt("keywords", f"{number:02}", list(rng.random(40) < share))
            for number, share in enumerate(shares)
        ]
        row = next(iter(family_rows(prompts)))
        covered += row["ci_low"] <= 0.5 <= row["ci_high"]
        half = 1.96 * np.sqrt(0.25 / row["n_generations"])
        plain += abs(row["replication_rate"] - 0.5) <= half
    assert covered >= 34
    assert plain < covered


@pytest.mark.parametrize("shares", [(0.1, 0.9, 0.2, 0.8, 0.5, 0.3), (0.6,)])
def test_the_intervals_are_those_of_a_bootstrap_written_out(shares: tuple[float, ...]) -> None:
    rng, prompts = np.random.default_rng(1), []
    for cluster, share in enumerate(shares):
        copies = rng.random(40) < share
        prompts.append(prompt("keywords", f"{cluster}", list(copies)))
        for _ in range(2):  # the same noise: a seed without a copy has none here either
            prompts.append(prompt("short", f"{cluster}", list(copies & (rng.random(40) < 0.7))))
    drawn = np.array([draw_once(prompts, rng) for _ in range(1_500)])  # keywords, short, difference
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    rows = {row["family"]: row for row in family_rows(prompts)}
    found = [rows["short"][f"difference_{end}"] for end in ("ci_low", "ci_high")]
    assert found == pytest.approx([low[2], high[2]], abs=0.03)
    assert found[1] < 0, "which the two intervals alone do not show"
    assert rows["short"]["ci_high"] > rows["keywords"]["ci_low"]
    for place, family in enumerate(("keywords", "short")):
        rate, n = rows[family]["replication_rate"], rows[family]["n_generations"]
        least, most = wilson_interval(np.array(rate * n), np.array(float(n)))
        expected = [min(low[place], least), max(high[place], most)]
        assert [rows[family][end] for end in ("ci_low", "ci_high")] == pytest.approx(
            expected, abs=0.03
        )


def draw_once(prompts: list[PromptCopies], rng: np.random.Generator) -> tuple[float, float, float]:
    """Clusters, then prompts, then seeds, which the prompts of a drawn cluster share."""
    names = sorted({one.cluster_id for one in prompts})
    rates: dict[str, list[float]] = {"keywords": [], "short": []}
    for name in rng.choice(names, len(names)):
        seeds = rng.integers(40, size=40)
        for family, found in rates.items():
            own = [p for p in prompts if (p.cluster_id, p.family) == (name, family)]
            chosen = [own[place] for place in rng.integers(len(own), size=len(own))]
            found.append(float(np.mean([[p.is_copy[seed] for seed in seeds] for p in chosen])))
    keywords, short = (float(np.mean(rates[family])) for family in ("keywords", "short"))
    return keywords, short, short - keywords
