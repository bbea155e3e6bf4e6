"""Studies that ask a tiny pipeline for images, and a worker that makes them."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import LocalCluster

from memtriggers.pipelines.study import Resources, Study
from memtriggers.pipelines.workers import WORKER_ENVIRONMENT
from memtriggers.tests.generations import write_study
from memtriggers.tests.tiny_diffusion import save_tiny_pipeline


@pytest.fixture(scope="session")
def tiny_pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a saved Stable Diffusion pipeline of tiny random components."""
    return save_tiny_pipeline(tmp_path_factory.mktemp("pipelines") / "tiny")


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Dask cluster of one worker, which imports torch and diffusers once."""
    environment = {"distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT}
    with (
        dask.config.set(environment),
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            local_directory=str(tmp_path_factory.mktemp("dask")),
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        yield cluster.scheduler_address


@pytest.fixture
def make_generating(
    tmp_path: Path, tiny_pipeline: Path, tiny_clip: Path, cluster: str
) -> Callable[..., Study]:
    """A study with the tiny pipeline, if no other is named, and a tiny CLIP model."""

    def make(**settings: Any) -> Study:
        named = {"model": str(tiny_pipeline)} | settings
        return write_study(tmp_path, tiny_clip, Resources(scheduler=cluster), **named)

    return make
