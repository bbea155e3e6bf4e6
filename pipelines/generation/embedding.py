"""The second half of `generate`: the vectors of what is generated, by CLIP and of copies.

The same models as those of the training images, or their cosines would say nothing. Images are read
once for both; torch is loaded in the workers alone.
"""

from collections.abc import Iterator

import pyarrow as pa

from ...lance.store import VectorStore
from ...lance.tables import (
    GENERATED_IMAGES,
    OK,
    VECTOR_ROWS_PER_FILE,
    generated_copy_vectors_name,
    generated_vectors_name,
)
from ..clip.copy_model import CopyChoice, find_copy_model
from ..clip.embed_job import Job
from ..clip.model import ClipChoice, find_clip
from ..core.database import connect, query
from ..core.lake import Lake
from ..core.pinned import pin_images
from ..core.stored_work import StoredWork
from ..core.study import Study
from .generate_job import ImageShard

_SHARD = 512  # images in one task and one transaction: what a kill can lose


def generated_tables(study: Study) -> list[str]:
    """The Lance tables of the vectors of generated images, for the models of the study."""
    return _table_names(find_clip(study), find_copy_model(study))


def embed_generated(study: Study, lake: Lake) -> None:
    """Commit the vectors that generated images lack, of whichever generator.

    Raises:
        ModelError: a model cannot be found or loaded, or does not fit into memory.
        StudyError: the study does not vouch for its descriptor of copies.
        LakeError: a worker cannot read the lake.

    """
    store, names = VectorStore(lake.vectors), generated_tables(study)
    job = _make_job(study, store)
    missing = _find_missing(store, lake, job)
    if missing.num_rows or not all(map(store.exists, names)):
        StoredWork(
            "generate",
            "embed what is generated",
            _encode,
            job,
            names,
            n_rows=lambda shard: map(sum, shard.lacks),
        ).run(study, lake, missing.num_rows, lambda _: _shards(missing))
    for name in names:
        store.compact(name, VECTOR_ROWS_PER_FILE)


def _table_names(choice: ClipChoice, copies: CopyChoice | None) -> list[str]:
    names = [generated_vectors_name(choice.clip_id)]
    return names if copies is None else [*names, generated_copy_vectors_name(copies.copy_id)]


def _make_job(study: Study, store: VectorStore) -> Job:
    return Job(
        pin_images(store, GENERATED_IMAGES.name, "image_id"),
        find_clip(study),
        study.clip.batch_size,
        study.resources.device,
        find_copy_model(study),
    )


def _find_missing(store: VectorStore, lake: Lake, job: Job) -> pa.Table:
    """The columns of an `ImageShard`, for every image that lacks a vector."""
    columns, is_ok = ["image_id", "_rowoffset"], f"status = '{OK}'"
    copy_id = job.copies.copy_id if job.copies else "none"
    with connect(lake) as connection:
        stored = store.reader(GENERATED_IMAGES.name, columns, is_ok, job.images.version)
        connection.register("stored_images", stored)
        for relation, name in (
            ("vectors", generated_vectors_name(job.choice.clip_id)),
            ("copy_vectors", generated_copy_vectors_name(copy_id)),
        ):
            connection.register(relation, store.ids(name, "image_id"))
        values = {"copies": job.copies is not None}
        return connection.execute(query("generate/images_to_embed"), values).to_arrow_table()


def _shards(missing: pa.Table) -> Iterator[ImageShard]:
    """The images in the order of the table; then none, which makes the tables all the same."""
    for batch in missing.combine_chunks().to_batches(_SHARD):
        yield ImageShard(*(column.to_pylist() for column in batch.columns))
    yield ImageShard([], [], [], [])


def _encode(shard: ImageShard, job: Job) -> list[pa.Table]:
    from .embedding_worker import encode_shard  # in the worker: it imports torch

    return encode_shard(shard, job)
