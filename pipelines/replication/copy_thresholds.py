"""From where on a generation is a copy: by hand, or by what images of other clusters reach."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...lance.store import VectorStore
from ...lance.tables import GENERATED_IMAGES
from ..clusters.edges import Rows
from ..core.database import connect, query, write_stamped
from ..core.errors import StudyError
from ..core.lake import Lake
from ..core.registry import TABLES
from ..core.stamp import Stamp
from ..core.study import ReplicationThreshold, Study
from .metrics import (
    CLIP,
    COSINES,
    Models,
    compare_with,
    find_models,
    has_what_it_takes,
    is_distance,
    references_of,
)
from .references import (
    KEYWORD_SET,
    MEDOID,
    MEMBERS,
    REPRESENTATIVES,
    Target,
    Training,
    find_targets,
    read_training,
)
from .surroundings import COPY, RELATIVE
from .tiles import add_training_tiles

MANUAL, SUGGESTED, EXPLORATORY = "manual", "suggested", "exploratory"
SCHEMA = TABLES["replication_thresholds"].schema

_NON_COPIES = 10_000  # that cosines are taken of
_DECODED = 200  # whose pixels or tiles are compared
_SHARE = 99.0  # percent of non-copies that are no copy by a suggested threshold
_FEW = 100  # non-copies, of whose scores the percentile is hardly more than the largest

Row = dict[str, Any]
Key = tuple[str, float, str, str, str]  # keyword set, threshold, cluster, metric, reference
ByHand = dict[tuple[str, float, str, str], ReplicationThreshold]  # the same but the reference


def fix_thresholds(study: Study, lake: Lake, stamp: Stamp) -> None:
    """Write the replication thresholds of every prompted cluster, before anything is generated.

    Once a cluster has generations, its suggested thresholds stay as they are, and one that is set
    by hand from then on is 'exploratory': whoever set it may have looked.

    Raises:
        StudyError: a threshold of the study is for a cluster that no prompt is made of.
        LakeError: vectors cannot be read.

    """
    models, training = find_models(study), read_training(study, lake)
    targets = find_targets(lake, training)
    shown = [target.references[REPRESENTATIVES] for target in targets]
    shown += [_non_copies(training, target, _DECODED) for target in targets]
    training = add_training_tiles(study, lake, models, training, shown)
    by_hand = _by_hand(study, training, targets)
    earlier, generated = _read_earlier(lake), _clusters_with_generations(lake)
    rows: list[Row] = []
    for target in targets:
        is_fixed = target.key in generated
        before = {key: row for key, row in earlier.items() if is_fixed and key[:3] == target.key}
        rows += _manual_rows(study, models, target, by_hand, before, is_fixed)
        rows += _suggested_rows(study, models, training, target, by_hand, before)
    write_stamped(pa.Table.from_pylist(rows, SCHEMA), lake.replication_thresholds, stamp)


def _by_hand(study: Study, training: Training, targets: list[Target]) -> ByHand:
    """Those of the study, by the prompted clusters that hold their samples, and by metric."""
    found: ByHand = {}
    for number, given in enumerate(study.score.threshold, 1):
        if given.cluster is None:
            named = f"words: {' '.join(given.words)!r}: no prompt of keywords says them"
            holders = _with_words(given.words, targets)
        else:
            named = f"cluster: {given.cluster!r}: no prompt is made of a cluster with this sample"
            holders = _with_sample(given.cluster, training, targets)
        if not holders:
            raise StudyError(
                f"score: threshold[{number}]: {named}; memtriggers sql 'from prompts' shows which "
                "there are"
            )
        found |= {(*target.key, given.metric): given for target in holders}
    return found


def _with_sample(sample_id: str, training: Training, targets: list[Target]) -> list[Target]:
    row = pc.index(training.sample_ids, sample_id).as_py()
    return [target for target in targets if row in target.references[MEMBERS]]


def _with_words(words: tuple[str, ...], targets: list[Target]) -> list[Target]:
    """The largest cluster of each keyword set whose keywords prompt says all the words."""
    largest: dict[str, Target] = {}
    for target in sorted(targets, key=lambda one: len(one.references[MEMBERS])):
        if target.words.issuperset(word.lower() for word in words):
            largest[target.keyword_set] = target
    return list(largest.values())


def _manual_rows(
    study: Study,
    models: Models,
    target: Target,
    by_hand: ByHand,
    before: dict[Key, Row],
    is_fixed: bool,
) -> Iterator[Row]:
    for metric in models.metrics:
        given = by_hand.get((*target.key, metric))
        if given is None:
            continue
        for reference in references_of(metric):
            value = given.replication_threshold
            row = before.get((*target.key, metric, reference))
            is_kept = row and (row["method"], row["replication_threshold"]) == (MANUAL, value)
            method = MANUAL if is_kept or not is_fixed else EXPLORATORY
            when = "before" if method == MANUAL else "after"
            reason = f"set in the study {when} the first generation"
            yield _row(study, target, metric, reference, value, method, reason, None, given.bands)


def _suggested_rows(
    study: Study,
    models: Models,
    training: Training,
    target: Target,
    by_hand: ByHand,
    before: dict[Key, Row],
) -> Iterator[Row]:
    kept = [row for row in before.values() if row["method"] == SUGGESTED]
    settled = {row["metric"] for row in kept}
    wanted = [metric for metric in models.metrics if (*target.key, metric) not in by_hand]
    yield from (row for row in kept if row["metric"] in wanted)
    missing = [metric for metric in wanted if metric not in settled]
    distances = tuple(metric for metric in missing if is_distance(metric))
    cosines = [(metric,) for metric in missing if not is_distance(metric)]
    for together in [*cosines, distances] if distances else cosines:
        yield from _suggest(study, training, target, together)


def _suggest(
    study: Study, training: Training, target: Target, metrics: tuple[str, ...]
) -> Iterator[Row]:
    """What 99 of 100 non-copies do not reach, against each reference of one cosine or of distances.

    Non-copies are images of other clusters. Every image of the keyword set is its own copy in the
    whole set, whose threshold is therefore that of all members.
    """
    number = _NON_COPIES if metrics[0] in COSINES else _DECODED
    pictures = training.pictures.take(_non_copies(training, target, number))
    pictures = pictures.take(has_what_it_takes(pictures, metrics[0]))
    if len(pictures) == 0:
        return
    own = {name: rows for name, rows in target.references.items() if name != KEYWORD_SET}
    comparison = compare_with(training, replace(target, references=own), metrics)
    scores = comparison.score(pictures)
    share = 100 - _SHARE if is_distance(metrics[0]) else _SHARE
    for metric, reference in product(metrics, references_of(metrics[0])):
        against = MEMBERS if reference == KEYWORD_SET else reference
        if (metric, against) not in scores:
            continue  # no picture of the medoid is stored
        reached = scores[metric, against].score
        if metric == RELATIVE:
            value, reason = COPY, _carlinis(reached)
        else:
            value = float(np.percentile(reached, share))
            reason = _suggestion(metrics[0], len(pictures))
        yield _row(study, target, metric, reference, value, SUGGESTED, reason, len(pictures), None)


def _suggestion(metric: str, n_non_copies: int) -> str:
    which = "1st" if is_distance(metric) else "99th"
    reason = f"{which} percentile of {n_non_copies:,} images of other clusters"
    few = "; so few say little: look at background_rate, or set it by hand"
    return reason + (few if n_non_copies < _FEW else "")


def _carlinis(reached: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    """A distance that is relative already needs no percentile; its error is said beside it."""
    n_wrong = int((reached <= COPY).sum())
    return f"Carlini's α; {n_wrong} of {len(reached):,} images of other clusters reach it"


def _non_copies(training: Training, target: Target, number: int) -> Rows:
    """Images of other clusters; sample ids are hashes, so that the first ones are any ones."""
    cluster = training.cluster[target.threshold]
    own = cluster[target.references[MEDOID][0]]
    return np.flatnonzero((cluster >= 0) & (cluster != own))[:number].astype(np.int32)


def _row(
    study: Study,
    target: Target,
    metric: str,
    reference: str,
    value: float,
    method: str,
    reason: str,
    n_non_copies: int | None,
    bands: tuple[float, ...] | None,
) -> Row:
    default = study.score.bands if metric == CLIP else (value,)
    names = ("keyword_set", "threshold", "cluster_id", "metric", "reference")
    return dict(zip(names, (*target.key, metric, reference), strict=True)) | {
        "replication_threshold": value,
        "is_distance": is_distance(metric),
        "method": method,
        "reason": reason,
        "n_non_copies": n_non_copies,
        "bands": list(default if bands is None else bands),
    }


def _read_earlier(lake: Lake) -> dict[Key, Row]:
    if not lake.replication_thresholds.exists():
        return {}
    names = SCHEMA.names[:5]
    rows = pq.read_table(lake.replication_thresholds).to_pylist()
    return {tuple(row[name] for name in names): row for row in rows}


def _clusters_with_generations(lake: Lake) -> set[tuple[str, float, str]]:
    store = VectorStore(lake.vectors)
    if not store.exists(GENERATED_IMAGES.name):
        return set()
    with connect(lake) as connection:
        connection.register("generated", store.reader(GENERATED_IMAGES.name, ["prompt_id"]))
        values = {"prompts": str(lake.prompts)}
        return set(connection.execute(query("score/clusters_with_generations"), values).fetchall())
