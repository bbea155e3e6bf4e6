"""A copy of a lake with hostile captions in it, and `explore` as a person starts it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memtriggers.tests.explorers import Explored, Server, make_hostile, start, stop


@pytest.fixture(scope="session")
def explored(van_gogh: Path, tmp_path_factory: pytest.TempPathFactory) -> Explored:
    """The lake of the paper's study, made small."""
    return make_hostile(
        van_gogh / "lake", van_gogh / "van_gogh.toml", tmp_path_factory.mktemp("explored")
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
