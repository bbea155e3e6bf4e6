"""generate: the images of every prompt and seed, and their vectors.

The driver hands shards to Dask workers and commits what they return, one shard a transaction; torch
and diffusers are loaded in the workers alone.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..lance.store import VectorStore
from ..lance.tables import (
    BLOCKED,
    GENERATED_IMAGES,
    IMAGE_ROWS_PER_FILE,
    OK,
)
from .core.database import connect, query
from .core.errors import LakeError, StageError
from .core.lake import Lake, replacing
from .core.registry import TABLES
from .core.runs import Counts, Standing
from .core.stamp import Stamp
from .core.stamped_tables import read_recorded, write_stamp
from .core.stored_work import StoredWork
from .core.study import Study
from .generation.embedding import embed_generated, generated_tables
from .generation.generate_job import GenerateJob, GeneratorChoice, Load, SeedShard
from .generation.model import find_generator, load_generator

_BATCHES = 4  # in one task and one transaction: what a kill can lose
_WAY_OUT = "lower generator.batch_size"


def run(study: Study, lake: Lake, stamp: Stamp, load: Load = load_generator) -> Counts:
    """Generate and embed what is missing, for the generator and the models of the study.

    Args:
        study: names the models, and how many seeds a prompt has.
        lake: its prompts are read.
        stamp: goes into the tables when they are complete.
        load: makes the pipeline of a choice on a device, in the workers: anything that is called
            as a pipeline of diffusers is.

    Returns:
        Images that were missing, and images generated; those that the pipeline blocked are not.

    Raises:
        StageError: the pipeline blocked every image.
        StudyError: the study has no `[generator]`.
        ModelError: a model cannot be found or loaded, or does not fit into memory.
        LakeError: there are no prompts yet.

    """
    if not lake.prompts.exists():
        raise LakeError(f"{lake.prompts}: no prompts yet; run: memtriggers prompts")
    choice = find_generator(study)
    counts = _generate(study, lake, GenerateJob(choice, load, study.resources.device))
    embed_generated(study, lake)
    every = _count_images(lake, choice)
    _complete(study, lake, stamp)
    return replace(counts, standing=every)


def _count_images(lake: Lake, choice: GeneratorChoice) -> Standing:
    """The images that the generator was asked for, and those that it blocked, in whichever run.

    Raises:
        StageError: it blocked every one.

    """
    store, own = VectorStore(lake.vectors), f"generator_id = '{choice.generator_id}'"
    n_images = store.count(GENERATED_IMAGES.name, own)
    n_ok = store.count(GENERATED_IMAGES.name, f"{own} and status = '{OK}'")
    if n_images and not n_ok:
        raise StageError(
            f"generate: none of {n_images:,} images came out: all are blocked by the safety "
            f"checker of {choice.settings.model}; name a model without one"
        )
    return Standing(n_images, {BLOCKED: n_images - n_ok} if n_images > n_ok else {})


def recorded(lake: Lake, study: Study) -> tuple[Stamp, str] | None:
    """The stamp and the fingerprint of the images, and of their vectors by the study's models."""
    names = (GENERATED_IMAGES.name, *generated_tables(study))
    return read_recorded(VectorStore(lake.vectors), *names)


def _add_generator(lake: Lake, choice: GeneratorChoice) -> None:
    """Write the generator beside the others, before its first image."""
    settings = choice.settings
    row = {
        "generator_id": choice.generator_id,
        "model": settings.model,
        "revision": settings.revision,
        "weights_hash": choice.weights_hash,
        "lora": settings.lora,
        "scheduler": choice.scheduler,
        "steps": settings.steps,
        "guidance_scale": settings.guidance_scale,
        "width": settings.width,
        "height": settings.height,
        "dtype": settings.dtype,
    }
    there = pq.read_table(lake.generators).to_pylist() if lake.generators.exists() else []
    others = [one for one in there if one["generator_id"] != choice.generator_id]
    with replacing(lake.generators) as unfinished:
        pq.write_table(pa.Table.from_pylist([*others, row], GENERATORS), unfinished)


GENERATORS = TABLES["generators"].schema


def _generate(study: Study, lake: Lake, job: GenerateJob) -> Counts:
    """Commit the images that are missing, in the order of prompts and seeds."""
    store, settings = VectorStore(lake.vectors), job.choice.settings
    store.create(GENERATED_IMAGES)
    missing = _find_missing(store, lake, job.choice)
    if missing.num_rows == 0:
        return Counts(0, 0)
    size = _BATCHES * settings.batch_size
    return StoredWork(
        "generate",
        "generate",
        _generate_shard,
        job,
        [GENERATED_IMAGES],
        made="image",
        way_out=_WAY_OUT,
        first=lambda: _add_generator(lake, job.choice),  # it has proved to work
    ).run(
        study,
        lake,
        missing.num_rows,
        lambda _: (SeedShard(*columns) for columns in _slices(missing, size)),
    )


def _find_missing(store: VectorStore, lake: Lake, choice: GeneratorChoice) -> pa.Table:
    """The rows (prompt_id, prompt, seed) that the generator has no image of."""
    columns, where = ["prompt_id", "seed"], f"generator_id = '{choice.generator_id}'"
    values = {"prompts": str(lake.prompts), "n_seeds": choice.settings.n_seeds}
    with connect(lake) as connection:
        connection.register("generated", store.reader(GENERATED_IMAGES.name, columns, where))
        return connection.execute(query("generate/images"), values).to_arrow_table()


def _complete(study: Study, lake: Lake, stamp: Stamp) -> None:
    store = VectorStore(lake.vectors)
    store.compact(GENERATED_IMAGES.name, IMAGE_ROWS_PER_FILE)
    for table in (GENERATED_IMAGES.name, *generated_tables(study)):
        write_stamp(store, table, stamp)


def _slices(rows: pa.Table, size: int) -> Iterator[list[list[Any]]]:
    """The columns of a table, `size` rows at a time."""
    for start in range(0, rows.num_rows, size):
        yield [column.to_pylist() for column in rows.slice(start, size).columns]


def _generate_shard(shard: SeedShard, job: GenerateJob) -> list[pa.Table]:
    from .generation.worker import generate_shard  # in the worker: it imports torch

    return [generate_shard(shard, job)]
