"""The score stage on a lake whose generator copies as it is told."""

from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import generated_vectors_name
from memtriggers.pipelines import score
from memtriggers.pipelines.clip.model import find_clip
from memtriggers.pipelines.clusters.edges import renormalised
from memtriggers.pipelines.clusters.intervals import wilson_interval
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.stamp import Stamp
from memtriggers.pipelines.replication.copy_thresholds import fix_thresholds

STAMP = Stamp({"score": "1"}, {"generate": "2"})
Rows = list[dict[str, Any]]


def run(planted: Any) -> tuple[int, int]:
    counts = score.run(planted.study, planted.lake, STAMP)
    return counts.n_in, counts.n_out


def read(lake: Lake, table: str) -> Rows:
    rows: Rows = pq.read_table(getattr(lake, table)).to_pylist()
    return rows


def test_every_score_is_the_brute_force_best(
    make_planted: Callable[..., Any], generate: Callable[..., None]
) -> None:
    planted = make_planted()
    fix_thresholds(planted.study, planted.lake, STAMP)
    copied = [3, None, 45, None, 7]  # its own cluster, noise, another cluster, …
    generate(planted, {planted.prompt_id(0): copied})
    assert run(planted) == (5, 5)
    rows = [r for r in read(planted.lake, "replication_scores") if r["metric"] == "clip"]
    members = sorted(planted.cluster(0), key=planted.ids.__getitem__)
    everything = sorted(range(len(planted.ids)), key=planted.ids.__getitem__)
    unit = renormalised(planted.vectors.astype(np.float16)).astype(np.float64)
    mean = (unit[members] @ unit[members].T).mean(axis=1)
    medoid = members[int(mean.argmax())]
    others = [row for row in members if row != medoid][:15]
    references = {
        "medoid": [medoid],
        "representatives": sorted([medoid, *others], key=planted.ids.__getitem__),
        "members": members,
        "keyword_set": everything,
    }
    assert {(r["seed"], r["reference"]) for r in rows} == {
        (seed, reference) for seed in range(5) for reference in references
    }
    generated = stored_vectors(planted)
    for row in rows:
        among = references[row["reference"]]
        cosines = unit[among] @ generated[row["seed"]]
        assert row["score"] == pytest.approx(cosines.max(), abs=1e-6)
        best = among[int(cosines.argmax())]
        assert row["matched_sample_id"] == planted.ids[best]
        holder = [n for n in range(3) if best in planted.cluster(n)]
        assert row["matched_cluster_id"] == (planted.name(holder[0]) if holder else None)
    copy = {r["reference"]: r for r in rows if r["seed"] == 2}
    assert copy["keyword_set"]["score"] == 1.0
    assert copy["keyword_set"]["matched_cluster_id"] == planted.name(1)
    assert copy["members"]["score"] < 0.7


