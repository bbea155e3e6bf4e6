"""What an embedding worker does: the images and captions of one shard become unit vectors."""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import lru_cache
from threading import Lock
from typing import TypeVar

import lance
import numpy as np
import pyarrow as pa
import torch
from dask.system import CPU_COUNT  # what this process may use, also in a container
from distributed import get_worker
from numpy.typing import NDArray
from PIL import Image

from ...lance.tables import NOT_FINITE, OK
from ..images.decode import image_limits
from .model import ClipChoice, load_clip
from .shards import Job, Shard

T = TypeVar("T")

# On CPU larger batches only leave the cache: 8 to 32 are equally fast, 64 is a fifth slower.
_CPU_BATCH = 16


class Encoder:
    """A CLIP model on one device, used by as many threads as there are cores.

    On CPU each thread takes whole batches through the model on its own: torch's threads would wait
    for each other at every layer, and for ever on a machine that has other work. On a GPU the
    threads decode, and take turns at the model.
    """

    def __init__(self, choice: ClipChoice, device: str, batch_size: int) -> None:
        self._clip = load_clip(choice, device)
        self._clip.model.to(memory_format=torch.channels_last)  # convolutions: up to twice as fast
        self._device = device
        self._is_gpu = device != "cpu"
        self._batch_size = batch_size if self._is_gpu else min(batch_size, _CPU_BATCH)
        self._turn = Lock() if self._is_gpu else nullcontext()
        # A thread's number of torch threads is its own.
        self._threads = ThreadPoolExecutor(
            CPU_COUNT, initializer=torch.set_num_threads, initargs=(1,)
        )

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
        size = self._batch_size
        batches = [items[start : start + size] for start in range(0, len(items), size)]
        # A thread's number of torch threads is its own.
        with ThreadPoolExecutor(
            CPU_COUNT, initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            return np.concatenate(list(pool.map(encode, batches)))

    def _image_batch(self, images: list[bytes]) -> NDArray[np.float32]:
        pixels = torch.stack([self._decode(image) for image in images])  # (b, 3, side, side)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        return self._forward(self._clip.model.encode_image, pixels)

    def _caption_batch(self, captions: list[str]) -> NDArray[np.float32]:
        return self._forward(self._clip.model.encode_text, self._clip.tokenizer(captions))

    def _decode(self, image: bytes) -> torch.Tensor:
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
        ModelError: the model cannot be loaded.

    """
    encoder = _load_once(job.choice, _choose_device(), job.batch_size)
    if not shard.sample_ids:
        nothing = encoder.captions([""])[:0]
        return _table(shard, nothing), _table(shard, nothing)
    images = encoder.images(_read_images(shard, job))
    return _table(shard, images), _table(shard, encoder.captions(shard.captions))


def unit_vectors(vectors: NDArray[np.float32]) -> pa.FixedSizeListArray:
    """(n, d) vectors scaled to norm 1 as float16; null where one has no finite direction."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    is_broken = ~np.isfinite(unit).all(axis=1)
    unit[is_broken] = 0
    return pa.FixedSizeListArray.from_arrays(
        pa.array(unit.astype(np.float16).ravel()), vectors.shape[1], mask=pa.array(is_broken)
    )


def count_gpus() -> int:
    """The GPUs that this worker can see, 0 on a machine without."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _choose_device() -> str:
    # One worker a GPU: the cluster names its workers 0, 1, 2, …
    n_gpus = count_gpus()
    return f"cuda:{int(get_worker().name) % n_gpus}" if n_gpus else "cpu"


@lru_cache(maxsize=1)
def _load_once(choice: ClipChoice, device: str, batch_size: int) -> Encoder:
    return Encoder(choice, device, batch_size)


def _read_images(shard: Shard, job: Job) -> list[bytes]:
    dataset = lance.dataset(job.images, version=job.version)
    table = dataset.take(shard.row_offsets, columns=["sample_id", "image"])
    if table["sample_id"].to_pylist() != shard.sample_ids:
        raise RuntimeError(f"{job.images}: version {job.version} does not hold these samples")
    images: list[bytes] = table["image"].to_pylist()
    return images


def _table(shard: Shard, vectors: NDArray[np.float32]) -> pa.Table:
    unit = unit_vectors(vectors)
    status = [OK if is_finite.as_py() else NOT_FINITE for is_finite in unit.is_valid()]
    ids = pa.array(shard.sample_ids, pa.string())
    return pa.table({"sample_id": ids, "vector": unit, "status": pa.array(status, pa.string())})
