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

from memtriggers.pipelines.generate import recorded
from memtriggers.pipelines.lake import Lake
from memtriggers.pipelines.stages import STAGES
from memtriggers.pipelines.study import Study
from memtriggers.tests.generations import (
    Key,
    Pixels,
    read_generated,
    read_vectors,
    write_prompts,
    write_study,
)

TEXTS = ("a star", "van gogh", "a flag over water")
SETTINGS = {"n_seeds": 12, "batch_size": 2}  # five shards of 8 images, the last of 4


@dataclass(frozen=True)
class Generated:
    """A lake that was never disturbed, and what it holds."""

    lake: Lake
    prompt_ids: list[str]
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
    tmp_path_factory: pytest.TempPathFactory, tiny_pipeline: Path, tiny_clip: Path
) -> Generated:
    folder = tmp_path_factory.mktemp("undisturbed")
    settings = SETTINGS | {"batch_size": 8, "model": str(tiny_pipeline)}
    study = write_study(folder, tiny_clip, **settings)
    lake = Lake(folder / "lake")
    prompt_ids = write_prompts(lake, *TEXTS)
    with lake.lock():
        assert STAGES["generate"].run(study, lake).summary == "generate: 36 in, 36 out"
    images = read_generated(lake)
    (generator,) = pq.read_table(lake.generators).to_pylist()
    assert set(images) == {(generator["generator_id"], p, s) for p in prompt_ids for s in range(12)}
    assert len({image.tobytes() for image in images.values()}) == 36
    return Generated(lake, prompt_ids, images, read_vectors(study, lake))


def generate(study: Study, lake: Lake, before: str = "") -> "subprocess.CompletedProcess[str]":
    """Run `memtriggers generate` in a process of its own, after some lines of Python."""
    code = f"import sys\n{before}\nfrom memtriggers.pipelines.cli import main\nmain()"
    command = [sys.executable, "-c", code, "generate", "--lake", str(lake.root)]
    command += ["--study", str(study.folder / "study.toml")]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_two_workers_and_other_batches_give_the_same_images_and_scores(
    undisturbed: Generated, make_generating: Any, lake: Lake, run_stages: Callable[..., None]
) -> None:
    study = make_generating(workers=2, **(SETTINGS | {"batch_size": 3}))
    write_prompts(lake, *TEXTS[::-1])
    run_stages(study, "generate")
    undisturbed.check(study, lake)


# Kills a process after so many commits; the first of a new lake makes an empty table.
KILLED = """
import os, psutil, signal
from memtriggers.lance.store import VectorStore
append, n_appends = VectorStore.append, 0

def append_and_kill(store, table, rows):
    global n_appends
    append(store, table, rows)
    n_appends += 1
    if n_appends == {appends}:
        {kill}

VectorStore.append = append_and_kill
"""
KILL_DRIVER = "os.kill(os.getpid(), signal.SIGKILL)"
# Its next task has been started by then: two are in flight.
KILL_WORKERS = """
        for child in psutil.Process().children(recursive=True):
            if "spawn_main" in " ".join(child.cmdline()):
                print("killed a worker", flush=True)
                child.kill()
"""


def test_killed_drivers_and_workers_leave_every_seed_once(
    undisturbed: Generated, make_generating: Any, lake: Lake
) -> None:
    study = make_generating(**SETTINGS)
    write_prompts(lake, *TEXTS)
    killed = generate(study, lake, KILLED.format(appends=2, kill=KILL_DRIVER))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(read_generated(lake)) == 8 and recorded(lake, study) is None

    again = generate(study, lake, KILLED.format(appends=1, kill=KILL_WORKERS))
    assert again.returncode == 0, again.stderr
    assert again.stdout == "killed a worker\ngenerate: 28 in, 28 out\n"
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
    write_prompts(lake, *TEXTS)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_000_000 - 100_000))
    full = generate(study, lake)
    assert full.returncode == 1
    assert full.stderr.startswith("Error: generate: ") and len(full.stderr.splitlines()) == 1
    assert "No space left on device" in full.stderr
    ballast.unlink()
    assert 0 < len(read_generated(lake)) < 36
    assert generate(study, lake).returncode == 0
    undisturbed.check(study, lake)
