"""The cluster stage on hand-made lakes: what it reads, what it writes, and how it ends."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import image_vectors
from memtriggers.pipelines.clip.model import find_clip
from memtriggers.pipelines.core.errors import LakeError, StudyError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.registry import tables_of
from memtriggers.pipelines.core.study import Study
from memtriggers.pipelines.stages import STAGES

Rows = list[dict[str, Any]]
PAINTINGS = Path(__file__).parents[3] / "shared" / "data" / "wild-paintings"


def read(path: Path) -> Rows:
    rows: Rows = pq.read_table(path).to_pylist()
    return rows


def read_members(lake: Lake, threshold: float) -> dict[str, dict[str, Any]]:
    members = read(lake.cluster_members)
    return {row["sample_id"]: row for row in members if row["threshold"] == threshold}


def test_the_tables_of_three_pairs_and_one_alone(
    make_embedded_study: Callable[..., Study],
    write_captions: Callable[..., Path],
    store_image_vectors: Callable[..., list[str]],
    run_stages: Callable[..., None],
    near: Callable[[int, float], Sequence[float]],
    lake: Lake,
) -> None:
    write_captions(*(f"picture {i}" for i in range(7)))
    study = make_embedded_study("[cluster]\nthresholds = [0.95, 0.8]")
    cosines = [(0, 1.0), (0, 0.9), (1, 1.0), (1, 0.97), (2, 1.0), (2, 1.0), (3, 1.0)]
    ids = store_image_vectors(study, [near(*cosine) for cosine in cosines])
    run_stages(study, "cluster")

    clusters = {(row["threshold"], row["n_samples"]): row for row in read(lake.clusters)}
    assert [row["threshold"] for row in read(lake.clusters)] == [0.8, 0.8, 0.8, 0.95, 0.95]
    assert clusters.keys() == {(0.8, 2), (0.95, 2)}
    by_id = {row["cluster_id"]: row for row in read(lake.clusters) if row["threshold"] == 0.8}
    pair = by_id[min(ids[:2])]
    assert pair["medoid_sample_id"] == min(ids[:2])
    assert pair["cosine_to_medoid_min"] == pytest.approx(0.9, abs=1e-3)
    assert pair["cosine_to_medoid_mean"] == pytest.approx(0.95, abs=1e-3)

    members = read_members(lake, 0.95)
    assert members.keys() == set(ids)
    assert [members[i]["cluster_id"] for i in (*ids[:2], ids[6])] == [None] * 3
    assert members[ids[0]]["representative_sample_id"] == ids[0]
    assert members[ids[0]]["cosine_to_medoid"] == 1.0
    assert {members[i]["cluster_id"] for i in ids[4:6]} == {min(ids[4:6])}

    edges = {(row["sample_id"], row["other_sample_id"]) for row in read(lake.near_duplicates)}
    assert edges == {tuple(sorted(ids[i : i + 2])) for i in (0, 2, 4)}
    stage = STAGES["cluster"]
    assert stage.why_stale(study, lake) == []


def test_only_embedded_samples_of_the_present_sets_are_compared(
    make_embedded_study: Callable[..., Study],
    write_captions: Callable[..., Path],
    store_image_vectors: Callable[..., list[str]],
    run_stages: Callable[..., None],
    near: Callable[[int, float], Sequence[float]],
    lake: Lake,
) -> None:
    write_captions("red star", "blue star", "green star", "a flag", "star " * 90)
    everything = make_embedded_study()
    ids = store_image_vectors(
        everything, [near(0, 1.0), near(0, 1.0), None, near(0, 1.0), near(0, 1.0)]
    )
    study = make_embedded_study(star={"include": ["star"]})
    run_stages(study, "filter", "cluster")
    members = read_members(lake, 0.9)
    assert members.keys() == set(ids[:2])  # not: not finite, another set, over 77 CLIP tokens
    assert [row["n_samples"] for row in read(lake.clusters)] == [2, 2, 2]


@pytest.mark.parametrize(
    ("vectors", "n_clusters", "n_edges"),
    [
        pytest.param(np.eye(1, 4), 0, 0, id="one sample"),
        pytest.param(np.eye(4), 0, 0, id="none above the floor"),
        pytest.param(np.ones((4, 4)) / 2, 3, 3, id="all identical"),
        pytest.param([None, None, None, np.ones(4)], 0, 0, id="one vector"),
    ],
)
def test_few_or_equal_vectors(
    make_embedded_study: Callable[..., Study],
    write_captions: Callable[..., Path],
    store_image_vectors: Callable[..., list[str]],
    run_stages: Callable[..., None],
    lake: Lake,
    vectors: Sequence[Sequence[float]],
    n_clusters: int,
    n_edges: int,
) -> None:
    write_captions(*(f"picture {i}" for i in range(len(vectors))))
    study = make_embedded_study()
    store_image_vectors(study, vectors)
    run_stages(study, "cluster")
    assert len(read(lake.clusters)) == n_clusters
    assert len(read(lake.near_duplicates)) == n_edges
    assert len(read(lake.cluster_members)) == 3 * sum(v is not None for v in vectors)


def test_no_vectors_at_all_make_empty_typed_tables(
    make_embedded_study: Callable[..., Study],
    write_captions: Callable[..., Path],
    run_stages: Callable[..., None],
    lake: Lake,
) -> None:
    write_captions("one", "two")
    study = make_embedded_study()
    run_stages(study, "filter")
    table = image_vectors(find_clip(study).clip_id, 16)
    VectorStore(lake.vectors).create(table)
    run_stages(study, "cluster")
    for table in tables_of("cluster"):
        written = pq.read_table(getattr(lake, table.name))
        assert written.num_rows == 0
        assert {f.name: f.type for f in written.schema if not pa.types.is_list(f.type)} == {
            f.name: f.type for f in table.schema if not pa.types.is_list(f.type)
        }


def test_the_order_of_the_store_changes_nothing(
    make_embedded_study: Callable[..., Study],
    write_captions: Callable[..., Path],
    store_image_vectors: Callable[..., list[str]],
    run_stages: Callable[..., None],
    lake: Lake,
) -> None:
    write_captions(*(f"picture {i}" for i in range(60)))
    study = make_embedded_study()
    random = np.random.default_rng(0)
    vectors = random.standard_normal((12, 32)).repeat(5, axis=0)
    vectors += 0.4 * random.standard_normal(vectors.shape)
    store_image_vectors(study, list(vectors))
    run_stages(study, "cluster")
    files = (lake.near_duplicates, lake.clusters, lake.cluster_members)
    before = [read(path) for path in files]

    store, name = VectorStore(lake.vectors), f"image_vectors-{find_clip(study).clip_id}"
    stored = store.reader(name, ["sample_id", "vector", "status"]).read_all()
    store.delete(name, "true")
    for part in np.array_split(random.permutation(60), 3):
        store.append(image_vectors(find_clip(study).clip_id, 32), stored.take(pa.array(part)))
    run_stages(study, "cluster")
    assert [read(path) for path in files] == before
    assert len(before[1]) > 10


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([[0.0, 0.0], [1.0, 0.0]], r"sample [0-9a-f]{32} has a vector of zeros or NaN; remove"),
        ([[1.0, 0.0], [1.0, float("nan")]], r"sample [0-9a-f]{32} has a vector of zeros or NaN"),
    ],
)
def test_a_vector_without_direction_names_its_sample(
    make_embedded_study: Callable[..., Study],
    write_captions: Callable[..., Path],
    store_image_vectors: Callable[..., list[str]],
    run_stages: Callable[..., None],
    vectors: Sequence[Sequence[float]],
    message: str,
) -> None:
    write_captions("one", "two")
    study = make_embedded_study()
    store_image_vectors(study, vectors)
    with pytest.raises(LakeError, match=message):
        run_stages(study, "cluster")


def test_a_sample_that_is_stored_twice_is_an_error(
    make_embedded_study: Callable[..., Study],
    write_captions: Callable[..., Path],
    store_image_vectors: Callable[..., list[str]],
    run_stages: Callable[..., None],
) -> None:
    write_captions("one", "two")
    study = make_embedded_study()
    store_image_vectors(study, np.eye(2))
    store_image_vectors(study, np.eye(2))
    with pytest.raises(LakeError, match="4 vectors for 2 samples; remove"):
        run_stages(study, "cluster")


@pytest.mark.parametrize("method", ["auto", "exact", "cells"])
def test_a_run_records_the_recall_of_pairs_where_it_is_not_exact(
    make_embedded_study: Callable[..., Study],
    write_captions: Callable[..., Path],
    store_image_vectors: Callable[..., list[str]],
    run_stages: Callable[..., None],
    lake: Lake,
    method: str,
) -> None:
    write_captions(*(f"picture {i}" for i in range(40)))
    study = make_embedded_study(f'[cluster]\nmethod = "{method}"\nthresholds = [0.8, 0.9]')
    vectors = np.random.default_rng(0).standard_normal((8, 16)).repeat(5, axis=0)
    store_image_vectors(study, list(vectors))
    run_stages(study, "cluster")
    assert [row["n_samples"] for row in read(lake.clusters)] == [5] * 16
    run = json.loads(max(lake.runs.glob("*-cluster.json")).read_text(encoding="utf-8"))
    assert run["status"] == "ok"
    assert run["pair_recall"] == ({"0.8": 1.0, "0.9": 1.0} if method == "cells" else None)


@pytest.mark.parametrize(("linkage", "sizes"), [("component", [5]), ("complete-to-medoid", [3])])
def test_a_chain_is_one_cluster_or_what_is_near_its_medoid(
    make_embedded_study: Callable[..., Study],
    write_captions: Callable[..., Path],
    store_image_vectors: Callable[..., list[str]],
    run_stages: Callable[..., None],
    lake: Lake,
    linkage: str,
    sizes: list[int],
) -> None:
    write_captions(*(f"picture {i}" for i in range(5)))
    study = make_embedded_study(f'[cluster]\nthresholds = [0.9]\nlinkage = "{linkage}"')
    angles = np.radians([0, 25, 50, 75, 100])
    ids = store_image_vectors(study, list(np.stack([np.cos(angles), np.sin(angles)], axis=1)))
    run_stages(study, "cluster")
    assert [row["n_samples"] for row in read(lake.clusters)] == sizes
    members = read_members(lake, 0.9)
    assert members[ids[2]]["representative_sample_id"] == ids[2]
    assert (members[ids[0]]["cluster_id"] is None) == (linkage == "complete-to-medoid")
    curve = read(lake.cluster_thresholds)
    assert [row["threshold"] for row in curve if row["is_computed"]] == [0.9]
    assert curve[0]["n_samples_largest"] == 5  # of the component, whatever the linkage


def test_an_unknown_method_is_named(make_embedded_study: Callable[..., Study]) -> None:
    with pytest.raises(StudyError, match=r"cluster: method: 'fast' is unknown; it is one of"):
        make_embedded_study('[cluster]\nmethod = "fast"')


@pytest.mark.skipif(not PAINTINGS.exists(), reason="the real paintings are not at hand")
def test_the_starry_night_is_the_first_cluster_of_van_gogh(
    make_embedded_study: Callable[..., Study],
    store_image_vectors: Callable[..., list[str]],
    run_stages: Callable[..., None],
    lake: Lake,
    tmp_path: Path,
) -> None:
    paintings = pq.read_table(PAINTINGS / "laion_schema.parquet").replace_schema_metadata()
    pq.write_table(paintings, tmp_path / "paintings.parquet")
    study = make_embedded_study(
        "[cluster]\nthresholds = [0.75, 0.9]", **{"van gogh": {"include": ["van gogh"]}}
    )
    vectors = np.load(PAINTINGS / "sscd_disc_mixup_int8_512.npy")
    ids = store_image_vectors(study, list(vectors))
    run_stages(study, "cluster")
    largest = max(
        (row for row in read(lake.clusters) if row["threshold"] == 0.75),
        key=lambda row: row["n_samples"],
    )
    work = pq.read_table(PAINTINGS / "metadata.parquet")["work"].to_pylist()
    rows = pq.read_table(lake.samples).sort_by("source_row")["source_row"].to_pylist()
    work_of = dict(zip(ids, (work[row] for row in rows), strict=True))
    members = read_members(lake, 0.75)
    inside = [work_of[i] for i in members if members[i]["cluster_id"] == largest["cluster_id"]]
    assert set(inside) == {"starry_night"}
    assert len(inside) > 50
    first = [row for row in read(lake.word_sets) if row["cluster_id"] == largest["cluster_id"]]
    assert {"starry", "night"} <= {word for row in first for word in row["words"]}
