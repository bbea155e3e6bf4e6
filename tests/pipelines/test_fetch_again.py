"""Images of the web that are fetched again: what replaces what, and what a bad night costs."""

import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import LanceTable, image_vectors_name
from memtriggers.pipelines.clip.model import find_clip
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study
from memtriggers.pipelines.fetch import ask_again, recorded
from memtriggers.pipelines.stages import STAGES
from memtriggers.tests.web_server import Routes

Rows = dict[str, dict[str, Any]]
SETTINGS = "[fetch]\nallow_private_hosts = true\ntimeout = 30\nretries = 0\nmax_lost = 0.9\n"


@pytest.fixture
def fetch(tmp_path: Path, lake: Lake) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command."""

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "memtriggers", "fetch", "--lake", str(lake.root), *options]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    return run


def age(lake: Lake, days: int, *sample_ids: str) -> None:
    """Make images look as if they had been fetched so many days ago."""
    moment = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    for sample_id in sample_ids:
        VectorStore(lake.vectors).dataset("images").update(
            {"fetched_at": f"timestamp '{moment}'"}, f"sample_id = '{sample_id}'"
        )


def test_what_an_address_serves_now_replaces_what_it_served_unless_that_may_pass(
    serve: Callable[[Routes], str],
    draw: Callable[..., bytes],
    make_study: Callable[..., Study],
    write_samples: Callable[..., list[str]],
    run_stages: Callable[..., None],
    read_images: Callable[[], Rows],
    fetch: Callable[..., subprocess.CompletedProcess[str]],
    lake: Lake,
) -> None:
    old, new = draw(0), draw(1)
    was: Routes = {f"/{name}": (200, {}, old) for name in ("same", "new", "gone", "busy", "page")}
    was |= {"/opted": (200, {}, old), "/late": (404, {}, b""), "/down": (503, {}, b"")}
    is_now: Routes = {
        "/same": (200, {}, old),
        "/new": (200, {}, new),
        "/gone": (410, {}, b""),
        "/busy": (503, {}, b""),
        "/page": (200, {}, b"<!DOCTYPE html><title>This image is gone</title>"),
        "/opted": (200, {"X-Robots-Tag": "noai"}, new),
        "/late": (200, {}, new),
        "/down": (504, {}, b""),
    }
    routes = dict(was)
    base = serve(routes)
    names = [path.removeprefix("/") for path in was]
    ids = write_samples(*({"url": f"{base}/{name}"} for name in names), {"url": "ftp://x/y.png"})
    run_stages(make_study(sections=SETTINGS), "fetch")
    first, before = read_images(), recorded(lake)
    routes.update(is_now)

    assert fetch().stdout == "fetch: 0 in, 0 out, 0 lost\n"
    assert (read_images(), recorded(lake)) == (first, before)
    done = fetch("--again")
    assert (
        done.stdout
        == "fetch: 8 in, 3 out, 5 lost (http_410 1, http_503 1, http_504 1, 2 other reasons 2)\n"
    ), done.stderr
    assert done.stderr == (
        "WARNING: fetch: images that could not be fetched again stay as they were: http_503 1\n"
    )
    rows = {name: read_images()[sample_id] for name, sample_id in zip(names, ids, strict=False)}
    assert {name: row["status"] for name, row in rows.items()} == {
        **{"same": "ok", "new": "ok", "gone": "http_410", "busy": "ok", "page": "not_an_image"},
        **{"opted": "opted_out", "late": "ok", "down": "http_504"},
    }
    served = {"same": old, "new": new, "busy": old, "late": new}
    assert {name: row["image"] for name, row in rows.items() if row["image"]} == served
    unasked = {ids[names.index("busy")], ids[-1]}
    after = read_images()
    assert after.keys() == first.keys()
    assert {i for i in ids if after[i]["fetched_at"] == first[i]["fetched_at"]} == unasked
    assert recorded(lake) != before, "embed has something to do"
    assert fetch().stdout == "fetch: 0 in, 0 out, 0 lost\n", "what was asked for is done"


def test_only_what_is_older_is_fetched_again(
    serve: Callable[[Routes], str],
    draw: Callable[..., bytes],
    make_study: Callable[..., Study],
    write_samples: Callable[..., list[str]],
    run_stages: Callable[..., None],
    read_images: Callable[[], Rows],
    fetch: Callable[..., subprocess.CompletedProcess[str]],
    lake: Lake,
) -> None:
    routes: Routes = {"/0": (200, {}, draw(0)), "/1": (200, {}, draw(0))}
    base = serve(routes)
    ids = write_samples(*({"url": f"{base}/{n}"} for n in range(4)))
    run_stages(make_study(sections=SETTINGS), "fetch")
    age(lake, 31, ids[0], ids[2])
    routes |= {f"/{n}": (200, {}, draw(1)) for n in range(4)}
    assert fetch("--again", "--older-than", "32d").stdout == "fetch: 0 in, 0 out, 0 lost\n"
    assert fetch("--older-than", "30d", "--again").stdout == "fetch: 2 in, 2 out, 0 lost\n"
    images = [read_images()[sample_id]["image"] for sample_id in ids]
    assert images == [draw(1), draw(0), draw(1), None], "refused ones have an age, too"


def test_a_host_that_is_down_costs_no_image(
    serve: Callable[[Routes], str],
    draw: Callable[..., bytes],
    make_study: Callable[..., Study],
    write_samples: Callable[..., list[str]],
    run_stages: Callable[..., None],
    read_images: Callable[[], Rows],
    fetch: Callable[..., subprocess.CompletedProcess[str]],
    lake: Lake,
) -> None:
    routes: Routes = {"/a": (200, {}, draw(0))}
    write_samples({"url": serve(routes) + "/a"})
    run_stages(make_study(sections=SETTINGS), "fetch")
    first, before = read_images(), recorded(lake)
    routes["/a"] = (500, {}, b"")
    done = fetch("--again")
    assert (done.returncode, done.stdout) == (0, "fetch: 1 in, 0 out, 1 lost (http_500 1)\n")
    assert "that could not be fetched again stay as they were: http_500 1" in done.stderr
    assert (read_images(), recorded(lake)) == (first, before), "and nothing is stale"


@pytest.mark.parametrize("killed", [False, True])
def test_a_replaced_image_gets_a_new_vector_and_the_others_keep_theirs(
    killed: bool,
    serve: Callable[[Routes], str],
    draw: Callable[..., bytes],
    make_study: Callable[..., Study],
    write_samples: Callable[..., list[str]],
    run_stages: Callable[..., None],
    fetch: Callable[..., subprocess.CompletedProcess[str]],
    lake: Lake,
    tiny_clip: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    routes: Routes = {f"/{number}": (200, {}, draw(number)) for number in range(4)}
    base = serve(routes)
    ids = write_samples(*({"url": f"{base}/{number}"} for number in range(4)))
    study = make_study(sections=f'{SETTINGS}[clip]\nmodel = "local-dir:{tiny_clip}"\n')
    run_stages(study, "fetch", "embed")
    before = vectors(lake, study)
    routes |= {"/1": (200, {}, draw(9)), "/2": (404, {}, b"")}
    if killed:  # in between: what was made of the old image is gone, and it is there
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(VectorStore, "replace", interrupt)
            ask_again(study, lake, datetime.now(UTC))
            run_stages(study, "fetch")
        assert STAGES["embed"].why_stale(study, lake)
        run_stages(study, "embed")
        assert vectors(lake, study) == before
    assert "fetch: 4 in, 3 out, 1 lost" in fetch(*([] if killed else ["--again"])).stdout
    assert STAGES["embed"].why_stale(study, lake)
    run_stages(study, "embed")
    after = vectors(lake, study)
    assert after.keys() == {ids[0], ids[1], ids[3]}
    assert (after[ids[0]], after[ids[3]]) == (before[ids[0]], before[ids[3]])
    assert after[ids[1]] != before[ids[1]]


def vectors(lake: Lake, study: Study) -> dict[str, list[float]]:
    name = image_vectors_name(find_clip(study).clip_id)
    rows = VectorStore(lake.vectors).dataset(name).to_table()
    return dict(zip(rows["sample_id"].to_pylist(), rows["vector"].to_pylist(), strict=True))


def interrupt(store: VectorStore, table: LanceTable, rows: pa.Table) -> None:
    raise KeyboardInterrupt


# The commit of the second shard is the one that does not come about, or after which nothing does.
KILLED = """
import os, signal
import lance
from memtriggers.pipelines.cli import cli
from memtriggers.pipelines.images import fetched

