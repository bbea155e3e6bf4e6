"""Which GPU a process runs on, if any; torch is imported only where there may be one."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import StageError

if TYPE_CHECKING:
    import torch

_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # of CUDA, of ROCm, of Windows' Linux
_MPS = "mps"  # Apple's GPU, as torch calls it; a machine has one


def find_gpus(device: str) -> list[str]:
    """The GPUs that this process may use: "cuda:0" and on, else "mps"; none with "cpu".

    Raises:
        StageError: "cuda" or "mps" is asked for, and there is none.

    """
    # Without a driver torch is not even asked: its import takes seconds.
    if device == "cpu" or (device == "auto" and not _may_have_gpu()):
        return []
    import torch

    gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available() and not gpus:
        gpus = [_MPS]
    found = [gpu for gpu in gpus if device in ("auto", gpu.partition(":")[0])]
    if not found and device != "auto":
        raise StageError(f"--device {device}: there is no GPU; say --device auto")
    return found


def _may_have_gpu() -> bool:
    return sys.platform == "darwin" or any(Path(driver).exists() for driver in _DRIVERS)


def count_gpus(device: str) -> int:
    """How many GPUs this process may use; see `find_gpus`."""
    return len(find_gpus(device))


def choose_gpu(device: str, worker: int = 0) -> str | None:
    """The GPU of the worker with this number, such as "cuda:0"; None for the CPU."""
    gpus = find_gpus(device)
    return gpus[worker % len(gpus)] if gpus else None


def gpu_of_worker(device: str) -> str | None:
    """The GPU of the Dask worker that asks: one worker a GPU."""
    from distributed import get_worker

    # Our own cluster names its workers 0, 1, 2, …; where dask-cuda started them, each has a first
    # GPU of its own.
    name = str(get_worker().name)
    return choose_gpu(device, int(name) if name.isdecimal() else 0)


def for_products(gpu: str | None) -> str | None:
    """The GPU, where clusters may rest on its products; None: they are made on the CPU.

    How far a float32 product strays on Apple's GPUs nobody has measured.
    """
    return None if gpu == _MPS else gpu


def half_precision(device: str) -> "torch.autocast":
    """A block in which networks run in float16 on a GPU, and in float32 on the CPU."""
    import torch

    kind = device.partition(":")[0]
    return torch.autocast(kind, torch.float16, enabled=kind != "cpu")
