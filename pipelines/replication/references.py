"""What generations are compared with: the training images, and those of each prompted cluster."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from ...lance.store import VectorStore
from ...lance.tables import IMAGES, copy_vectors_name
from ..clip.copy_model import find_copy_model
from ..clusters.edges import Rows
from ..clusters.read_vectors import read_vectors
from ..clusters.sample_ids import SampleIds, as_bytes, rows_of
from ..core.database import connect, query
from ..core.lake import Lake
from ..core.study import Study
from .compared import IMAGE, Compared, find_rows, find_stored, read_unit
from .surroundings import Surroundings, find_surroundings

MEDOID, REPRESENTATIVES, MEMBERS, KEYWORD_SET = (
    "medoid",
    "representatives",
    "members",
    "keyword_set",
)
N_REPRESENTATIVES = 16


@dataclass(frozen=True, eq=False)
class Target:
    """A cluster that prompts were made of, and the training images that they are compared with.

    `cluster_id` is the sample by which its prompts name it: since then the cluster may have grown,
    and be called after a smaller one. `words` are those of its keywords prompt.
    """

    keyword_set: str
    threshold: float
    cluster_id: str
    words: frozenset[str]
    references: dict[str, Rows]  # rows of the training images, ascending, at least one each

    @property
    def key(self) -> tuple[str, float, str]:
        """What its prompts and its thresholds are found by."""
        return self.keyword_set, self.threshold, self.cluster_id


@dataclass(frozen=True)
class Training:
    """The embedded training images, by sample_id, and the clusters that they are in."""

    sample_ids: pa.StringArray  # (n,) ascending
    pictures: Compared
    cluster: dict[float, Rows]  # by threshold: (n,) the first row of each row's cluster, or -1

    @cached_property
    def surroundings(self) -> dict[float, Surroundings]:
        """By threshold, what a relative distance is relative to."""
        return {t: find_surroundings(self.pictures, rows) for t, rows in self.cluster.items()}

    def cluster_ids(self, threshold: float, rows: Rows) -> pa.Array:
        """The cluster_id of each row at a threshold, null where unclustered."""
        first = self.cluster[threshold][rows]
        return self.sample_ids.take(pa.array(first, mask=first < 0))


def read_training(study: Study, lake: Lake) -> Training:
    """The embedded samples, with their clusters at every threshold that prompts were made at.

    Raises:
        LakeError: their vectors cannot be read, or are damaged.

    """
    sample_ids, unit = read_vectors(study, lake)
    store, ids = VectorStore(lake.vectors), as_bytes(sample_ids)
    vectors, copies = {"clip": unit}, find_copy_model(study)
    if copies is not None:
        vectors["sscd"] = read_unit(store, copy_vectors_name(copies.copy_id), ids)
    return Training(
        sample_ids,
        Compared(vectors, {IMAGE: find_stored(store, IMAGES.name, IMAGE, ids)}),
        _read_clusters(lake, ids),
    )


def find_targets(lake: Lake, training: Training) -> list[Target]:
    """The clusters that prompts were made of and that still are clusters."""
    ids = as_bytes(training.sample_ids)
    targets = []
    with connect(lake) as connection:
        values = {"prompts": str(lake.prompts), "clusters": str(lake.clusters)}
        values |= {"cluster_members": str(lake.cluster_members)}
        found = connection.execute(query("score/prompted_clusters"), values).fetchall()
        matches = _read_matches(connection, lake, ids)
    for keyword_set, threshold, named, words, present, medoid in found:
        is_known, rows = find_rows(np.array([present, medoid], "S32"), ids)
        if not is_known.all():
            continue  # its vectors have gone since it was clustered
        first, centre = rows
        is_member = training.cluster[threshold] == first
        is_member[first] = True  # a sample that is asked for alone is in no cluster
        members = np.flatnonzero(is_member).astype(np.int32)
        references = choose_references(members, int(centre))
        references[KEYWORD_SET] = matches[keyword_set]
        targets.append(Target(keyword_set, threshold, named, frozenset(words), references))
    return targets


def choose_references(members: Rows, medoid: int) -> dict[str, Rows]:
    """The references of a cluster: its medoid, at most 16 representatives, and every member.

    The representatives are the medoid and the first 15 others, whatever the size of the cluster:
    the largest of many scores grows with their number.

    Args:
        members: rows in the order of their sample ids.
        medoid: one of them.

    """
    others = members[members != medoid][: N_REPRESENTATIVES - 1]
    return {
        MEDOID: np.array([medoid], np.int32),
        REPRESENTATIVES: np.sort(np.append(others, np.int32(medoid))),
        MEMBERS: members,
    }


def _read_clusters(lake: Lake, ids: SampleIds) -> dict[float, Rows]:
    """By threshold, the first row of each row's cluster, -1 where it is in none."""
    with connect(lake) as connection:
        asked = connection.read_parquet(str(lake.prompts)).unique("threshold").fetchall()
        clusters = {threshold: np.full(len(ids), -1, np.int32) for (threshold,) in asked}
        values = {"prompts": str(lake.prompts), "cluster_members": str(lake.cluster_members)}
        batches = connection.execute(query("score/clusters_of_prompts"), values).to_arrow_reader()
        for batch in batches:
            is_known, rows = find_rows(as_bytes(batch["sample_id"]), ids)
            thresholds = batch["threshold"].to_numpy()[is_known]
            first = rows_of(as_bytes(batch["cluster_id"])[is_known], ids)
            for threshold in np.unique(thresholds):
                here = thresholds == threshold
                clusters[float(threshold)][rows[here]] = first[here]
    return clusters


def _read_matches(connection: Any, lake: Lake, ids: SampleIds) -> dict[str, Rows]:
    """The rows of each keyword set."""
    values = {"keyword_matches": str(lake.keyword_matches)}
    matches: dict[str, list[Rows]] = {}
    for batch in connection.execute(query("score/matches"), values).to_arrow_reader():
        is_known, rows = find_rows(as_bytes(batch["sample_id"]), ids)
        names = batch["keyword_set"].to_numpy(False)[is_known]
        for name in np.unique(names):
            matches.setdefault(str(name), []).append(rows[names == name])
    return {name: np.sort(np.concatenate(parts)) for name, parts in matches.items()}
