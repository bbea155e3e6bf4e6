"""Which GPU a search for pairs runs on, if any."""

from pathlib import Path

from ..errors import StageError

_BLOCK_ROWS = 1024  # 4 MB of products
_GPU_BLOCK_ROWS = 4096  # 64 MB of products, and as much again to compare them with
_DRIVERS = ("/dev/nvidiactl", "/dev/kfd")  # of CUDA and of ROCm


def rows_of_block(gpu: str | None) -> int:
    """The rows of a block of products there, or on the CPU."""
    return _BLOCK_ROWS if gpu is None else _GPU_BLOCK_ROWS


def count_gpus(device: str) -> int:
    """The GPUs that this process may use: 0 with "cpu", or where there are none.

    Raises:
        StageError: "cuda" is asked for, and there is none.

    """
    # Without a driver torch is not even asked: its import takes seconds.
    if device == "cpu" or (device == "auto" and not any(Path(d).exists() for d in _DRIVERS)):
        return 0
    import torch

    number = torch.cuda.device_count()
    if number == 0 and device == "cuda":
        raise StageError("cluster: --device cuda: there is no GPU; say --device auto")
    return number


def choose_gpu(device: str, worker: int = 0) -> str | None:
    """The GPU of the worker with this number, such as "cuda:0"; None for the CPU."""
    number = count_gpus(device)
    return f"cuda:{worker % number}" if number else None
