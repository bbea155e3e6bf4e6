import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pytest
import torch
from distributed import Client, LocalCluster, Worker
from PIL import Image
from safetensors.torch import load_file, save_file

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import caption_vectors_name, image_vectors_name
from memtriggers.pipelines import embed
from memtriggers.pipelines.clip.model import find_clip, load_clip
from memtriggers.pipelines.core.errors import ModelError, StageError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Resources, Study
from memtriggers.pipelines.embed import recorded, samples_per_task
from memtriggers.pipelines.stages import STAGES
from memtriggers.tests.second_worker import second_worker

SHARD = 50  # samples in one task and one transaction, where tests look at several
ALONE = Resources()  # a worker of its own
SHARDS = 140  # samples that fill three of them: every tenth has no image
Vectors = dict[str, tuple[str, tuple[float, ...] | None]]


@pytest.fixture
def make_fetched(
    tmp_path: Path,
    lake: Lake,
    tiny_clip: Path,
    draw: Callable[..., bytes],
    make_study: Callable[..., Study],
    write_samples: Callable[..., list[str]],
    run_stages: Callable[..., None],
) -> Callable[..., tuple[Study, list[str]]]:
    """Fetch n samples, every tenth of which has no image; returns the study and their ids."""

    def make(n_samples: int, model: Path = tiny_clip) -> tuple[Study, list[str]]:
        (tmp_path / "images").mkdir(exist_ok=True)
        for number in range(n_samples):
            if number % 10 != 9:
                (tmp_path / "images" / f"{number}.png").write_bytes(draw(number))
        ids = write_samples(*({} for _ in range(n_samples)))
        study = make_study(data='image_root = "images"', sections=f'[clip]\nmodel = "{model}"')
        run_stages(study, "fetch")
        return study, ids

    return make


def read_vectors(lake: Lake, study: Study) -> tuple[Vectors, Vectors]:
    """Image vectors and caption vectors by sample id; each sample is there once."""
    clip_id = find_clip(study).clip_id
    return tuple(
        _read_table(lake, name)
        for name in (image_vectors_name(clip_id), caption_vectors_name(clip_id))
    )  # type: ignore[return-value]


def _read_table(lake: Lake, name: str) -> Vectors:
    rows = VectorStore(lake.vectors).dataset(name).to_table().to_pylist()
    vectors = {r["sample_id"]: (r["status"], r["vector"] and tuple(r["vector"])) for r in rows}
    assert len(vectors) == len(rows)
    return vectors


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed, "_SHARD", SHARD)


def on(cluster: str, study: Study, lake: Lake) -> tuple[Vectors, Vectors]:
    """Embed on the workers that all tests share, which do it one shard after the other."""
    with lake.lock():
        STAGES["embed"].run(replace(study, resources=Resources(scheduler=cluster)), lake)
    return read_vectors(lake, study)


def with_image(ids: list[str]) -> list[str]:
    return [sample_id for number, sample_id in enumerate(ids) if number % 10 != 9]


def test_vectors_are_those_of_the_model(
    make_fetched: Any, run_stages: Callable[..., None], lake: Lake, draw: Callable[..., bytes]
) -> None:
    study, ids = make_fetched(25)
    run_stages(study, "embed")
    images, captions = read_vectors(lake, study)
    assert set(images) == set(captions) == set(with_image(ids))

    choice = find_clip(study)
    schema = VectorStore(lake.vectors).dataset(image_vectors_name(choice.clip_id)).schema
    assert schema.field("vector").type == pa.list_(pa.float16(), 16)

    clip = load_clip(choice)
    for number in (0, 17, 24):
        with Image.open(BytesIO(draw(number))) as picture, torch.inference_mode():
            image = clip.model.encode_image(clip.preprocess(picture)[None], normalize=True)
            caption = clip.model.encode_text(clip.tokenizer([f"picture {number}"]), normalize=True)
        for vectors, expected in ((images, image), (captions, caption)):
            status, vector = vectors[ids[number]]
            assert status == "ok" and vector is not None
            assert np.isclose(np.linalg.norm(vector), 1, atol=1e-3)
            assert np.allclose(vector, expected[0].numpy(), atol=1e-3)


