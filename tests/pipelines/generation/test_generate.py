"""The generate stage: every prompt and seed once, whatever it runs on and whatever stops it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
from distributed import Client

from memtriggers.pipelines.core.errors import StageError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.stamp import Stamp
from memtriggers.pipelines.core.study import Resources, Study
from memtriggers.pipelines.generate import recorded, run
from memtriggers.pipelines.stages import STAGES
from memtriggers.tests.generations import (
    Key,
    Pixels,
    load_blocking,
    read_generated,
    read_vectors,
    write_prompts,
    write_study,
)
from memtriggers.tests.second_worker import second_worker
from memtriggers.tests.tiny_diffusion import save_tiny_lora

TEXTS = ("a star", "van gogh", "a flag over water")
SETTINGS = {"n_seeds": 12, "batch_size": 2}  # shards of 8 images


@dataclass(frozen=True)
class Generated:
    """What a lake holds that was never disturbed."""

    generator_id: str
    images: dict[Key, Pixels]
    vectors: dict[str, list[float]]

    def check(self, study: Study, lake: Lake) -> None:
        """Another lake holds the same, each once; scores against any image differ by 1e-4."""
        images, vectors = read_generated(lake), read_vectors(study, lake)
        assert images.keys() == self.images.keys() and vectors.keys() == self.vectors.keys()
        assert all(np.abs(images[key] - self.images[key]).max() <= 1 for key in images)
        ours, theirs = unit([self.vectors[i] for i in vectors]), unit(list(vectors.values()))
        assert np.abs(ours @ ours.T - theirs @ ours.T).max() <= 1e-4


def unit(vectors: list[list[float]]) -> npt.NDArray[np.float64]:
    array = np.asarray(vectors)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, tiny_pipeline: Path, tiny_clip: Path, cluster: str
) -> Generated:
    folder = tmp_path_factory.mktemp("undisturbed")
    settings = SETTINGS | {"batch_size": 8, "model": str(tiny_pipeline)}
    study = write_study(folder, tiny_clip, Resources(scheduler=cluster), **settings)
    lake = Lake(folder / "lake")
    *prompt_ids, _ = write_prompts(lake, *TEXTS, "more than 77 tokens " * 20)
    with lake.lock():
        assert STAGES["generate"].run(study, lake).summary == "generate: 36 in, 36 out, 0 lost"
        assert STAGES["generate"].run(study, lake).summary == "generate: 0 in, 0 out, 0 lost"
    images = read_generated(lake)
    (generator,) = pq.read_table(lake.generators).to_pylist()
    generator_id = generator["generator_id"]
    assert set(images) == {(generator_id, p, seed) for p in prompt_ids for seed in range(12)}
    assert len({image.tobytes() for image in images.values()}) == 36
    return Generated(generator_id, images, read_vectors(study, lake))


def generate(
    study: Study, lake: Lake, *options: str, before: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run `memtriggers generate` in a process of its own, after some lines of Python."""
    code = f"import sys\n{before}\nfrom memtriggers.pipelines.cli import main\nmain()"
    command = [sys.executable, "-c", code, "generate", "--lake", str(lake.root), *options]
    command += ["--study", str(study.folder / "study.toml")]
    return subprocess.run(command, capture_output=True, text=True)


# Kills a process after so many commits; the first of a new lake makes an empty table.
KILLED = """
import os, psutil, signal
from memtriggers.lance.store import VectorStore
append, n_appends = VectorStore.append, 0

def append_and_kill(store, table, rows):
    global n_appends
    append(store, table, rows)
    n_appends += 1
    if n_appends >= {appends}:
        {kill}

VectorStore.append = append_and_kill
"""
KILL_DRIVER = "os.kill(os.getpid(), signal.SIGKILL)"
# Once it holds tasks: it may just have finished those that it was given first.
KILL_A_WORKER = """
        from distributed import get_client
        if get_client().processing()[{address!r}]:
            print("killed one of", len(get_client().nthreads()), flush=True)
            os.kill({pid}, signal.SIGKILL)
            VectorStore.append = append
"""


