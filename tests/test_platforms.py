"""Other systems than Linux: macOS, simulated by what Python lacks there; Windows is refused."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from memtriggers.pipelines.core.cores import count_cores

# Read by every Python process at its start, also by those that a command starts. It takes away
# what Python on macOS does not have; what asks for it by name fails, as it would there.
LIKE_MACOS = """
import errno, fcntl, os, resource, select, signal, socket, time

_MISSING = {
    os: (
        "sched_getaffinity sched_setaffinity sched_getparam sched_getscheduler posix_fadvise "
        "posix_fallocate copy_file_range splice memfd_create eventfd pidfd_open pipe2 fdatasync "
        "getrandom getresuid getxattr listxattr setxattr setns unshare O_DIRECT O_PATH O_TMPFILE "
        "O_NOATIME"
    ),
    fcntl: "F_SETPIPE_SZ F_GETPIPE_SZ F_OFD_SETLK F_ADD_SEALS F_NOTIFY F_SETLEASE",
    resource: "prlimit RLIMIT_OFILE RLIMIT_NICE RLIMIT_RTPRIO RUSAGE_THREAD",
    select: "epoll",
    signal: "sigwaitinfo sigtimedwait pidfd_send_signal SIGRTMIN SIGPWR SIGSTKFLT",
    socket: "SOCK_CLOEXEC SOCK_NONBLOCK TCP_USER_TIMEOUT SO_BINDTODEVICE",
    time: "CLOCK_BOOTTIME CLOCK_TAI pthread_getcpuclockid",
    errno: "EREMOTEIO ENOKEY EUCLEAN",
}
for _module, _names in _MISSING.items():
    for _name in _names.split():
        if hasattr(_module, _name):
            delattr(_module, _name)
"""
LOCK = """
import os
from memtriggers import Lake
assert not hasattr(os, "sched_getaffinity")
with Lake("lake").lock():
    print(open("lake/format").read(), end="")
"""


@pytest.fixture
def like_macos(tmp_path: Path) -> Callable[..., str]:
    """Run Python, and all that it starts, without what macOS lacks; returns what it prints."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(LIKE_MACOS)
    environment = os.environ | {"PYTHONPATH": str(folder)}

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_on_macos_doctor_a_lock_filter_and_a_build_run(
    like_macos: Callable[..., str],
    write_captions: Callable[..., Path],
    make_study: Callable[..., object],
) -> None:
    write_captions("a star", "a moon", "a red star")
    make_study(star={"include": ["star"]})
    assert "cores" in like_macos("-m", "memtriggers", "doctor")
    assert like_macos("-c", LOCK) == "1\n"
    for stage, printed in (("filter", "3 in, 2 out"), ("words", "3 in"), ("build", "build: ")):
        assert printed in like_macos("-m", "memtriggers", stage)
    query = "select count(*) as n from samples"
    assert like_macos("-m", "memtriggers", "sql", query, "--format", "csv") == "n\n2\n"


def test_cores_are_those_of_the_process_or_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 11))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    assert count_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 10)
    assert count_cores() == 10
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert count_cores() == 1
    monkeypatch.setattr(sys, "version_info", (3, 13))
    monkeypatch.setattr(os, "process_cpu_count", lambda: 2, raising=False)
    assert count_cores() == 2


