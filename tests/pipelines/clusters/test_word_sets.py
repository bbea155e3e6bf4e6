"""Word sets against a plain count over the captions, and what their intervals cover."""

import hashlib
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
from scipy.stats import false_discovery_control

from memtriggers.pipelines.clusters.intervals import Domains, honest_estimate
from memtriggers.pipelines.core.errors import LakeError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study
from memtriggers.pipelines.stages import STAGES

VOCABULARY = ("night", "sky", "village", "café", "self-portrait", "irises", "print", "poster")
SETS = {
    "gogh": {"include": ["gogh"]},
    "night": {"include": ["night"], "parent": "gogh"},
}
ALL_CLUSTERS = "[cluster]\nthresholds = [0.9]\nword_set_clusters = 99"
HONEST = ("ci_honest_low", "ci_honest_high", "q_value", "trigger_score")
Groups = npt.NDArray[np.int64]


def read(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def make_corpus(n: int) -> tuple[list[str], Groups]:
    """Captions and the group of each: a group has favourite words; most say "gogh"."""
    random = np.random.default_rng(0)
    groups = random.integers(0, 12, n)
    captions = []
    for group in groups:
        share = [0.85 if (group + i) % 3 == 0 else 0.1 for i in range(len(VOCABULARY))]
        said = [word for word, p in zip(VOCABULARY, share, strict=True) if random.random() < p]
        name = ["the", "gogh"] if group < 9 and random.random() < 0.5 else ["the"]
        captions.append(" ".join([*name, *said, *said[:1]]).title())
    return captions, groups


def is_estimating(domain: str) -> bool:
    return hashlib.md5(domain.encode()).hexdigest() >= "8"


def write_from_domains(
    write_laion: Callable[..., Path], captions: list[str], domains: list[str]
) -> None:
    rows = zip(captions, domains, strict=True)
    write_laion(*({"TEXT": c, "URL": f"https://{d}/{n}.jpg"} for n, (c, d) in enumerate(rows)))


def plain_count(
    captions: list[str], groups: Groups, embedded: npt.NDArray[np.bool_], domains: list[str]
) -> dict[tuple[str, int, tuple[str, ...]], dict[str, float]]:
    """Every word set of every keyword set and group, counted one caption after the other."""
    words = [[w for w in c.lower().split() if w != "the"] for c in captions]
    members = {
        name: [i for i in np.flatnonzero(embedded) if name in words[i]]
        for name in ("gogh", "night")
    }
    in_group = {name: Counter(groups[rows].tolist()) for name, rows in members.items()}
    large = {group for group, n in in_group["gogh"].items() if n >= 2}
    expected = {}
    for keyword_set, sizes in in_group.items():
        for group in sizes:
            own = [i for i in members[keyword_set] if groups[i] == group]
            mining = [i for i in own if not is_estimating(domains[i])]
            mined = mining if len(mining) >= 2 else own
            for said in frequent_sets([words[i] for i in mined], max(2, ceil(len(mined) / 2))):
                rows = [i for i in range(len(captions)) if set(said) <= set(words[i])]
                inside = [i for i in rows if embedded[i]]
                n_here = sum(groups[i] == group for i in inside)
                share_of_cluster = n_here / np.sum(embedded & (groups == group))
                expected[keyword_set, int(group), said] = {
                    "n_samples": len(rows),
                    "n_embedded": len(inside),
                    "n_in_cluster": n_here,
                    "n_in_clusters": sum(groups[i] in large for i in inside),
                    "share_in_cluster": n_here / len(rows),
                    "concentration": sum(groups[i] in large for i in inside) / len(rows),
                    "lift": share_of_cluster / (len(rows) / len(captions)),
                }
    return expected


def frequent_sets(said: list[list[str]], n_needed: int) -> list[tuple[str, ...]]:
    counts = Counter(
        words for each in said for k in (1, 2, 3) for words in combinations(sorted(set(each)), k)
    )
    return [words for words, n in counts.items() if n >= n_needed]


def test_every_figure_is_a_plain_count(
    make_embedded_study: Callable[..., Study],
    write_laion: Callable[..., Path],
    store_image_vectors: Callable[..., list[str]],
    run_stages: Callable[..., None],
    lake: Lake,
) -> None:
    captions, groups = make_corpus(300)
    domains = [f"host{i * i % 47}.example" for i in range(len(captions))]
    write_from_domains(write_laion, captions, domains)
    study = make_embedded_study(ALL_CLUSTERS, all={"include": ["*"]})
    ids = store_image_vectors(study, np.eye(16)[groups])
    study = make_embedded_study(ALL_CLUSTERS, **SETS)
    run_stages(study, "filter", "cluster")

    embedded = np.array(["Gogh" in c or "Night" in c for c in captions])
    group_of = dict(zip(ids, groups.tolist(), strict=True))
    found = {
        (row["keyword_set"], group_of[row["cluster_id"]], tuple(row["words"])): row
        for row in read(lake.word_sets)
    }
    expected = plain_count(captions, groups, embedded, domains)
    assert found.keys() == expected.keys()
    assert any(row["n_samples"] > row["n_embedded"] for row in expected.values())
    assert any(0 < row["n_in_clusters"] < row["n_embedded"] for row in expected.values())
    for key, figures in expected.items():
        assert {name: found[key][name] for name in figures} == pytest.approx(figures)
        assert found[key]["ci_low"] <= figures["share_in_cluster"] <= found[key]["ci_high"]

    tested = []
    words = [set(caption.lower().split()) for caption in captions]
    half = np.array([is_estimating(domain) for domain in domains])
    for (_, group, said), row in found.items():
        if row["ci_honest_low"] is None:
            continue
        saying = half & [set(said) <= each for each in words]
        inside = saying & embedded & (groups == group)
        each = [d for d, says in zip(domains, saying, strict=True) if says]
        n, n_inside = Counter(each), Counter(d for d, i in zip(domains, inside, strict=True) if i)
        kinds = sorted(Counter((n[d], n_inside[d]) for d in n).items())
        plain = honest_estimate(
            Domains(*np.array([(*kind, count) for kind, count in kinds]).T),
            (half & embedded & (groups == group)).sum() / (half & embedded).sum(),
        )
        assert (row["ci_honest_low"], row["ci_honest_high"]) == (plain.low, plain.high)
        score = plain.low * np.log2(1 + row["n_in_cluster"])
        assert row["trigger_score"] == pytest.approx(score)
        tested.append((plain.p_value, row["q_value"]))
    assert len(tested) > 50
    p_values, q_values = np.array(tested).T
    assert q_values == pytest.approx(false_discovery_control(p_values))


def test_rows_that_share_url_and_caption_are_one_sample(
    make_embedded_study: Callable[..., Study],
    write_laion: Callable[..., Path],
    store_image_vectors: Callable[..., list[str]],
    run_stages: Callable[..., None],
    lake: Lake,
) -> None:
    row = {"URL": "https://host.example/1.jpg", "TEXT": "Almond &quot;blossoming&quot;"}
    write_laion(row, row, row, {"TEXT": "almond blossoming"}, {"TEXT": None}, {"TEXT": "a tree"})
    study = make_embedded_study("[cluster]\nthresholds = [0.9]", almond={"include": ["almond"]})
    store_image_vectors(study, np.ones((6, 4)))
    run_stages(study, "cluster")
    rows = {tuple(row["words"]): row for row in read(lake.word_sets)}
    assert rows.keys() == {("almond",), ("almond", "blossoming"), ("blossoming",)}
    for row in rows.values():
        assert (row["n_samples"], row["n_in_cluster"]) == (2, 2)
        assert row["lift"] == pytest.approx(1 / (4 / 5))  # of five captions, four say it


def test_the_word_sets_of_the_largest_clusters_only(
    make_embedded_study: Callable[..., Study],
    write_captions: Callable[..., Path],
    store_image_vectors: Callable[..., list[str]],
    run_stages: Callable[..., None],
    lake: Lake,
) -> None:
    write_captions(*(f"star {word} {word}s" for word in "aaabbbccd"))
    study = make_embedded_study(
        "[cluster]\nthresholds = [0.9]\nmin_cluster_size = 2\nword_set_clusters = 2",
        star={"include": ["star"]},
    )
    ids = store_image_vectors(study, np.eye(4)[[0, 0, 0, 1, 1, 1, 2, 2, 3]])
    run_stages(study, "cluster")
    assert {row["cluster_id"] for row in read(lake.word_sets)} == {min(ids[:3]), min(ids[3:6])}


def test_no_cluster_has_more_word_sets_than_a_person_reads(
    make_embedded_study: Callable[..., Study],
    write_captions: Callable[..., Path],
    store_image_vectors: Callable[..., list[str]],
    run_stages: Callable[..., None],
    lake: Lake,
) -> None:
    write_captions(*["oak elm ash fir yew fig palm pine larch cedar birch maple"] * 3)
    study = make_embedded_study("[cluster]\nthresholds = [0.9]")
    store_image_vectors(study, np.ones((3, 4)))
    run_stages(study, "cluster")
    assert len(read(lake.word_sets)) == 50


def test_samples_of_another_parquet_are_an_error(
    make_embedded_study: Callable[..., Study],
    write_captions: Callable[..., Path],
    store_image_vectors: Callable[..., list[str]],
    lake: Lake,
) -> None:
    write_captions("a star", "one star")
    study = make_embedded_study()
    store_image_vectors(study, np.ones((2, 4)))
    write_captions("a flag")
    with pytest.raises(LakeError, match="not made from the parquet that the study names now"):
        STAGES["cluster"].run(study, lake)


@pytest.mark.parametrize("url", ["{}.jpg", "https://one.example/{}.jpg", "http://two.example/{}"])
def test_a_cluster_without_two_halves_has_no_honest_figures(
    make_study: Callable[..., Study],
    write_laion: Callable[..., Path],
    store_image_vectors: Callable[..., list[str]],
    run_stages: Callable[..., None],
    lake: Lake,
    url: str,
) -> None:
    write_laion(*({"TEXT": f"a star {i}", "URL": url.format(i)} for i in range(6)))
    sections = '[clip]\nmodel = "ViT-B-32"\npretrained = "openai"\n[cluster]\nthresholds = [0.9]'
    data = "" if "://" in url else 'image_root = "."'
    study = make_study(data=data, sections=sections)
    store_image_vectors(study, np.ones((6, 4)))
    run_stages(study, "cluster")
    (row,) = read(lake.word_sets)
    assert (row["words"], row["n_in_cluster"], row["ci_high"]) == (["star"], 6, 1.0)
    assert [row[name] for name in HONEST] == [None] * 4


def test_the_order_of_rows_changes_no_interval(
    make_embedded_study: Callable[..., Study],
    write_laion: Callable[..., Path],
    store_image_vectors: Callable[..., list[str]],
    run_stages: Callable[..., None],
    lake: Lake,
) -> None:
    rows, groups = make_batches(np.random.default_rng(0), n_domains=60, n_groups=6)
    found = []
    for order in (np.arange(len(rows)), np.random.default_rng(1).permutation(len(rows))):
        write_laion(*(rows[i] for i in order))
        study = make_embedded_study(ALL_CLUSTERS)
        if not found:
            store_image_vectors(study, np.eye(6)[groups[order]])
        run_stages(study, "filter", "cluster")
        found.append(read(lake.word_sets))
    assert found[0] == found[1]


def make_batches(
    random: np.random.Generator, n_domains: int, n_groups: int
) -> tuple[list[dict[str, str]], Groups]:
    """Each domain sends a batch of one picture under captions that say the same three words.

    Words have nothing to do with pictures: of all that say any words, 1 / n_groups are of a group.
    """
    vocabulary, rows, groups = ("oak", "elm", "ash", "fir", "yew", "fig"), [], []
    for domain in range(n_domains):
        group, said = random.integers(n_groups), random.permutation(vocabulary)[:3]
        for n in range(random.geometric(0.15)):
            url = f"https://{domain}.example/{n}.jpg"
            rows.append({"URL": url, "TEXT": f"{' '.join(said)} {n}"})
            groups.append(group)
    return rows, np.array(groups)


def test_the_honest_interval_covers_the_truth_where_the_plain_one_does_not(
    make_embedded_study: Callable[..., Study],
    write_laion: Callable[..., Path],
    store_image_vectors: Callable[..., list[str]],
    run_stages: Callable[..., None],
    lake: Lake,
) -> None:
    n_groups = 25
    rows, groups = make_batches(np.random.default_rng(0), 300, n_groups)
    write_laion(*rows)
    study = make_embedded_study(ALL_CLUSTERS)
    store_image_vectors(study, np.eye(n_groups)[groups])
    run_stages(study, "cluster")
    tested = [row for row in read(lake.word_sets) if row["ci_honest_low"] is not None]
    covered = {
        kind: np.mean([row[f"{kind}_low"] <= 1 / n_groups <= row[f"{kind}_high"] for row in tested])
        for kind in ("ci", "ci_honest")
    }
    assert len(tested) > 100
    assert covered["ci_honest"] >= 0.93
    assert covered["ci"] < 0.7
