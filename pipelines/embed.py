"""embed: the image and the caption of every fetched sample as CLIP vectors.

Where the study names a descriptor of copies, the same pass makes its vectors, too. The driver hands
shards to Dask workers and commits what they return; torch is loaded in the workers alone. What is
imported at the top is light: `recorded` answers `status` in a base install too.
"""

from collections.abc import Iterator
from dataclasses import replace

import duckdb
import pyarrow as pa

from ..lance.store import VectorStore, one_of
from ..lance.tables import (
    IMAGES,
    OK,
    VECTOR_ROWS_PER_FILE,
    caption_vectors_name,
    copy_vectors_name,
    image_vectors_name,
)
from .clip.copy_model import CopyChoice, find_copy_model
from .clip.embed_job import Job, Shard
from .clip.imported import import_vectors
from .clip.model import ClipChoice, find_clip
from .core.database import connect, query
from .core.errors import LakeError
from .core.lake import Lake
from .core.losses import Outcome, refuse_total_loss, standing
from .core.origins import Forgetting
from .core.pinned import pin_images
from .core.runs import Counts, Standing
from .core.stamp import Stamp
from .core.stamped_tables import forget_rows, read_recorded, write_stamp
from .core.stored_work import StoredWork
from .core.study import Study

_SHARD = 512  # samples in one task and one transaction: what a kill can lose
_MOST = 4_096  # where many workers would wait for the driver
_TASKS_EACH = 8  # so that they end together


def run(study: Study, lake: Lake, stamp: Stamp) -> Counts:
    """Commit the vectors that samples lack, for the model of the study: made or imported.

    Returns:
        Samples that lacked a vector, and samples embedded; of all samples that have an image, or
        are to be in the metadata of imported vectors, those without a vector of it.

    Raises:
        StageError: no sample has a vector of its image.
        ModelError: a model cannot be found or loaded, or workers die of it.
        StudyError: the study does not vouch for its descriptor of copies.
        SourceError: vectors to import do not fit their metadata, or the model's table.

    """
    store, choice = VectorStore(lake.vectors), find_clip(study)
    names = _table_names(choice, find_copy_model(study))
    encode = encode_images if study.data.vectors is None else import_vectors
    counts = encode(study, lake, choice)
    every = _count_vectors(study, lake, store, names[0])
    for name in names:
        store.compact(name, VECTOR_ROWS_PER_FILE)
    store.build_index(image_vectors_name(choice.clip_id))
    for name in names:
        write_stamp(store, name, stamp)
    return replace(counts, standing=every)


def encode_images(study: Study, lake: Lake, choice: ClipChoice) -> Counts:
    """Commit the vectors that the models make of the stored images and their captions."""
    from .clip.other_modes import forget_other_modes

    store = VectorStore(lake.vectors)
    forget_other_modes(store, image_vectors_name(choice.clip_id))
    job = Job(
        pin_images(store, IMAGES.name),
        choice,
        study.clip.batch_size,
        study.resources.device,
        find_copy_model(study),
    )
    with connect(lake) as connection:
        _forget_captions_alone(connection, store, choice)
        n_in = _find_work(connection, store, lake, job)
        names, counts = _table_names(choice, job.copies), Counts(0, 0)
        if n_in or not all(map(store.exists, names)):
            counts = StoredWork(
                "embed",
                "embed",
                _encode,
                job,
                names,
                n_rows=lambda shard: map(sum, shard.lacks),
                items="samples",
            ).run(study, lake, n_in, lambda n: _read_shards(connection, samples_per_task(n_in, n)))
    if n_in != counts.n_in:
        raise LakeError(f"{lake.vectors}: {n_in} samples went into embed, {counts.n_in} came out")
    return counts


def _count_vectors(study: Study, lake: Lake, store: VectorStore, image_vectors: str) -> Standing:
    """The samples that have a vector of their image and those that lack it, from whichever run.

    Raises:
        StageError: there are samples, and not one has a vector.

    """
    with connect(lake) as connection:
        connection.register("image_vectors", store.reader(image_vectors, ["sample_id", "status"]))
        is_imported = study.data.vectors is not None
        values = {"samples": str(lake.samples), "is_imported": is_imported}
        found = connection.execute(query("embed/outcomes"), values).fetchall()
    outcomes = [Outcome(*row) for row in found]
    refuse_total_loss(
        "embed",
        "samples has a vector of its image",
        outcomes,
        "name the metadata that has their urls and captions in [data]"
        if is_imported
        else "mend [clip] in the study where the model makes numbers that are not finite, or run: "
        "memtriggers fetch",
    )
    return standing(outcome for outcome in outcomes if outcome.status != "no_image")