@pytest.mark.parametrize(
    "code",
    [
        "import memtriggers",
        "from memtriggers.pipelines.cli import main; main()",  # what pip's program does
        "import runpy; runpy.run_module('memtriggers', run_name='__main__')",
    ],
)
def test_on_windows_the_import_is_one_line(code: str) -> None:
    command = [sys.executable, "-c", f"import sys; sys.platform = 'win32'; {code}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "memtriggers runs on Linux and macOS, not on Windows: use it inside WSL (wsl --install)\n"
    )


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let torch find so many GPUs of CUDA, and one of Apple or none."""
    torch = pytest.importorskip("torch", reason="needs memtriggers[embed]")

    def found(n_cuda: int, is_mps: bool, platform: str = "darwin") -> None:
        monkeypatch.setattr(sys, "platform", platform)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: n_cuda)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: n_cuda > 0)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: is_mps)

    return found


@pytest.mark.parametrize(
    ("device", "n_cuda", "is_mps", "expected"),
    [
        ("auto", 0, True, ["mps"]),
        ("auto", 0, False, []),
        ("auto", 2, True, ["cuda:0", "cuda:1"]),
        ("mps", 0, True, ["mps"]),
        ("cuda", 1, False, ["cuda:0"]),
        ("cpu", 1, True, []),
    ],
)
def test_mps_is_taken_where_there_is_no_other_gpu(
    gpus: Callable[..., None], device: str, n_cuda: int, is_mps: bool, expected: list[str]
) -> None:
    from memtriggers.pipelines.core.gpus import choose_gpu, count_gpus, find_gpus

    gpus(n_cuda, is_mps)
    assert find_gpus(device) == expected
    assert count_gpus(device) == len(expected)
    assert choose_gpu(device, worker=2) == (expected[0] if expected else None)


@pytest.mark.parametrize(("device", "n_cuda", "is_mps"), [("mps", 0, False), ("cuda", 0, True)])
def test_a_gpu_that_is_asked_for_and_not_there_is_one_line(
    gpus: Callable[..., None], device: str, n_cuda: int, is_mps: bool
) -> None:
    from memtriggers.pipelines.core.errors import StageError
    from memtriggers.pipelines.core.gpus import find_gpus

    gpus(n_cuda, is_mps)
    with pytest.raises(StageError, match=f"^--device {device}: there is no GPU; say --device auto"):
        find_gpus(device)


def test_every_stage_with_a_model_takes_mps() -> None:
    from click.testing import CliRunner

    from memtriggers.pipelines.cli import cli

    for name in ("refresh", "embed", "cluster", "generate", "score", "objects"):
        (option,) = (o for o in cli.commands[name].params if o.name == "device")
        assert "mps" in option.type.choices, name
    refused = CliRunner().invoke(cli, ["embed", "--device", "tpu"])
    assert refused.exit_code == 2 and "'mps'" in refused.output


def test_models_run_in_half_precision_on_mps_as_on_cuda(gpus: Callable[..., None]) -> None:
    torch = pytest.importorskip("torch", reason="needs memtriggers[embed]")
    from memtriggers.pipelines.core.gpus import half_precision

    gpus(0, True)
    with half_precision("mps"):
        assert torch.is_autocast_enabled("mps")
        assert torch.get_autocast_dtype("mps") == torch.float16
        assert not torch.is_autocast_enabled("cpu")
    with half_precision("cpu"):
        assert not torch.is_autocast_enabled("cpu")
    assert not torch.is_autocast_enabled("mps")


def test_clusters_rest_on_no_product_of_mps() -> None:
    from memtriggers.pipelines.core.gpus import for_products

    assert [for_products(gpu) for gpu in ("mps", "cuda:1", None)] == [None, "cuda:1", None]


def test_doctor_names_the_gpu_of_apple(
    gpus: Callable[..., None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from memtriggers.pipelines.core.lake import Lake
    from memtriggers.pipelines.upkeep.doctor import print_doctor

    gpus(0, True)
    print_doctor(Lake(tmp_path / "none"), 10)
    assert "Apple's (mps); cluster runs on the CPU" in capsys.readouterr().out


def test_out_of_memory_on_mps_halves_the_batch(
    gpus: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch", reason="needs memtriggers[generate]")
    from memtriggers.pipelines.core.study import Generator
    from memtriggers.pipelines.generation.worker import ImageGenerator

    asked, freed = [], []

    def pipeline(prompts: list[str], **options: object) -> SimpleNamespace:
        asked.append(len(prompts))
        if len(prompts) > 1:
            raise RuntimeError("MPS backend out of memory (MPS allocated: 8.70 GB)")
        return SimpleNamespace(images=prompts)

    gpus(0, True)
    monkeypatch.setattr(torch.mps, "empty_cache", lambda: freed.append(True))
    choice = SimpleNamespace(settings=Generator("a model", batch_size=4))
    generator = ImageGenerator(choice, lambda choice, device: pipeline, "mps")  # type: ignore[arg-type]
    assert generator.images(["a", "b"], [0, 1]) == ["a", "b"]
    assert (asked, len(freed), generator.batch_size) == ([2, 2, 1, 1], 2, 1)
