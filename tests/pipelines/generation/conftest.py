"""Studies that ask a tiny pipeline for images."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memtriggers.pipelines.core.study import Resources, Study
from memtriggers.tests.generations import write_study
from memtriggers.tests.tiny_diffusion import save_tiny_pipeline


@pytest.fixture(scope="session")
def tiny_pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a saved Stable Diffusion pipeline of tiny random components."""
    return save_tiny_pipeline(tmp_path_factory.mktemp("pipelines") / "tiny")


@pytest.fixture
def make_generating(
    tmp_path: Path, tiny_pipeline: Path, tiny_clip: Path, cluster: str
) -> Callable[..., Study]:
    """A study with the tiny pipeline, if no other is named, and a tiny CLIP model."""

    def make(**settings: Any) -> Study:
        named = {"model": str(tiny_pipeline)} | settings
        return write_study(tmp_path, tiny_clip, Resources(scheduler=cluster), **named)

    return make
