"""A second run starts from the forest of the first while that holds, and finds the same."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import image_vectors
from memtriggers.pipelines.clip.model import find_clip
from memtriggers.pipelines.clusters.earlier import earlier_forest
from memtriggers.pipelines.clusters.read_vectors import read_vectors
from memtriggers.pipelines.clusters.sample_ids import as_bytes
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study
from memtriggers.pipelines.stages import STAGES, expected_stamp

N, N_OLD = 60, 40
CLUSTER = "[cluster]\nthresholds = [0.7, 0.9]"
Halves = npt.NDArray[np.float16]


def make_vectors() -> Halves:
    random = np.random.default_rng(0)
    vectors = random.standard_normal((12, 32)).repeat(5, axis=0)
    vectors += 0.4 * random.standard_normal(vectors.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[45] = vectors[3]  # a copy that is new
    return vectors.astype(np.float16)[random.permutation(N)]


def replace_vectors(study: Study, lake: Lake, ids: Sequence[str], vectors: Halves) -> None:
    """Put vectors of samples in the place of those that the store has."""
    store, table = VectorStore(lake.vectors), image_vectors(find_clip(study).clip_id, 32)
    store.delete(table.name, f"sample_id in ({', '.join(map(repr, ids))})")
    column = pa.array(list(vectors), pa.list_(pa.float16(), 32))
    rows = {"sample_id": list(ids), "vector": column, "status": ["ok"] * len(ids)}
    store.append(table, pa.table(rows))


def n_known(study: Study, lake: Lake) -> int:
    """How many samples the next run need not compare with each other."""
    sample_ids, unit = read_vectors(study, lake)
    thresholds = sorted(study.cluster.thresholds)
    stamp = expected_stamp(STAGES["cluster"], study, lake)
    return len(earlier_forest(lake, as_bytes(sample_ids), unit, thresholds, stamp).rows)


@pytest.fixture
def study(make_embedded_study: Callable[..., Study]) -> Study:
    return make_embedded_study(CLUSTER)


@pytest.fixture
def ids(
    study: Study,
    lake: Lake,
    write_captions: Callable[..., Path],
    store_image_vectors: Callable[..., list[str]],
    run_stages: Callable[..., None],
) -> list[str]:
    """The sample ids, after a run in which the last twenty had no vector yet."""
    write_captions(*(f"picture {i}" for i in range(N)))
    ids = store_image_vectors(study, [*make_vectors()[:N_OLD], *[None] * (N - N_OLD)])
    assert n_known(study, lake) == 0
    run_stages(study, "cluster")
    return ids


def test_new_samples_give_the_tables_of_starting_over(
    study: Study, lake: Lake, ids: list[str], run_stages: Callable[..., None]
) -> None:
    replace_vectors(study, lake, ids[N_OLD:], make_vectors()[N_OLD:])
    assert n_known(study, lake) == N_OLD
    run_stages(study, "cluster")
    assert n_known(study, lake) == N
    files = (lake.near_duplicates, lake.clusters, lake.cluster_members)
    grown = [pq.read_table(file).to_pylist() for file in files]
    assert len(grown[0]) > N_OLD
    lake.near_duplicates.unlink()
    run_stages(study, "cluster")
    assert [pq.read_table(file).to_pylist() for file in files] == grown


def test_a_sample_with_another_vector_starts_over(study: Study, lake: Lake, ids: list[str]) -> None:
    replace_vectors(study, lake, ids[:1], make_vectors()[N - 1 :])
    assert n_known(study, lake) == 0


def test_a_sample_that_is_gone_starts_over(study: Study, lake: Lake, ids: list[str]) -> None:
    VectorStore(lake.vectors).delete(
        image_vectors(find_clip(study).clip_id, 32).name, f"sample_id = '{max(ids[:N_OLD])}'"
    )
    assert n_known(study, lake) == 0


@pytest.mark.parametrize("keys", ["thresholds = [0.7, 0.8]", "thresholds = [0.7]"])
def test_other_thresholds_start_over(
    lake: Lake, ids: list[str], make_embedded_study: Callable[..., Study], keys: str
) -> None:
    assert n_known(make_embedded_study(CLUSTER), lake) == N_OLD
    assert n_known(make_embedded_study(f"[cluster]\n{keys}"), lake) == 0


def test_a_forest_that_is_not_exact_is_not_built_on(
    lake: Lake,
    ids: list[str],
    make_embedded_study: Callable[..., Study],
    run_stages: Callable[..., None],
) -> None:
    run_stages(make_embedded_study(f'{CLUSTER}\nmethod = "cells"'), "cluster")
    assert n_known(make_embedded_study(CLUSTER), lake) == 0
