"""Batches through a network: by threads of their own on CPU, one at a time on a GPU."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from threading import Lock
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from ..core.gpus import half_precision

T = TypeVar("T")

# On CPU larger batches only leave the cache: 8 to 32 are equally fast, 64 is a fifth slower.
_CPU_BATCH = 16


class Batches:
    """Takes batches through networks on one device, with as many threads as there are cores.

    On CPU each thread takes whole batches through the network on its own: torch's threads would
    wait for each other at every layer, and for ever on a machine that has other work. On a GPU the
    threads decode, and take turns at the network.

    On CPU networks run in float32: bfloat16 has 8 bits, which would move cosines by more than the
    thresholds of a study differ. On a GPU they run in float16, with 11.
    """

    def __init__(self, device: str, batch_size: int, threads: int) -> None:
        self.device = device
        self._is_gpu = device != "cpu"
        self._size = batch_size if self._is_gpu else min(batch_size, _CPU_BATCH)
        self._turn = Lock() if self._is_gpu else nullcontext()
        # A thread's number of torch threads is its own.
        self._pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))

    def run(
        self,
        items: list[T],
        encode: Callable[[list[T]], NDArray[np.float32]],
        example: T,
        size: int | None = None,
    ) -> NDArray[np.float32]:
        """What `encode` makes of the items, a batch at a time, in their order: (n, d).

        Where there are none, d is the length of what it makes of the `example`.
        """
        step = size or self._size
        batches = [items[start : start + step] for start in range(0, len(items), step)]
        encoded = self._pool.map(encode, batches or [[example]])
        return np.concatenate(list(encoded))[: len(items)]

    def forward(
        self, network: Callable[[torch.Tensor], torch.Tensor], batch: torch.Tensor
    ) -> NDArray[np.float32]:
        """What the network makes of one batch: (b, d)."""
        with self._turn, torch.inference_mode(), half_precision(self.device):
            vectors: NDArray[np.float32] = network(batch.to(self.device)).float().cpu().numpy()
        return vectors
