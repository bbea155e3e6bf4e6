"""What clusters say and show, counted by hand, and what is left out for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import IMAGES
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study

GROUPS = np.repeat(np.arange(4), 5)


@pytest.fixture
def four_clusters(
    make_embedded_study: Callable[..., Study],
    write_laion: Callable[..., Path],
    store_image_vectors: Callable[..., list[str]],
    run_stages: Callable[..., None],
    near: Callable[[int, float], Any],
    lake: Lake,
) -> dict[float, dict[int, dict[str, Any]]]:
    """By threshold and group: one file on 5 hosts, one on 4, blank images, and a chain."""
    rows = [{"TEXT": f"star night {i}", "URL": f"https://host{i}.example/x.jpg"} for i in range(20)]
    rows[6]["URL"] = "https://HOST5.example/y.jpg"
    rows[11]["TEXT"] = rows[10]["TEXT"]
    write_laion(*rows)
    study = make_embedded_study("[cluster]\nthresholds = [0.8, 0.95]")
    vectors = [near(group, 1.0) for group in GROUPS]
    vectors[18], vectors[19] = near(3, 0.9), near(3, 0.9)
    ids = store_image_vectors(study, vectors)
    images = [
        {
            "sample_id": sample_id,
            "status": "ok",
            "sha256": ["error page", "picture", f"blank {i}", f"chain {i}"][group],
            "colour_stddev": [30.0, 30.0, (0.5, 0.0, 0.9, 40.0, 50.0)[i % 5], 30.0][group],
        }
        for i, (sample_id, group) in enumerate(zip(ids, GROUPS, strict=True))
    ]
    VectorStore(lake.vectors).append(IMAGES, pa.Table.from_pylist(images, schema=IMAGES.schema))
    run_stages(study, "cluster")
    group_of = dict(zip(ids, GROUPS.tolist(), strict=True))
    found: dict[float, dict[int, dict[str, Any]]] = {0.8: {}, 0.95: {}}
    for row in pq.read_table(lake.clusters).to_pylist():
        if row["n_samples"] > 2:
            found[row["threshold"]][group_of[row["cluster_id"]]] = row
    return found


def test_one_file_under_5_captions_on_5_hosts_is_a_placeholder(
    four_clusters: dict[float, dict[int, dict[str, Any]]],
) -> None:
    page, four_hosts, blank, chain = (four_clusters[0.8][group] for group in range(4))
    names = ("n_captions_distinct", "n_urls_distinct", "n_domains_distinct")
    assert [page[name] for name in names] == [5, 5, 5]
    assert [four_hosts[name] for name in names] == [5, 5, 4]
    assert [blank[name] for name in names] == [4, 5, 5]
    assert [c["is_placeholder"] for c in (page, four_hosts, blank, chain)] == [True, *[False] * 3]


def test_what_is_excluded_says_why_and_has_no_word_sets(
    four_clusters: dict[float, dict[int, dict[str, Any]]], lake: Lake
) -> None:
    reasons = [four_clusters[0.8][group]["excluded_reason"] for group in range(4)]
    assert reasons == ["placeholder", None, "blank", None]
    assert [group for group in range(4) if four_clusters[0.8][group]["is_blank"]] == [2]
    mined = set(pq.read_table(lake.word_sets)["cluster_id"].to_pylist())
    assert mined >= {four_clusters[0.8][group]["cluster_id"] for group in (1, 3)}
    assert not mined & {four_clusters[0.8][group]["cluster_id"] for group in (0, 2)}


def test_a_chain_says_the_largest_piece_that_it_breaks_into(
    four_clusters: dict[float, dict[int, dict[str, Any]]],
) -> None:
    pieces = [four_clusters[0.8][group]["n_samples_largest_piece"] for group in range(4)]
    assert pieces == [5, 5, 5, 3]
    assert four_clusters[0.95][3]["n_samples"] == 3
    assert {row["n_samples_largest_piece"] for row in four_clusters[0.95].values()} == {None}
