"""What a kill or a full disk does to the store: each sample is there once, as if undisturbed."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import caption_vectors_name, image_vectors_name
from memtriggers.pipelines.clip.model import find_clip
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study

N, DIMENSIONS = 3_000, 64
DATA = 'vectors = "emb/img_emb_*.npy"\ncaption_vectors = "emb/text_emb_*.npy"\n'
DATA += 'metadata = "emb/metadata_*.parquet"'
CLIP = '[clip]\nmodel = "ViT-B-32"\npretrained = "openai"\n'


@pytest.fixture
def study(
    tmp_path: Path,
    make_study: Callable[..., Study],
    write_laion: Callable[..., Path],
    run_stages: Callable[..., None],
) -> Study:
    """A study with 3,000 filtered samples, whose vectors exist already."""
    write_laion(*({} for _ in range(N)))
    (tmp_path / "emb").mkdir()
    rows = [
        {"url": f"https://host{n}.example/{n}.jpg", "caption": f"a picture of thing {n}"}
        for n in range(N)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "emb" / "metadata_0.parquet")
    vectors = np.random.default_rng(0).standard_normal((2, N, DIMENSIONS)).astype(np.float16)
    np.save(tmp_path / "emb" / "img_emb_0.npy", vectors[0])
    np.save(tmp_path / "emb" / "text_emb_0.npy", vectors[1])
    study = make_study("laion.parquet", DATA, CLIP)
    run_stages(study, "filter")
    return study


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A file system of a given size, which may be made larger by asking again."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-o", "size=1m", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", *options]).returncode != 0:
        pytest.skip("only root may mount a small file system")

    def resize(size: str) -> Path:
        subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)
        return folder

    yield resize
    subprocess.run(["umount", str(folder)], check=True)


def read(study: Study, lake: Lake) -> list[dict[str, tuple[float, ...]]]:
    """Both tables by sample id; each sample is there once."""
    clip_id, found = find_clip(study).clip_id, []
    for name in (image_vectors_name(clip_id), caption_vectors_name(clip_id)):
        rows = VectorStore(lake.vectors).dataset(name).to_table().to_pylist()
        found.append({row["sample_id"]: tuple(row["vector"]) for row in rows})
        assert len(found[-1]) == len(rows)
    return found


def undisturbed(study: Study, lake: Lake, folder: Path) -> list[dict[str, tuple[float, ...]]]:
    other = Lake(folder / "undisturbed")
    other.samples.parent.mkdir(parents=True)
    other.samples.write_bytes(lake.samples.read_bytes())
    assert embed(study, other).returncode == 0
    return read(study, other)


def embed(study: Study, lake: Lake, before: str = "") -> subprocess.CompletedProcess[str]:
    """Run `memtriggers embed` in a process of its own, after some lines of Python."""
    code = f"import sys\n{before}\nfrom memtriggers.pipelines.cli import main\nmain()"
    command = [sys.executable, "-c", code, "embed", "--lake", str(lake.root)]
    command += ["--study", str(study.folder / "study.toml")]
    return subprocess.run(command, capture_output=True, text=True)


SMALL_SHARDS = """
from memtriggers.pipelines.clip import imported
imported._ROWS = 20
from memtriggers.lance import store
store.COMMITS_PER_COMPACTION = 8
"""
# A thread that kills the process so many seconds after the first commit has begun.
KILLED_IN_A_COMMIT = (
    SMALL_SHARDS
    + """
import os, signal, threading, time
from memtriggers.lance.store import VectorStore
append = VectorStore.append

def die():
    time.sleep({seconds})
    os.kill(os.getpid(), signal.SIGKILL)

def append_while_dying(store, table, rows):
    if threading.active_count() == 1:
        threading.Thread(target=die, daemon=True).start()
    append(store, table, rows)

VectorStore.append = append_while_dying
"""
)


@pytest.mark.slow
def test_kills_at_any_moment_of_a_commit(study: Study, lake: Lake, tmp_path: Path) -> None:
    chance, n_before = random.Random(0), 0
    for number in range(60):
        if number >= 6 and n_before:
            break
        longest = 0.15 * (1 + number // 6)  # a busy machine may need longer for a commit
        killed = embed(study, lake, KILLED_IN_A_COMMIT.format(seconds=chance.uniform(0, longest)))
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        clip_id = find_clip(study).clip_id
        n_stored = VectorStore(lake.vectors).count(image_vectors_name(clip_id))
        assert n_before <= n_stored < N
        n_before = n_stored
    assert n_before > 0, "something was committed, and is not lost"
    assert embed(study, lake).returncode == 0
    images, captions = read(study, lake)
    assert len(images) == len(captions) == N
    assert [images, captions] == undisturbed(study, lake, tmp_path)


def test_a_full_disk_is_one_line_and_costs_nothing(
    study: Study, lake: Lake, tmp_path: Path, small_disk: Callable[[str], Path]
) -> None:
    small = Lake(small_disk("1m") / "lake")
    small.samples.parent.mkdir(parents=True)
    small.samples.write_bytes(lake.samples.read_bytes())
    full = embed(study, small, SMALL_SHARDS)
    assert full.returncode == 1
    assert full.stderr.startswith("Error: embed: ") and len(full.stderr.splitlines()) == 1
    assert "No space left on device" in full.stderr

    small_disk("64m")
    n_stored = VectorStore(small.vectors).count(image_vectors_name(find_clip(study).clip_id))
    assert 0 < n_stored < N
    assert embed(study, small).returncode == 0
    assert read(study, small) == undisturbed(study, lake, tmp_path)
