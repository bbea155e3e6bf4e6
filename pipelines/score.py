"""score: how near every generation comes to the training images, and what it means by prompt."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .core.lake import Lake, replacing
from .core.progress import progress
from .core.registry import TABLES
from .core.runs import Counts, Standing
from .core.stamp import METADATA_KEY, Stamp
from .core.study import Study
from .generation.generate_job import Load
from .generation.model import load_generator
from .replication import background, families
from .replication.background import backgrounds_of
from .replication.consistency import consistency
from .replication.decided import Thresholds, read_thresholds
from .replication.generations import Generations, Prompted, find_generations
from .replication.magnitudes import measure_magnitudes
from .replication.metrics import CLIP, Models, Scores, compare_with, find_models
from .replication.references import (
    REPRESENTATIVES,
    Target,
    Training,
    find_targets,
    read_training,
)
from .replication.tiles import add_generated_tiles, add_training_tiles

REPLICATION_SCORES = TABLES["replication_scores"].schema
PROMPT_SCORES = TABLES["prompt_scores"].schema
_CLUSTER_GONE = "cluster_gone"  # of a prompt that was made for one which is none any more

Row = dict[str, Any]


def run(study: Study, lake: Lake, stamp: Stamp, load: Load = load_generator) -> Counts:
    """Write replication_scores, background, replication_by_family and prompt_scores.

    Args:
        study: names the models, the metrics and the thresholds.
        lake: its generations and training images are read.
        stamp: goes into the tables.
        load: makes the pipeline of a choice on a device, in the workers.

    Returns:
        Generations that have an image and an embedding, of whichever generator, and those that have
        scores: a prompt whose cluster is none any more gets none.

    Raises:
        LakeError: nothing was generated, or the vectors cannot be read.
        ModelError: the generator cannot be loaded.

    """
    models, training = find_models(study), read_training(study, lake)
    targets, thresholds = _targets_of_prompts(lake, training), read_thresholds(lake)
    shown = [target.references[REPRESENTATIVES] for target in targets.values()]
    training = add_training_tiles(study, lake, models, training, shown)
    add_generated_tiles(study, lake, models)
    generations = find_generations(lake, models)
    backgrounds, prompt_rows, n_scored = backgrounds_of(generations), [], 0
    with _writing(lake.replication_scores, REPLICATION_SCORES, stamp) as write:
        for prompted, target, scores in _score_all(models, training, generations, targets):
            write(_score_table(prompted, target, scores, training, models))
            backgrounds[prompted.generator_id].add(prompted, target)
            prompt_rows += _consistency_rows(prompted, thresholds.get(target.key, {}))
            n_scored += len(prompted.seeds)
    with _writing(lake.background, background.SCHEMA, stamp) as write:
        for target in dict.fromkeys(targets.values()):
            comparison = compare_with(training, target, models.metrics)
            for found in backgrounds.values():
                rows = found.rows(comparison, thresholds.get(target.key, {}))
                write(pa.Table.from_pylist(rows, background.SCHEMA))
    if study.generator is not None:
        prompt_rows += measure_magnitudes(study, lake, load)
    with _writing(lake.prompt_scores, PROMPT_SCORES, stamp) as write:
        write(pa.Table.from_pylist(prompt_rows, PROMPT_SCORES))
    with _writing(lake.replication_by_family, families.SCHEMA, stamp) as write:
        write(families.compare_families(lake))
    lost = {_CLUSTER_GONE: n} if (n := len(generations) - n_scored) else {}
    return Counts(len(generations), n_scored, lost, Standing(len(generations), lost))


def _targets_of_prompts(lake: Lake, training: Training) -> dict[str, Target]:
    """The cluster of each prompt, where it still is one."""
    targets = {target.key: target for target in find_targets(lake, training)}
    columns = ["prompt_id", "keyword_set", "threshold", "cluster_id"]
    prompts = pq.read_table(lake.prompts, columns=columns).to_pylist()
    keys = {row["prompt_id"]: tuple(row[name] for name in columns[1:]) for row in prompts}
    return {prompt_id: targets[key] for prompt_id, key in keys.items() if key in targets}


def _score_all(
    models: Models, training: Training, generations: Generations, targets: dict[str, Target]
) -> Iterator[tuple[Prompted, Target, Scores]]:
    """The scores of every prompt; what a cluster is compared by is loaded once a generator."""
    with progress("score", len(generations)) as advance:
        for target, group in groupby(generations, lambda prompted: targets.get(prompted.prompt_id)):
            if target is None:
                continue
            comparison = compare_with(training, target, models.metrics)
            for prompted in group:
                yield prompted, target, comparison.score(prompted.pictures)
                advance(len(prompted.seeds))


def _score_table(
    prompted: Prompted, target: Target, scores: Scores, training: Training, models: Models
) -> pa.Table:
    """The rows of one prompt: n for each metric and reference."""
    n = len(prompted.seeds)
    tables = [REPLICATION_SCORES.empty_table()]
    for (metric, reference), matches in scores.items():
        model, preprocessing = models.made_with(metric)
        columns = [
            pa.repeat(prompted.generator_id, n),
            pa.repeat(prompted.prompt_id, n),
            pa.array(prompted.seeds),
            pa.repeat(metric, n),
            pa.repeat(reference, n),
            pa.array(matches.score),
            training.sample_ids.take(pa.array(matches.row)),
            training.cluster_ids(target.threshold, matches.row),
            pa.repeat(model, n),
            pa.repeat(preprocessing, n),
        ]
        tables.append(pa.table(columns, schema=REPLICATION_SCORES))
    return pa.concat_tables(tables)


def _consistency_rows(prompted: Prompted, thresholds: Thresholds) -> list[Row]:
    threshold = thresholds.get((CLIP, REPRESENTATIVES))
    if threshold is None or len(prompted.seeds) < 2:
        return []
    found = consistency(prompted.pictures.vectors[CLIP], threshold)
    name = {"generator_id": prompted.generator_id, "prompt_id": prompted.prompt_id}
    said = f"{len(prompted.seeds)} seeds, alike from {threshold:.4f} on"
    return [
        {**name, "detector": detector, "score": score, "upper_bound": bound, "settings": said}
        for detector, (score, bound) in found.items()
    ]


@contextmanager
def _writing(path: Path, schema: pa.Schema, stamp: Stamp) -> Iterator[Callable[[pa.Table], None]]:
    """Write tables to one parquet file, stamped, as they come."""
    stamped = schema.with_metadata({METADATA_KEY: stamp.text})
    with (
        replacing(path) as unfinished,
        pq.ParquetWriter(unfinished, stamped, compression="zstd") as writer,
    ):
        yield lambda table: writer.write_table(table.cast(stamped))
