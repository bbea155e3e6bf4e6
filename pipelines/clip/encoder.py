"""What an embedding worker does: the images and captions of one shard become unit vectors."""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import lru_cache
from threading import Lock
from typing import TypeVar

import numpy as np
import pyarrow as pa
import torch
from dask.system import CPU_COUNT  # what this process may use, also in a container
from distributed import get_worker
from numpy.typing import NDArray
from PIL import Image

from ..errors import ModelError
from ..images.decode import image_limits
from .model import ClipChoice, load_clip
from .shards import Job, Shard, read_images
from .vectors import vector_table

T = TypeVar("T")

# On CPU larger batches only leave the cache: 8 to 32 are equally fast, 64 is a fifth slower.
_CPU_BATCH = 16
_one_shard_at_a_time = Lock()  # a worker of someone else's cluster may run several tasks at once


class BatchThreads:
    """Threads that each take whole batches through a network, one torch thread each."""

    def __init__(self, number: int) -> None:
        # A thread's number of torch threads is its own.
        self._pool = ThreadPoolExecutor(number, initializer=torch.set_num_threads, initargs=(1,))

    def run(
        self, items: list[T], size: int, encode: Callable[[list[T]], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """What `encode` makes of the items, `size` at a time, in their order: (n, d)."""
        batches = [items[start : start + size] for start in range(0, len(items), size)]
        return np.concatenate(list(self._pool.map(encode, batches)))


class Encoder:
    """A CLIP model on one device, used by as many threads as there are cores.

    On CPU each thread takes whole batches through the model on its own: torch's threads would wait
    for each other at every layer, and for ever on a machine that has other work. On a GPU the
    threads decode, and take turns at the model.

    On CPU the model runs in float32: bfloat16 has 8 bits, which would move cosines by more than
    the thresholds of a study differ. On a GPU it runs in float16, with 11.
    """

    def __init__(self, choice: ClipChoice, device: str, batch_size: int, threads: int) -> None:
        self._clip = load_clip(choice, device)
        self.model = self._clip.model
        self.model.to(memory_format=torch.channels_last)  # convolutions: up to twice as fast
        self._device = device
        self._is_gpu = device != "cpu"
        self._batch_size = batch_size if self._is_gpu else min(batch_size, _CPU_BATCH)
        self._turn = Lock() if self._is_gpu else nullcontext()
        self._threads = BatchThreads(threads)

    def images(self, images: list[bytes]) -> NDArray[np.float32]:
        """The embeddings of n encoded images, (n, d) as they leave the model: not unit norm."""
        with image_limits(None):
            return self._in_batches(images, self._image_batch)

    def captions(self, captions: list[str]) -> NDArray[np.float32]:
        """The embeddings of n captions, (n, d) as they leave the model: not unit norm."""
        return self._in_batches(captions, self._caption_batch)

    def _in_batches(
        self, items: list[T], encode: Callable[[list[T]], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        return self._threads.run(items, self._batch_size, encode)

    def _image_batch(self, images: list[bytes]) -> NDArray[np.float32]:
        pixels = torch.stack([self.decode(image) for image in images])  # (b, 3, side, side)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        return self._forward(self.model.encode_image, pixels)

    def _caption_batch(self, captions: list[str]) -> NDArray[np.float32]:
        return self._forward(self.model.encode_text, self._clip.tokenizer(captions))

    def decode(self, image: bytes) -> torch.Tensor:
        """One encoded image as the model takes it: (3, side, side) float32."""
        with Image.open(io.BytesIO(image)) as picture:
            pixels: torch.Tensor = self._clip.preprocess(picture)
        return pixels

    def _forward(
        self, encode: Callable[[torch.Tensor], torch.Tensor], batch: torch.Tensor
    ) -> NDArray[np.float32]:
        half = torch.autocast("cuda", torch.float16, enabled=self._is_gpu)
        with self._turn, torch.inference_mode(), half:
            vectors: NDArray[np.float32] = encode(batch.to(self._device)).float().cpu().numpy()
        return vectors


def encode_shard(shard: Shard, job: Job) -> tuple[pa.Table, pa.Table]:
    """Embed the images and the captions of n samples.

    Returns:
        Image vectors and caption vectors: two tables (sample_id, vector, status) of n rows in the
        order of the shard; (n, d) float16 of unit norm. The vector is null and the status
        'not_finite' where the model's numbers are not.

    Raises:
        ModelError: the model cannot be loaded, or there is no GPU where one was asked for.
        LakeError: this worker cannot read the lake.

    """
    with _one_shard_at_a_time:
        threads = max(1, CPU_COUNT // job.workers_per_host)
        device = choose_device(job.device)
        encoder = load_encoder(job.choice, device, job.batch_size, threads)
        if not shard.sample_ids:
            nothing = encoder.captions([""])[:0]
            return vector_table([], nothing), vector_table([], nothing)
        images = encoder.images(read_images(shard, job))
        captions = encoder.captions(shard.captions)
    return vector_table(shard.sample_ids, images), vector_table(shard.sample_ids, captions)


def count_gpus() -> int:
    """The GPUs that this process can see, 0 on a machine without."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


@lru_cache(maxsize=1)
def load_encoder(choice: ClipChoice, device: str, batch_size: int, threads: int) -> Encoder:
    """The encoder, loaded once in a process."""
    return Encoder(choice, device, batch_size, threads)


def choose_device(device: str) -> str:
    """The torch device of this worker; raises ModelError when it has no GPU and was to use one."""
    n_gpus = 0 if device == "cpu" else count_gpus()
    if n_gpus == 0 and device == "cuda":
        raise ModelError("--device cuda: a worker sees no GPU; say --device auto")
    if n_gpus == 0:
        return "cpu"
    # One worker a GPU: our own cluster names its workers 0, 1, 2, …; where dask-cuda started them,
    # each has a first GPU of its own.
    name = str(get_worker().name)
    return f"cuda:{int(name) % n_gpus if name.isdecimal() else 0}"
