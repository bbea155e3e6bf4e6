"""Which GPU a process runs on, if any; torch is imported only where there may be one."""

from pathlib import Path

from .errors import StageError

_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # of CUDA, of ROCm, of Windows' Linux


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
        raise StageError("--device cuda: there is no GPU; say --device auto")
    return number


def choose_gpu(device: str, worker: int = 0) -> str | None:
    """The GPU of the worker with this number, such as "cuda:0"; None for the CPU."""
    number = count_gpus(device)
    return f"cuda:{worker % number}" if number else None


def gpu_of_worker(device: str) -> str | None:
    """The GPU of the Dask worker that asks: one worker a GPU."""
    from distributed import get_worker

    # Our own cluster names its workers 0, 1, 2, …; where dask-cuda started them, each has a first
    # GPU of its own.
    name = str(get_worker().name)
    return choose_gpu(device, int(name) if name.isdecimal() else 0)