def recorded(lake: Lake, study: Study) -> tuple[Stamp, str] | None:
    """The stamp and the fingerprint of the vectors of the study's models.

    None unless those of images, captions and copies were completed from the same.
    """
    names = _table_names(find_clip(study), find_copy_model(study))
    return read_recorded(VectorStore(lake.vectors), *names)


def _table_names(choice: ClipChoice, copies: CopyChoice | None) -> list[str]:
    names = [image_vectors_name(choice.clip_id), caption_vectors_name(choice.clip_id)]
    return names if copies is None else [*names, copy_vectors_name(copies.copy_id)]


def _forget_captions_alone(
    connection: duckdb.DuckDBPyConnection, store: VectorStore, choice: ClipChoice
) -> None:
    """Remove the vectors of captions whose image is refused by now: a new lake would have none."""
    captions, images = caption_vectors_name(choice.clip_id), image_vectors_name(choice.clip_id)
    connection.register("caption_vectors", store.sample_ids(captions))
    connection.register("image_vectors", store.sample_ids(images))
    refused = store.reader(IMAGES.name, ["sample_id"], f"status != '{OK}'")
    connection.register("refused_images", refused)
    found = connection.execute(query("embed/captions_alone"))
    with Forgetting(lambda ids: forget_rows(store, captions, one_of(ids))) as forget:
        while rows := found.fetchmany(_MOST):
            for (sample_id,) in rows:
                forget(sample_id)


def _find_work(
    connection: duckdb.DuckDBPyConnection, store: VectorStore, lake: Lake, job: Job
) -> int:
    """Create the table samples_to_embed; returns its number of rows."""
    columns, version = ["sample_id", "_rowoffset"], job.images.version
    images = store.reader(IMAGES.name, columns, f"status = '{OK}'", version)
    connection.register("stored_images", images)
    for relation, name in (
        ("image_vectors", image_vectors_name(job.choice.clip_id)),
        ("caption_vectors", caption_vectors_name(job.choice.clip_id)),
        ("copy_vectors", copy_vectors_name(job.copies.copy_id if job.copies else "none")),
    ):
        connection.register(relation, store.sample_ids(name))
    values = {"samples": str(lake.samples), "copies": job.copies is not None}
    connection.execute(query("embed/samples"), values)
    return len(connection.table("samples_to_embed"))


def samples_per_task(n_samples: int, n_workers: int) -> int:
    """512 for a few workers, and more for many that have much to do.

    A transaction of more rows costs the driver little more: it takes some 20,000 samples a second
    by 512, 70,000 by 4,096 (benchmarks/driver.py), where one GPU makes hundreds or thousands.
    """
    by_workers = min(_MOST, _SHARD * (1 + n_workers // 8))
    return max(_SHARD, min(by_workers, n_samples // (_TASKS_EACH * n_workers)))


def _read_shards(connection: duckdb.DuckDBPyConnection, number: int) -> Iterator[Shard]:
    """So many samples at a time, in the order of their source; an empty shard if there are none.

    After a kill the rest falls into the same shards, and so into the same batches, as in an
    undisturbed run; but where eight workers or more have little left to do, they get smaller ones.
    """
    # Nothing else may be asked of this connection until the last row is read.
    samples = connection.execute(
        "select * exclude (source_file, source_row) from samples_to_embed "
        "order by source_file, source_row"
    )
    rows = samples.fetchmany(number)
    if not rows:
        yield Shard([], [], [], [], [], [])
    while rows:
        yield Shard(*map(list, zip(*rows, strict=True)))
        rows = samples.fetchmany(number)


def _encode(shard: Shard, job: Job) -> list[pa.Table]:
    from .clip.encoder import encode_shard  # in the worker: it imports torch

    return encode_shard(shard, job)