commit, n_commits = lance.LanceDataset.commit, 0

def commit_and_die(*arguments, **options):
    global n_commits
    n_commits += 1
    if n_commits == 2 and {before}:
        os.kill(os.getpid(), signal.SIGKILL)
    commit(*arguments, **options)
    if n_commits == 2:
        os.kill(os.getpid(), signal.SIGKILL)

lance.LanceDataset.commit, fetched._SHARD = commit_and_die, 20
cli(["fetch", "--again", "--lake", {lake!r}])
"""


@pytest.mark.parametrize("before", [True, False])
def test_a_kill_leaves_the_old_image_or_the_new_one_and_the_next_run_goes_on(
    before: bool,
    serve: Callable[[Routes], str],
    draw: Callable[..., bytes],
    make_study: Callable[..., Study],
    write_samples: Callable[..., list[str]],
    run_stages: Callable[..., None],
    read_images: Callable[[], Rows],
    fetch: Callable[..., subprocess.CompletedProcess[str]],
    lake: Lake,
    tmp_path: Path,
) -> None:
    n = 55
    routes: Routes = {f"/{number}": (200, {}, draw(0)) for number in range(n)}
    base = serve(routes)
    ids = write_samples(*({"url": f"{base}/{number}"} for number in range(n)))
    run_stages(make_study(sections=SETTINGS), "fetch")
    routes |= {f"/{number}": (200, {}, draw(1)) for number in range(n)}
    code = KILLED.format(before=before, lake=str(lake.root))
    killed = subprocess.run([sys.executable, "-c", code], cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL
    images = [row["image"] for row in read_images().values()]
    n_left = n - (20 if before else 40)
    assert (len(images), images.count(draw(0))) == (n, n_left)
    assert fetch().stdout == f"fetch: {n_left} in, {n_left} out, 0 lost\n"
    assert all(read_images()[sample_id]["image"] == draw(1) for sample_id in ids)


def test_what_cannot_be_fetched_again_is_one_line(
    make_study: Callable[..., Study],
    write_samples: Callable[..., list[str]],
    fetch: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    write_samples({"url": "a.png"})
    make_study(data='image_root = "."')
    alone = fetch("--older-than", "30d")
    assert alone.returncode == 2
    assert alone.stderr.splitlines()[-1] == (
        "Error: --older-than says which images --again fetches: add --again"
    )
    odd = fetch("--again", "--older-than", "99999999999d")
    assert (odd.returncode, "neither a time ago (90m, 20h, 7d) nor" in odd.stderr) == (2, True)
    local = fetch("--again")
    assert (local.returncode, local.stderr.count("\n")) == (1, 1)
    assert "data: image_root: nothing comes from the web in this study" in local.stderr
    assert fetch().returncode == 1, "the file is not there, and nothing was left to do again"
