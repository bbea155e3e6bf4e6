"""Replication thresholds: set by hand or suggested, and fixed once something is generated."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.pipelines import score
from memtriggers.pipelines.clusters.edges import renormalised
from memtriggers.pipelines.core.errors import StudyError
from memtriggers.pipelines.core.stamp import Stamp
from memtriggers.pipelines.core.study import ReplicationThreshold, Study
from memtriggers.pipelines.replication.copy_thresholds import fix_thresholds
from memtriggers.pipelines.replication.decided import read_thresholds

STAMP = Stamp({}, {})
CLIP_ALONE = '[score]\nmetrics = ["clip"]\n'


def by_hand(study: Study, cluster: str, value: float) -> Study:
    given = ReplicationThreshold(value, cluster, bands=(value, 0.5))
    return replace(study, score=replace(study.score, threshold=(given,)))


def fixed(planted: Any, study: Study) -> dict[tuple[str, str, str], dict[str, Any]]:
    fix_thresholds(study, planted.lake, STAMP)
    rows = pq.read_table(planted.lake.replication_thresholds).to_pylist()
    return {(r["cluster_id"], r["metric"], r["reference"]): r for r in rows}


def test_a_suggestion_is_what_99_of_100_images_of_other_clusters_do_not_reach(
    make_planted: Callable[..., Any],
) -> None:
    planted = make_planted()
    rows = fixed(planted, planted.study)
    assert len(rows) == 3 * (4 + 3 * 2)
    unit = renormalised(planted.vectors.astype(np.float16)).astype(np.float64)
    others = [*planted.cluster(1), *planted.cluster(2)]
    best = (unit[others] @ unit[list(planted.cluster(0))].T).max(axis=1)
    row = rows[planted.name(0), "clip", "members"]
    assert row["replication_threshold"] == pytest.approx(np.percentile(best, 99), abs=1e-6)
    assert (row["method"], row["n_non_copies"]) == ("suggested", 30)
    assert row["reason"] == (
        "99th percentile of 30 images of other clusters; so few say little: look at "
        "background_rate, or set it by hand"
    )
    whole = rows[planted.name(0), "clip", "keyword_set"]
    assert whole["replication_threshold"] == row["replication_threshold"]
    distance = rows[planted.name(0), "l2", "medoid"]
    assert distance["is_distance"] and 0 < distance["replication_threshold"] < 1


def test_one_set_by_hand_after_the_first_generation_is_exploratory(
    make_planted: Callable[..., Any], generate: Callable[..., None]
) -> None:
    planted = make_planted(CLIP_ALONE)
    member = planted.ids[planted.cluster(0)[5]]  # any sample of the cluster names it
    key, other = (planted.name(0), "clip", "medoid"), (planted.name(1), "clip", "medoid")
    rows = fixed(planted, by_hand(planted.study, member, 0.8))
    assert (rows[key]["method"], rows[key]["replication_threshold"]) == ("manual", 0.8)
    assert rows[key]["bands"] == [0.8, 0.5]
    assert rows[other]["method"] == "suggested"
    generate(planted, {planted.prompt_id(0): [1, None]})
    assert fixed(planted, by_hand(planted.study, member, 0.8))[key]["method"] == "manual"
    rows = fixed(planted, by_hand(planted.study, member, 0.7))
    assert (rows[key]["method"], rows[key]["replication_threshold"]) == ("exploratory", 0.7)
    assert fixed(planted, by_hand(planted.study, member, 0.7))[key]["method"] == "exploratory"
    not_generated = by_hand(planted.study, planted.ids[planted.cluster(1)[0]], 0.6)
    assert fixed(planted, not_generated)[other]["method"] == "manual"


def test_a_sample_without_a_prompted_cluster_is_named(make_planted: Callable[..., Any]) -> None:
    planted = make_planted()
    with pytest.raises(StudyError, match=r"score: threshold\[1\]: cluster: 'nobody': no prompt"):
        fix_thresholds(by_hand(planted.study, "nobody", 0.8), planted.lake, STAMP)


def test_a_suggestion_stays_once_something_is_generated(
    make_planted: Callable[..., Any], generate: Callable[..., None]
) -> None:
    planted = make_planted(CLIP_ALONE)
    before = fixed(planted, planted.study)
    generate(planted, {planted.prompt_id(0): [1, None, None]})
    assert fixed(planted, planted.study) == before
    remove_cluster(planted, 2)  # whose images were non-copies
    after = fixed(planted, planted.study)
    for reference in ("medoid", "representatives", "members", "keyword_set"):
        stays, moves = ((planted.name(number), "clip", reference) for number in (0, 1))
        assert after[stays] == before[stays], "it has generations"
        assert after[moves]["n_non_copies"] == 40 and before[moves]["n_non_copies"] == 50
    assert {key[0] for key in after} == {planted.name(0), planted.name(1)}


def remove_cluster(planted: Any, number: int) -> None:
    """As `cluster` does when its images no longer hang together."""
    path, gone = planted.lake.cluster_members, planted.name(number)
    rows = pq.read_table(path).to_pylist()
    kept = [row | {"cluster_id": None} if row["cluster_id"] == gone else row for row in rows]
    pq.write_table(pa.Table.from_pylist(kept, pq.read_schema(path)), path)


def test_prompts_of_a_cluster_that_is_none_any_more_get_no_scores(
    make_planted: Callable[..., Any], generate: Callable[..., None]
) -> None:
    planted = make_planted(CLIP_ALONE)
    fix_thresholds(planted.study, planted.lake, STAMP)
    generate(planted, {planted.prompt_id(number): [None, None] for number in (0, 2)})
    remove_cluster(planted, 2)
    counts = score.run(planted.study, planted.lake, STAMP)
    assert (counts.n_in, counts.n_out) == (4, 2)
    scores = pq.read_table(planted.lake.replication_scores)
    assert set(scores["prompt_id"].to_pylist()) == {planted.prompt_id(0)}


def test_generators_stand_side_by_side(
    make_planted: Callable[..., Any], generate: Callable[..., None]
) -> None:
    planted = make_planted(CLIP_ALONE)
    fix_thresholds(planted.study, planted.lake, STAMP)
    copies, noise = [3, 5, 9, 11], [None] * 4
    other = planted.cluster(0)[0]
    for name, of_first, of_second in (("copies", copies, [other] * 2), ("noise", noise, noise)):
        made = {planted.prompt_id(0): of_first, planted.prompt_id(1): of_second}
        generate(planted, made, generator=name)
    score.run(planted.study, planted.lake, STAMP)
    limit = {t: v for t, v in read_thresholds(planted.lake).items() if t[2] == planted.name(0)}
    ((_, of_cluster),) = limit.items()
    scores = pq.read_table(planted.lake.replication_scores).to_pylist()
    reached = {
        name: [
            row["score"] >= of_cluster["clip", "members"]
            for row in scores
            if (row["generator_id"], row["reference"]) == (name, "members")
            and row["prompt_id"] == planted.prompt_id(0)
        ]
        for name in ("copies", "noise")
    }
    assert reached == {"copies": [True] * 4, "noise": [False] * 4}
    background = {
        row["generator_id"]: (row["n_background"], row["background_rate"])
        for row in pq.read_table(planted.lake.background).to_pylist()
        if (row["cluster_id"], row["reference"]) == (planted.name(0), "members")
    }
    assert background == {"copies": (2, 1.0), "noise": (4, 0.0)}, "each of its own generations"
