"""What an embedding worker does: the images and captions of one shard become unit vectors."""

from collections.abc import Callable
from functools import lru_cache
from itertools import compress
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from dask.system import CPU_COUNT  # what this process may use, also in a container
from numpy.typing import NDArray

from ...lance.tables import MADE_BY, RGB_FIRST
from ..core.gpus import gpu_of_worker
from ..images.decode import image_limits, open_rgb
from .batches import Batches
from .copy_model import CopyChoice
from .embed_job import Job, Shard
from .model import ClipChoice, describe_clip, load_clip
from .tower import Tower, blank_image, describe_copy_model, load_copy_model
from .vectors import vector_table

Encode = Callable[[list[Any]], NDArray[np.float32]]

_one_shard_at_a_time = Lock()  # a worker of someone else's cluster may run several tasks at once


class Encoder:
    """A CLIP model on one device."""

    def __init__(self, choice: ClipChoice, device: str, batch_size: int, threads: int) -> None:
        self._choice, self._clip = choice, load_clip(choice, device)
        self.model = self._clip.model
        self.model.to(memory_format=torch.channels_last)  # convolutions: up to twice as fast
        self._batches = Batches(device, batch_size, threads)

    @property
    def description(self) -> str:
        """What makes the vectors, as JSON: the model, its pretrained tag, the preprocessing."""
        return describe_clip(self._choice, self.model.visual.preprocess_cfg)

    def images(self, images: list[bytes]) -> NDArray[np.float32]:
        """The embeddings of n encoded images, (n, d) as they leave the model: not unit norm."""
        with image_limits(None):
            return self._batches.run(images, self._image_batch, blank_image())

    def captions(self, captions: list[str]) -> NDArray[np.float32]:
        """The embeddings of n captions, (n, d) as they leave the model: not unit norm."""
        return self._batches.run(captions, self._caption_batch, "")

    def _image_batch(self, images: list[bytes]) -> NDArray[np.float32]:
        pixels = torch.stack([self.decode(image) for image in images])  # (b, 3, side, side)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        return self._batches.forward(self.model.encode_image, pixels)

    def _caption_batch(self, captions: list[str]) -> NDArray[np.float32]:
        return self._batches.forward(self.model.encode_text, self._clip.tokenizer(captions))

    def decode(self, image: bytes) -> torch.Tensor:
        """One encoded image as the model takes it: (3, side, side) float32."""
        pixels: torch.Tensor = self._clip.preprocess(open_rgb(image))
        return pixels


def encode_shard(shard: Shard, job: Job) -> list[pa.Table]:
    """Embed what the samples of a shard lack, the images being read once for all models.

    Returns:
        Image vectors, caption vectors and, where the job has a descriptor of copies, copy vectors:
        tables (sample_id, vector, status) of those that lack them, in the order of the shard; (n,
        d) float16 of unit norm. The vector is null and the status 'not_finite' where the model's
        numbers are not. The metadata of each schema says what made the vectors.

    Raises:
        ModelError: a model cannot be loaded.
        StageError: there is no GPU where one was asked for.
        LakeError: this worker cannot read the lake.

    """
    with _one_shard_at_a_time:
        encoder, of_images = load_models(job)
        images = job.images.read(shard.row_offsets, shard.sample_ids)
        makers: list[tuple[Encode, list[Any], str]]
        makers = [(encode, images, said) for encode, said in of_images]
        makers.insert(1, (encoder.captions, shard.captions, encoder.description))
        return [
            encode_lacking(shard.sample_ids, lacks, *maker)
            for maker, lacks in zip(makers, shard.lacks, strict=False)  # without copies, no third
        ]


def load_models(job: Job) -> tuple[Encoder, list[tuple[Encode, str]]]:
    """The encoder of a job, and whatever makes vectors of images, with what it says that it is.

    That is the encoder and, where the job has one, the descriptor of copies.

    Raises:
        ModelError: a model cannot be loaded.
        StageError: there is no GPU where one was asked for.

    """
    threads = max(1, CPU_COUNT // job.workers_per_host)
    device = gpu_of_worker(job.device) or "cpu"
    encoder = load_encoder(job.choice, device, job.batch_size, threads)
    of_images: list[tuple[Encode, str]] = [(encoder.images, encoder.description)]
    if job.copies is not None:
        tower = load_tower(job.copies, device, job.batch_size, threads)
        of_images.append((tower.images, describe_copy_model(job.copies)))
    return encoder, of_images


def encode_lacking(
    sample_ids: list[str],
    lacks: list[bool],
    encode: Encode,
    items: list[Any],
    made_by: str,
) -> pa.Table:
    """The rows (sample_id, vector, status) of those of n items that lack a vector."""
    vectors = encode(list(compress(items, lacks)))
    table = vector_table(list(compress(sample_ids, lacks)), vectors)
    return table.replace_schema_metadata({MADE_BY: made_by, RGB_FIRST: "yes"})


@lru_cache(maxsize=1)
def load_encoder(choice: ClipChoice, device: str, batch_size: int, threads: int) -> Encoder:
    """The encoder, loaded once in a process."""
    return Encoder(choice, device, batch_size, threads)


@lru_cache(maxsize=1)
def load_tower(choice: CopyChoice, device: str, batch_size: int, threads: int) -> Tower:
    """The descriptor of copies, loaded once in a process."""
    return load_copy_model(choice, Batches(device, batch_size, threads))
