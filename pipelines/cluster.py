"""cluster: nearly identical images in groups, at every threshold, and the words they come with."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from ..lance.store import VectorStore
from ..lance.tables import OK, image_vectors_name
from .clip.model import find_clip
from .clip.thresholds import resolve_thresholds
from .clusters.cell_workers import forest_of_cells
from .clusters.cells import EXACT_ROWS, nearest_cells, pair_recall, rows_of_cells
from .clusters.contents import describe_clusters
from .clusters.curve import threshold_curve
from .clusters.earlier import FINGERPRINT_KEY, earlier_forest, fingerprint
from .clusters.edges import Edges, Vectors, renormalised
from .clusters.follow_up import choose_follow_up_sets
from .clusters.forest import block_count, components, spanning_forest
from .clusters.medoids import Clusters, find_clusters
from .clusters.pairs import rows_of_block
from .clusters.sample_ids import SampleIds, as_bytes
from .clusters.word_sets import find_word_sets
from .core.database import connect, query, write_stamped
from .core.errors import LakeError
from .core.gpus import choose_gpu
from .core.lake import Lake
from .core.progress import progress
from .core.runs import Counts
from .core.stamp import Stamp
from .core.study import Study

_OK_ROWS = f"status = '{OK}'"


def run(study: Study, lake: Lake, stamp: Stamp) -> Counts:
    """Write near_duplicates, clusters, cluster_members, cluster_thresholds, word_sets and
    follow_up_sets.

    Returns:
        Samples that were compared with all others (the new ones, where the forest before holds),
        and clusters of all thresholds together.

    Raises:
        LakeError: a vector without a direction, or a sample with two vectors; names the table.

    """
    sample_ids, unit = read_vectors(study, lake)
    resolved = resolve_thresholds(study, lake)
    thresholds = resolved.computed
    ids = as_bytes(sample_ids)
    forest, n_compared, recall = _find_forest(study, lake, stamp, ids, unit, thresholds)
    exact = {}
    if recall is None:
        exact[FINGERPRINT_KEY] = fingerprint(ids, unit, thresholds, stamp)
    min_size = study.cluster.min_cluster_size
    is_complete = study.cluster.linkage == "complete-to-medoid"
    clusters = {
        threshold: find_clusters(
            unit,
            components(forest, len(unit), threshold),
            min_size,
            threshold if is_complete else -np.inf,
        )
        for threshold in thresholds
    }
    curve = threshold_curve(forest, len(unit), thresholds, min_size)
    write_stamped(curve, lake.cluster_thresholds, stamp)
    write_stamped(_near_duplicates(sample_ids, forest), lake.near_duplicates, stamp, **exact)
    members = pa.concat_tables(_member_tables(sample_ids, clusters))
    write_stamped(members, lake.cluster_members, stamp)
    found = pa.concat_tables(_cluster_tables(sample_ids, clusters))
    write_stamped(describe_clusters(lake, found, members), lake.clusters, stamp)
    write_stamped(find_word_sets(study, lake), lake.word_sets, stamp)
    choose_follow_up_sets(study, lake, resolved, stamp)
    n_clusters = sum(len(found.size) for found in clusters.values())
    return Counts(n_compared, n_clusters, recall)


def _find_forest(
    study: Study,
    lake: Lake,
    stamp: Stamp,
    sample_ids: SampleIds,
    unit: Vectors,
    thresholds: Sequence[float],
) -> tuple[Edges, int, dict[float, float] | None]:
    """The forest, the number of samples compared, and the recall of pairs if it is not exact."""
    if _is_exact(study, len(unit)):
        start = earlier_forest(lake, sample_ids, unit, thresholds, stamp)
        gpu = choose_gpu(study.resources.device)
        with progress("cluster", block_count(len(unit), rows_of_block(gpu))) as advance:
            forest = spanning_forest(unit, thresholds, advance=advance, start=start, gpu=gpu)
        return forest, len(unit) - len(start.rows), None
    nearest = nearest_cells(unit)
    cells = rows_of_cells(nearest)
    with progress("cluster", len(cells)) as advance:
        forest = forest_of_cells(lake, study.resources, unit, cells, thresholds, advance)
    return forest, len(unit), pair_recall(unit, nearest, thresholds)


def _is_exact(study: Study, n: int) -> bool:
    method = study.cluster.method
    return method == "exact" or (method == "auto" and n <= EXACT_ROWS)


def read_vectors(study: Study, lake: Lake) -> tuple[pa.StringArray, Vectors]:
    """The sample ids, sorted, and their vectors renormalised in float32, (n, d).

    Raises:
        LakeError: a vector without a direction, or a sample with two vectors; names the table.

    """
    store, name = VectorStore(lake.vectors), image_vectors_name(find_clip(study).clip_id)
    sample_ids = _read_sample_ids(store, name, lake)
    sorted_ids = as_bytes(sample_ids)
    dimensions = store.dataset(name).schema.field("vector").type.list_size
    unit = np.empty((len(sorted_ids), dimensions), np.float32)
    n_read = 0
    for batch in store.reader(name, ["sample_id", "vector"], _OK_ROWS):
        stored = as_bytes(batch["sample_id"])
        row = np.searchsorted(sorted_ids, stored)
        wanted = np.searchsorted(sorted_ids, stored, side="right") > row
        vectors = batch["vector"].flatten().to_numpy().reshape(-1, dimensions)
        unit[row[wanted]] = renormalised(vectors[wanted])
        n_read += int(wanted.sum())
    _check_vectors(store.path(name), sample_ids, unit, n_read)
    return sample_ids, unit


def _read_sample_ids(store: VectorStore, name: str, lake: Lake) -> pa.StringArray:
    with connect(lake) as connection:
        connection.register("embedded", store.reader(name, ["sample_id"], _OK_ROWS))
        found = connection.execute(query("samples_to_cluster"), {"samples": str(lake.samples)})
        return found.to_arrow_table()["sample_id"].combine_chunks()


def _check_vectors(table: Path, sample_ids: pa.StringArray, unit: Vectors, n_read: int) -> None:
    way_out = f"remove {table} and run: memtriggers refresh"
    if n_read != len(sample_ids):
        raise LakeError(f"{table}: {n_read} vectors for {len(sample_ids)} samples; {way_out}")
    broken = np.flatnonzero(~np.isfinite(unit).all(axis=1))
    if len(broken):
        sample_id = sample_ids[int(broken[0])]
        raise LakeError(f"{table}: sample {sample_id} has a vector of zeros or NaN; {way_out}")


def _near_duplicates(sample_ids: pa.StringArray, forest: Edges) -> pa.Table:
    return pa.table(
        {
            "sample_id": sample_ids.take(pa.array(forest.first)),
            "other_sample_id": sample_ids.take(pa.array(forest.second)),
            "cosine": pa.array(forest.cosine),
        }
    )


def _cluster_tables(
    sample_ids: pa.StringArray, clusters: dict[float, Clusters]
) -> Sequence[pa.Table]:
    return [
        pa.table(
            {
                "threshold": pa.repeat(threshold, len(found.size)),
                "cluster_id": sample_ids.take(pa.array(found.smallest)),
                "n_samples": pa.array(found.size),
                "medoid_sample_id": sample_ids.take(pa.array(found.medoid)),
                "cosine_to_medoid_mean": pa.array(found.cosine_mean),
                "cosine_to_medoid_min": pa.array(found.cosine_min),
            }
        )
        for threshold, found in clusters.items()
    ]


def _member_tables(
    sample_ids: pa.StringArray, clusters: dict[float, Clusters]
) -> Sequence[pa.Table]:
    return [
        pa.table(
            {
                "threshold": pa.repeat(threshold, len(sample_ids)),
                "sample_id": sample_ids,
                "cluster_id": sample_ids.take(pa.array(found.cluster, mask=found.cluster < 0)),
                "representative_sample_id": sample_ids.take(pa.array(found.representative)),
                "cosine_to_medoid": pa.array(found.cosine_to_medoid),
            }
        )
        for threshold, found in clusters.items()
    ]