def test_a_second_run_embeds_only_what_is_new(
    make_fetched: Any, run_stages: Callable[..., None], lake: Lake
) -> None:
    study, _ = make_fetched(5)
    run_stages(study, "embed")
    first, _ = read_vectors(lake, study)
    stamped = recorded(lake, study)
    study, ids = make_fetched(8)
    run_stages(study, "embed")
    second, captions = read_vectors(lake, study)
    assert set(second) == set(captions) == set(with_image(ids))
    assert {sample_id: second[sample_id] for sample_id in first} == first
    runs = [json.loads(file.read_text("utf-8")) for file in sorted(lake.runs.glob("*.json"))]
    n_in = [run["n_in"] for run in runs if run["stage"] == "embed"]
    assert n_in == [len(first), len(second) - len(first)]
    assert stamped is not None and recorded(lake, study) != stamped


def test_nothing_to_embed_starts_no_workers(
    make_fetched: Any, run_stages: Callable[..., None], lake: Lake, tmp_path: Path
) -> None:
    study, _ = make_fetched(3)
    run_stages(study, "embed")
    before = recorded(lake, study)
    code = RUN + "assert not {{'distributed', 'torch'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code.format(**values(lake, tmp_path))], check=True)
    assert recorded(lake, study) == before


def test_no_images_make_empty_tables(
    make_fetched: Any, run_stages: Callable[..., None], lake: Lake
) -> None:
    study, _ = make_fetched(0)
    assert recorded(lake, study) is None
    run_stages(study, "embed")
    assert read_vectors(lake, study) == ({}, {})
    assert recorded(lake, study) is not None


def test_two_models_live_beside_each_other(
    make_fetched: Any, run_stages: Callable[..., None], lake: Lake, tiny_clip: Path, tmp_path: Path
) -> None:
    first, _ = make_fetched(3)
    run_stages(first, "embed")
    before = read_vectors(lake, first)
    second, _ = make_fetched(3, changed_model(tiny_clip, tmp_path / "other", 2.0))
    assert recorded(lake, second) is None
    run_stages(second, "embed")
    assert read_vectors(lake, first) == before
    images, _ = read_vectors(lake, second)
    assert images != before[0]
    assert recorded(lake, first) is not None and recorded(lake, second) is not None


