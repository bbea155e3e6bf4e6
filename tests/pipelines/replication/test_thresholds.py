"""Replication thresholds: set by hand or suggested, and fixed once something is generated."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from memtriggers.pipelines.clusters.edges import renormalised
from memtriggers.pipelines.errors import StudyError
from memtriggers.pipelines.replication.thresholds import fix_thresholds
from memtriggers.pipelines.stamp import Stamp
from memtriggers.pipelines.study import ReplicationThreshold, Study

STAMP = Stamp({}, {})


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
    assert row["reason"] == "99th percentile of 30 images of other clusters"
    whole = rows[planted.name(0), "clip", "keyword_set"]
    assert whole["replication_threshold"] == row["replication_threshold"]
    distance = rows[planted.name(0), "l2", "medoid"]
    assert distance["is_distance"] and 0 < distance["replication_threshold"] < 1


def test_one_set_by_hand_after_the_first_generation_is_exploratory(
    make_planted: Callable[..., Any], generate: Callable[..., None]
) -> None:
    planted = make_planted()
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