def test_two_workers_of_which_one_is_killed(
    undisturbed: Generated, make_generating: Any, lake: Lake, tmp_path: Path, cluster: str
) -> None:
    study = make_generating(**(SETTINGS | {"batch_size": 1}))
    write_prompts(lake, *TEXTS[::-1])
    (tmp_path / "worker").mkdir()
    with second_worker(cluster, tmp_path / "worker") as worker:
        with Client(cluster) as client:
            pids = client.run(os.getpid)
        (address,) = (address for address, pid in pids.items() if pid == worker.pid)
        kill = KILL_A_WORKER.format(address=address, pid=worker.pid)
        before = KILLED.format(appends=2, kill=kill)
        killed = generate(study, lake, "--scheduler", cluster, before=before)
        assert worker.wait() == -signal.SIGKILL
    assert killed.returncode == 0, killed.stderr
    assert killed.stdout == "killed one of 2\ngenerate: 36 in, 36 out, 0 lost\n"
    undisturbed.check(study, lake)


def test_a_killed_driver_is_started_again(
    undisturbed: Generated, make_generating: Any, lake: Lake
) -> None:
    study = make_generating(**SETTINGS)
    there = ("--scheduler", study.resources.scheduler)
    write_prompts(lake, *TEXTS)
    killed = generate(study, lake, *there, before=KILLED.format(appends=2, kill=KILL_DRIVER))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(read_generated(lake)) == 8 and recorded(lake, study) is None

    again = generate(study, lake, *there)
    assert (again.stdout, again.stderr) == ("generate: 28 in, 28 out, 0 lost\n", "")
    undisturbed.check(study, lake)
    assert recorded(lake, study) is not None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-o", "size=1m", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", *options]).returncode != 0:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_costs_nothing(
    undisturbed: Generated, make_generating: Any, small_disk: Path
) -> None:
    study, lake = make_generating(**SETTINGS), Lake(small_disk / "lake")
    there = ("--scheduler", study.resources.scheduler)
    write_prompts(lake, *TEXTS)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_000_000 - 100_000))
    full = generate(study, lake, *there)
    assert full.returncode == 1
    assert full.stderr.startswith("Error: generate: ") and len(full.stderr.splitlines()) == 1
    assert "No space left on device" in full.stderr
    ballast.unlink()
    assert 0 < len(read_generated(lake)) < 36
    assert generate(study, lake, *there).returncode == 0
    undisturbed.check(study, lake)


def test_other_settings_make_new_rows_and_the_old_ones_stay(
    undisturbed: Generated,
    make_generating: Any,
    lake: Lake,
    run_stages: Callable[..., None],
    tiny_pipeline: Path,
    tmp_path: Path,
) -> None:
    write_prompts(lake, *TEXTS[:1])
    lora = save_tiny_lora(tiny_pipeline, tmp_path)
    for settings in ({}, {"lora": str(lora)}, {"scheduler": "DPMSolverMultistepScheduler"}):
        run_stages(make_generating(n_seeds=2, **settings), "generate")
    generators = {row["generator_id"]: row for row in pq.read_table(lake.generators).to_pylist()}
    images = read_generated(lake)
    assert len(generators) == 3 and len(images) == 6
    assert len({image.tobytes() for image in images.values()}) == 6
    for key, image in images.items():
        if key[0] == undisturbed.generator_id:
            assert np.abs(image - undisturbed.images[key]).max() <= 1
    others = [row for key, row in generators.items() if key != undisturbed.generator_id]
    assert {(row["lora"], row["scheduler"]) for row in others} == {
        (str(lora), "DDIMScheduler"),
        (None, "DPMSolverMultistepScheduler"),
    }
    assert len(read_vectors(make_generating(), lake)) == 6


def test_a_pipeline_that_blocks_every_image_is_an_error(
    make_generating: Callable[..., Study], lake: Lake
) -> None:
    study = make_generating(n_seeds=2)
    write_prompts(lake, "a star")
    for _ in range(2):
        with lake.lock(), pytest.raises(StageError, match="none of 2 images came out: all are"):
            run(study, lake, Stamp({}, {}), load_blocking)
    assert recorded(lake, study) is None