def changed_model(model: Path, folder: Path, factor: float) -> Path:
    """A copy of a model whose patch embedding is multiplied."""
    folder.mkdir()
    weights = load_file(model / "open_clip_model.safetensors")
    weights["visual.conv1.weight"] *= factor
    save_file(weights, folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_bytes((model / "open_clip_config.json").read_bytes())
    return folder


def test_vectors_that_are_not_finite_are_rows_without_a_vector(
    make_fetched: Any, run_stages: Callable[..., None], lake: Lake, tiny_clip: Path, tmp_path: Path
) -> None:
    study, _ = make_fetched(3, changed_model(tiny_clip, tmp_path / "broken", float("nan")))
    for _ in range(2):  # it does not count as done
        with pytest.raises(StageError) as lost:
            run_stages(study, "embed")
        assert str(lost.value).startswith(
            "embed: none of 3 samples has a vector of its image: not_finite 3; the first was 0.png"
        )
    images, captions = read_vectors(lake, study)
    assert set(images.values()) == {("not_finite", None)}
    assert {status for status, _ in captions.values()} == {"ok"}


def test_a_model_that_cannot_be_loaded_is_one_line(
    make_fetched: Any, run_stages: Callable[..., None], lake: Lake, tiny_clip: Path, tmp_path: Path
) -> None:
    broken = changed_model(tiny_clip, tmp_path / "broken", 1.0)
    config = json.loads((broken / "open_clip_config.json").read_text())
    config["model_cfg"]["embed_dim"] = 8
    (broken / "open_clip_config.json").write_text(json.dumps(config))
    study, _ = make_fetched(3, broken)
    with pytest.raises(ModelError, match=r"safetensors: cannot be loaded") as error:
        run_stages(study, "embed")
    assert "\n" not in str(error.value)


RUN = """
import os, signal, sys
from pathlib import Path
from memtriggers.lance.store import VectorStore
from memtriggers.pipelines import embed
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.stages import STAGES
from memtriggers.pipelines.core.study import Resources
from memtriggers.pipelines.core.study_file import load_study

embed._SHARD = {shard}

# Tests that run in the background have Ctrl-C ignored, and hand that down.
signal.signal(signal.SIGINT, signal.default_int_handler)
append, n_appends = VectorStore.append, 0

def append_and_end(store, table, rows):
    global n_appends
    append(store, table, rows)
    n_appends += 1
    if n_appends == {appends}:
        {end}

VectorStore.append = append_and_end
if __name__ == "__main__":
    study = load_study(Path({study!r}), {resources})
    STAGES["embed"].run(study, Lake(Path({lake!r})))
"""


KILL = "os.kill(os.getpid(), signal.SIGKILL)"
# Their tasks have been started by then: two a worker are in flight. It goes on once there are two
# workers again.
KILL_A_WORKER = """
        import psutil, time
        def workers():
            children = psutil.Process().children(recursive=True)
            return [p for p in children if "spawn_main" in " ".join(p.cmdline())]
        print("killed 1 of", len(workers()), "workers", flush=True)
        killed = workers()[0]
        killed.kill()
        while killed.is_running() or len(workers()) < 2:
            time.sleep(0.1)
"""
INTERRUPT = "os.killpg(0, signal.SIGINT)"  # all of them, as a terminal does


def values(
    lake: Lake, tmp_path: Path, end: str = "", appends: int = 0, resources: Resources = ALONE
) -> dict[str, Any]:
    """What the script is filled with: it ends so after that many appends, never after 0."""
    study = str(tmp_path / "study.toml")
    values = {"lake": str(lake.root), "study": study, "appends": appends, "end": end or "..."}
    return values | {"shard": SHARD, "resources": resources}


def worker_processes() -> set[psutil.Process]:
    return {child for child in psutil.Process().children(recursive=True) if is_worker(child)}


def is_worker(process: psutil.Process) -> bool:
    with process.oneshot():
        return process.status() != psutil.STATUS_ZOMBIE and "spawn_main" in " ".join(
            process.cmdline()
        )


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a script in a session of its own; whatever is left of it is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def run(code: str) -> subprocess.Popen[str]:
        script = tmp_path / "script.py"  # workers import it, so it must be a file
        script.write_text(code)
        process = subprocess.Popen(
            [sys.executable, str(script)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if members_of(process.pid):
            os.killpg(process.pid, signal.SIGKILL)


def members_of(session: int) -> list[psutil.Process]:
    """The living processes of a session."""
    found = []
    for process in psutil.process_iter(["status"]):
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def wait_until_gone(session: int) -> None:
    """Return when the session's processes have ended; what hangs meets the test's own limit."""
    while members_of(session):
        time.sleep(0.1)


@pytest.mark.usefixtures("small_shards")
def test_a_kill_and_a_second_start_end_like_an_undisturbed_run(
    make_fetched: Any,
    lake: Lake,
    tmp_path: Path,
    start: Callable[..., subprocess.Popen[str]],
    cluster: str,
) -> None:
    study, ids = make_fetched(SHARDS)  # six appends
    # Between the two tables of a shard, and between two shards, with workers of its own.
    for appends, resources in ((1, Resources(scheduler=cluster)), (4, ALONE)):
        process = start(RUN.format(**values(lake, tmp_path, KILL, appends, resources)))
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        wait_until_gone(process.pid)  # the workers end with the driver
        assert recorded(lake, study) is None
    assert any((lake.scratch / "dask").iterdir()), "which the next workers remove"
    images, captions = on(cluster, study, lake)
    assert set(images) == set(captions) == set(with_image(ids))
    assert on(cluster, study, copy_of(lake, tmp_path / "undisturbed")) == (images, captions)


@pytest.mark.usefixtures("small_shards")
def test_one_of_two_workers_that_is_killed_is_replaced_and_nothing_is_lost(
    make_fetched: Any,
    lake: Lake,
    tmp_path: Path,
    start: Callable[..., subprocess.Popen[str]],
    cluster: str,
) -> None:
    study, ids = make_fetched(SHARDS)
    two = Resources(workers=2, device="cpu")
    process = start(RUN.format(**values(lake, tmp_path, KILL_A_WORKER, 2, two)))
    output, _ = process.communicate()
    assert (process.returncode, output) == (0, "killed 1 of 2 workers\n")
    interrupted = read_vectors(lake, study)
    assert set(interrupted[0]) == set(interrupted[1]) == set(with_image(ids))
    assert on(cluster, study, copy_of(lake, tmp_path / "undisturbed")) == interrupted


@pytest.mark.usefixtures("small_shards")
def test_an_interrupt_ends_it_without_a_word_from_the_workers(
    make_fetched: Any,
    run_stages: Callable[..., None],
    lake: Lake,
    tmp_path: Path,
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    study, ids = make_fetched(SHARDS)
    process = start(RUN.format(**values(lake, tmp_path, INTERRUPT, 2)))
    output, _ = process.communicate()
    wait_until_gone(process.pid)
    assert output.count("Traceback") == 1 and output.strip().endswith("KeyboardInterrupt")

    run_stages(study, "embed")
    images, captions = read_vectors(lake, study)
    assert set(images) == set(captions) == set(with_image(ids))


def copy_of(lake: Lake, root: Path) -> Lake:
    """Another lake with the same samples and images, and no vectors."""
    copy = Lake(root)
    shutil.copytree(lake.samples.parent, copy.samples.parent)
    shutil.copytree(lake.vectors / "images.lance", copy.vectors / "images.lance")
    return copy


@pytest.mark.usefixtures("small_shards")
def test_a_cluster_of_two_workers_gives_the_same_table(
    make_fetched: Any, lake: Lake, tmp_path: Path, cluster: str
) -> None:
    study, ids = make_fetched(SHARDS)
    expected = on(cluster, study, lake)
    assert set(expected[0]) == set(with_image(ids))
    other = copy_of(lake, tmp_path / "two")
    folder = tmp_path / "worker"
    folder.mkdir()

    def count_tasks(dask_worker: Worker) -> int:
        return int(dask_worker.state.executed_count)

    with second_worker(cluster, folder, threads=2), Client(cluster) as client:
        before = client.run(count_tasks)
        assert on(cluster, study, other) == expected
        after = client.run(count_tasks)
    assert len(after) == 2 and all(after[worker] > before[worker] for worker in after)


@pytest.mark.parametrize(
    ("n_samples", "n_workers", "expected"),
    [(10**7, 1, 512), (10**7, 7, 512), (10**7, 16, 1536), (10**7, 100, 4096), (10**5, 100, 512)],
)
def test_many_workers_with_much_to_do_get_larger_tasks(
    n_samples: int, n_workers: int, expected: int
) -> None:
    assert samples_per_task(n_samples, n_workers) == expected


def test_a_scheduler_that_is_not_there_and_one_without_workers_are_one_line(
    make_fetched: Any, run_stages: Callable[..., None]
) -> None:
    study, _ = make_fetched(3)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StageError, match="no Dask scheduler answers") as error:
            run_stages(replace(study, resources=Resources(scheduler=address)), "embed")
    assert "\n" not in str(error.value)
    with LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0", host="127.0.0.1") as empty:
        resources = Resources(scheduler=empty.scheduler_address)
        with pytest.raises(StageError, match="no workers; start some with: dask worker"):
            run_stages(replace(study, resources=resources), "embed")


def test_a_gpu_that_is_not_there_is_one_line_and_leaves_nothing(
    make_fetched: Any, run_stages: Callable[..., None], lake: Lake
) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    study, _ = make_fetched(3)
    (lake.scratch / "dask" / "worker-of-a-killed-run").mkdir(parents=True)
    before, environment = worker_processes(), dict(os.environ)  # workers that other tests share
    with pytest.raises(StageError, match="--device cuda: there is no GPU"):
        run_stages(replace(study, resources=Resources(device="cuda")), "embed")
    assert worker_processes() <= before and dict(os.environ) == environment
    assert not any(lake.scratch.iterdir())
