"""cluster: nearly identical images in groups, at every threshold, and the words they come with."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from .clip.thresholds import resolve_thresholds
from .clusters.cell_workers import forest_of_cells
from .clusters.cells import EXACT_ROWS, nearest_cells, pair_recall, rows_of_cells
from .clusters.contents import describe_clusters
from .clusters.curve import threshold_curve
from .clusters.earlier import FINGERPRINT_KEY, earlier_forest, fingerprint
from .clusters.edges import Edges, Vectors
from .clusters.follow_up import choose_follow_up_sets
from .clusters.forest import block_count, components, spanning_forest
from .clusters.medoids import Clusters, find_clusters
from .clusters.pairs import rows_of_block
from .clusters.read_vectors import read_vectors
from .clusters.sample_ids import SampleIds, as_bytes
from .clusters.word_sets import find_word_sets
from .core.database import write_stamped
from .core.gpus import choose_gpu, for_products
from .core.lake import Lake
from .core.progress import progress
from .core.runs import Counts
from .core.stamp import Stamp
from .core.study import Study


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
    return Counts(n_compared, n_clusters, pair_recall=recall)


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
        gpu = for_products(choose_gpu(study.resources.device))
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
