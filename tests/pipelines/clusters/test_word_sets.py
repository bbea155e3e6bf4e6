"""Word sets against a plain count over the captions, and the Wilson interval against a table."""

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

from memtriggers.pipelines.clusters.word_sets import wilson_interval
from memtriggers.pipelines.errors import LakeError
from memtriggers.pipelines.lake import Lake
from memtriggers.pipelines.stages import STAGES
from memtriggers.pipelines.study import Study

VOCABULARY = ("night", "sky", "village", "café", "self-portrait", "irises", "print", "poster")
SETS = {
    "gogh": {"include": ["gogh"]},
    "night": {"include": ["night"], "parent": "gogh"},
}
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


def plain_count(
    captions: list[str], groups: Groups, embedded: npt.NDArray[np.bool_]
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
        for group, size in sizes.items():
            own = [i for i in members[keyword_set] if groups[i] == group]
            for said in frequent_sets([words[i] for i in own], max(2, ceil(size / 2))):
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
    write_captions: Callable[..., Path],
    store_image_vectors: Callable[..., list[str]],
    run_stages: Callable[..., None],
    lake: Lake,
) -> None:
    captions, groups = make_corpus(300)
    write_captions(*captions)
    study = make_embedded_study(
        "[cluster]\nthresholds = [0.9]\nword_set_clusters = 99", all={"include": ["*"]}
    )
    ids = store_image_vectors(study, np.eye(16)[groups])
    study = make_embedded_study("[cluster]\nthresholds = [0.9]\nword_set_clusters = 99", **SETS)
    run_stages(study, "filter", "cluster")

    embedded = np.array(["Gogh" in c or "Night" in c for c in captions])
    group_of = dict(zip(ids, groups.tolist(), strict=True))
    found = {
        (row["keyword_set"], group_of[row["cluster_id"]], tuple(row["words"])): row
        for row in read(lake.word_sets)
    }
    expected = plain_count(captions, groups, embedded)
    assert found.keys() == expected.keys()
    assert any(row["n_samples"] > row["n_embedded"] for row in expected.values())
    assert any(0 < row["n_in_clusters"] < row["n_embedded"] for row in expected.values())
    for key, figures in expected.items():
        assert {name: found[key][name] for name in figures} == pytest.approx(figures)
        assert found[key]["ci_low"] <= figures["share_in_cluster"] <= found[key]["ci_high"]


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