def stored_vectors(planted: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    name = generated_vectors_name(find_clip(planted.study).clip_id)
    table = VectorStore(planted.lake.vectors).dataset(name).to_table()
    return renormalised(np.array(table["vector"].to_pylist())).astype(np.float64)


def test_an_exact_copy_has_cosine_1_and_distance_0_and_the_metrics_say_what_made_them(
    make_planted: Callable[..., Any], generate: Callable[..., None]
) -> None:
    planted = make_planted()
    fix_thresholds(planted.study, planted.lake, STAMP)
    thresholds = read(planted.lake, "replication_thresholds")
    row = min(planted.cluster(1), key=planted.ids.__getitem__)  # the first representative
    generate(planted, {planted.prompt_id(1): [row, None]})
    run(planted)
    rows = read(planted.lake, "replication_scores")
    near = [r for r in rows if r["reference"] == "representatives" and r["seed"] == 0]
    assert {r["metric"]: r["score"] for r in near} == {
        "clip": 1.0,
        "l2": 0.0,
        "l2_tiles": 0.0,
        "webster": 0.0,
    }
    assert {r["matched_sample_id"] for r in near if r["metric"] == "l2"} == {planted.ids[row]}
    assert {r["model"] for r in rows} == {find_clip(planted.study).clip_id, "pixels"}
    limits = {
        (t["metric"], t["reference"]): t["replication_threshold"]
        for t in thresholds
        if t["cluster_id"] == planted.name(1)
    }
    for r in rows:
        limit = limits[r["metric"], r["reference"]]
        reaches = r["score"] >= limit if r["metric"] == "clip" else r["score"] <= limit
        if r["reference"] == "representatives":
            assert reaches == (r["seed"] == 0)


SHARES = {"keywords": 0.0, "short": 0.1, "long": 0.5, "irrelevant": 0.9, "without_name": 1.0}


def plant(planted: Any, number: int, share: float, n_seeds: int) -> list[int | None]:
    """A copy of some image of the cluster for exactly `share` of the seeds, noise for the others.

    Exactly, for of shares that are drawn one in twenty lies outside its own 95 % interval.
    """
    rng = np.random.default_rng(int(share * 100) + number)
    rows, copies = (
        rng.choice(planted.cluster(number), n_seeds),
        rng.permutation(n_seeds) < share * n_seeds,
    )
    return [int(row) if is_copy else None for row, is_copy in zip(rows, copies, strict=True)]


def test_the_measured_rate_is_that_of_the_planted_copies(
    make_planted: Callable[..., Any],
    generate: Callable[..., None],
    run_stages: Callable[..., None],
) -> None:
    planted = make_planted('[score]\nmetrics = ["clip"]\n', families=list(SHARES))
    fix_thresholds(planted.study, planted.lake, STAMP)
    copies = {
        planted.prompt_id(0, family): plant(planted, 0, share, 100)
        for family, share in SHARES.items()
    }
    generate(planted, copies | {planted.prompt_id(1): plant(planted, 1, 0.5, 50)})
    assert run(planted) == (550, 550)
    run_stages(planted.study, "build")
    with duckdb.connect(str(planted.lake.current), read_only=True) as published:
        rows = published.execute(
            "select family, replication_rate, ci_low, ci_high, n_generations, n_background, "
            "background_rate, excess_rate, bands, band_counts from replication "
            "join prompts using (prompt_id) where cluster_id = ? and metric = 'clip' "
            "and reference = 'members'",
            [planted.name(0)],
        ).fetchall()
        families = published.execute(
            "select family, replication_rate, ci_low, ci_high, difference, p_value "
            "from replication_by_family where metric = 'clip' and reference = 'members'"
        ).fetchall()
    assert {row[0] for row in rows} == set(SHARES)
    for family, rate, low, high, n, n_background, background, excess, bands, counts in rows:
        n_copies = sum(row is not None for row in copies[planted.prompt_id(0, family)])
        assert (rate, n) == (n_copies / 100, 100)
        assert low <= SHARES[family] <= high
        assert (low, high) == pytest.approx(wilson_interval(np.array(n_copies), np.array(100.0)))
        assert n_background == 50 and background <= 0.04  # 1 of 100 non-copies may reach it
        assert excess == pytest.approx(rate - background)
        assert (bands, sum(counts), counts[0]) == ([0.85, 0.8, 0.7], 100, n_copies)
    found = {row[0]: row[1:] for row in families}
    rate, low, high, difference, p_value = found["without_name"]
    assert (rate, difference) == (1.0, 1.0)
    assert low < 1.0 and high == 1.0 and p_value < 1e-20
    assert found["keywords"][3:] == (None, None)


def test_a_sample_is_asked_for_alone_where_there_is_no_cluster_at_all(
    make_planted: Callable[..., Any], generate: Callable[..., None]
) -> None:
    """As after a curation that left nothing twice."""
    planted = make_planted()
    alone = len(planted.ids) - 1
    members = pq.read_table(planted.lake.cluster_members)
    place = members.column_names.index("cluster_id")
    nulls = pa.nulls(len(members), members.schema.field("cluster_id").type)
    pq.write_table(members.set_column(place, "cluster_id", nulls), planted.lake.cluster_members)
    pq.write_table(pq.read_table(planted.lake.clusters).slice(0, 0), planted.lake.clusters)
    prompt = pq.read_table(planted.lake.prompts).to_pylist()[0]
    prompt |= {"source": "file", "prompt_id": "f" * 32, "cluster_id": planted.ids[alone]}
    pq.write_table(pa.Table.from_pylist([prompt]), planted.lake.prompts)
    fix_thresholds(planted.study, planted.lake, STAMP)
    generate(planted, {"f" * 32: [alone, None]})
    assert run(planted) == (2, 2)


def test_a_sample_in_no_cluster_is_asked_for_alone(
    make_planted: Callable[..., Any], generate: Callable[..., None]
) -> None:
    planted = make_planted()
    alone, other = len(planted.ids) - 1, len(planted.ids) - 2
    prompts = pq.read_table(planted.lake.prompts).to_pylist()
    asked = {"source": "file", "prompt_id": "f" * 32, "prompt": "mine"}
    for prompt in (
        {**prompts[0], **asked, "cluster_id": planted.ids[alone]},
        {**prompts[0], "prompt_id": "e" * 32, "cluster_id": planted.ids[other]},  # dissolved
    ):
        prompts.append(prompt)
    pq.write_table(pa.Table.from_pylist(prompts), planted.lake.prompts)
    fix_thresholds(planted.study, planted.lake, STAMP)
    generate(planted, {"f" * 32: [alone, 3, None], "e" * 32: [other]})
    assert run(planted) == (4, 3), "the prompt of a cluster that is none any more has no scores"
    rows = [r for r in read(planted.lake, "replication_scores") if r["metric"] == "clip"]
    for reference in ("medoid", "representatives", "members"):
        found = {r["seed"]: r for r in rows if r["reference"] == reference}
        assert {r["matched_sample_id"] for r in found.values()} == {planted.ids[alone]}
        assert {r["matched_cluster_id"] for r in found.values()} == {None}
        assert [found[seed]["score"] > 0.99 for seed in range(3)] == [True, False, False]
    assert {t["cluster_id"] for t in read(planted.lake, "replication_thresholds")} == {
        *(planted.name(number) for number in range(3)),
        planted.ids[alone],
    }
