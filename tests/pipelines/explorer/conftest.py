"""A copy of the demo's lake with hostile captions in it, and `explore` as a person starts it."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from memtriggers.pipelines.lake import Lake
from memtriggers.tests.explorers import HOSTILE, LONGEST, Server, start, stop

ROOT = Path(__file__).parents[3]


@dataclass
class Explored:
    """A lake, its study, and the cluster whose captions are hostile."""

    lake: Lake
    study: Path
    threshold: float
    cluster_id: str
    prompt: str = field(repr=False)

    @property
    def path(self) -> str:
        """Where the page of that cluster is."""
        return f"/clusters/{self.threshold}/{self.cluster_id}"


@pytest.fixture(scope="session")
def explored(demo: Any, tmp_path_factory: pytest.TempPathFactory) -> Explored:
    folder = tmp_path_factory.mktemp("explored")
    lake = Lake(shutil.copytree(demo.lake, folder / "lake", symlinks=True))
    text = (ROOT / "studies" / "demo.toml").read_text("utf-8")
    text = text.replace("../sample", str(ROOT / "sample")) + "\n"
    text = text.replace("demo_prompts.csv", str(ROOT / "studies" / "demo_prompts.csv"))
    # Without Wen's magnitude, which takes the generator and longer than all the rest.
    text = re.sub(r"\[generator\][^\[]*", "", text)
    (folder / "study.toml").write_text(text, "utf-8")
    with duckdb.connect(str(lake.current.resolve())) as connection:
        threshold, cluster_id, prompt = _largest(connection)
        _make_hostile(connection, threshold, cluster_id)
    return Explored(lake, folder / "study.toml", threshold, cluster_id, prompt)


def _largest(connection: duckdb.DuckDBPyConnection) -> tuple[float, str, str]:
    """The largest cluster that prompts were made of, and its keywords prompt."""
    row = connection.execute(
        "select threshold, clusters.cluster_id, prompt_id from prompts "
        "join cluster_members as members using (threshold) "
        "join clusters using (threshold) "
        "where members.sample_id = prompts.cluster_id and clusters.cluster_id = members.cluster_id "
        "and family = 'keywords' order by clusters.n_samples desc limit 1"
    ).fetchone()
    assert row is not None
    return row


def _make_hostile(connection: duckdb.DuckDBPyConnection, threshold: float, cluster_id: str) -> None:
    ids = connection.execute(
        "select sample_id from cluster_members where threshold = ? and cluster_id = ? "
        "order by cosine_to_medoid desc, sample_id limit 2",
        [threshold, cluster_id],
    ).fetchall()
    for (sample_id,), caption in zip(ids, (HOSTILE, LONGEST), strict=True):
        connection.execute(
            "update samples set caption = ? where sample_id = ?", [caption, sample_id]
        )


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start explorers that end with the test."""
    started: list[Server] = []

    def serve_one(*arguments: str | Path, **options: Any) -> Server:
        started.append(start(*arguments, **options))
        return started[-1]

    yield serve_one
    for server in started:
        stop(server)


@pytest.fixture(scope="session")
def server(explored: Explored) -> Iterator[Server]:
    """The explorer of the copied lake, for all tests that only look."""
    running = start("--lake", explored.lake.root, "--study", explored.study)
    yield running
    stop(running)
