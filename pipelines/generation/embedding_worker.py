"""What a worker does with generated images: those of one shard become unit vectors."""

from threading import Lock

import pyarrow as pa

from ..clip.embed_job import Job
from ..clip.encoder import encode_lacking, load_models
from .generate_job import ImageShard

_one_shard_at_a_time = Lock()  # a worker of someone else's cluster may run several tasks at once


def encode_shard(shard: ImageShard, job: Job) -> list[pa.Table]:
    """Embed what the images of a shard lack; they are read once for both models.

    Returns:
        CLIP vectors and, where the job has a descriptor of copies, copy vectors: tables (image_id,
        vector, status) as those of training images are.

    Raises:
        ModelError: a model cannot be loaded.
        StageError: there is no GPU where one was asked for.
        LakeError: this worker cannot read the lake.

    """
    with _one_shard_at_a_time:
        _, of_images = load_models(job)
        images = job.images.read(shard.row_offsets, shard.image_ids)
        tables = [
            encode_lacking(shard.image_ids, lacks, encode, images, made_by)
            for (encode, made_by), lacks in zip(of_images, shard.lacks, strict=False)
        ]
    return [_renamed(table) for table in tables]


def _renamed(vectors: pa.Table) -> pa.Table:
    renamed = vectors.rename_columns({"sample_id": "image_id"})
    return renamed.replace_schema_metadata(vectors.schema.metadata)  # renaming loses it
