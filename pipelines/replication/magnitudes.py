"""Wen's magnitude of every prompt, on the workers: the one score that asks the generator again."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow.parquet as pq

from ...lance.tables import OK
from ..core.gpus import gpu_of_worker
from ..core.lake import Lake
from ..core.progress import progress
from ..core.study import Study
from ..core.workers import start_workers
from ..generation.generate_job import GeneratorChoice, Load
from ..generation.model import find_generator

MAGNITUDE = "wen_magnitude"
_PROMPTS = 16  # in one task

Row = dict[str, Any]


@dataclass(frozen=True)
class MagnitudeJob:
    """What is the same for every prompt; `load` makes the pipeline of a choice on a device."""

    choice: GeneratorChoice
    load: Load
    device: str
    n_seeds: int
    n_steps: int

    @property
    def said(self) -> str:
        """What a magnitude depends on beside the generator: others cannot be compared with it."""
        return f"seeds {self.n_seeds}, steps {self.n_steps}"


def measure_magnitudes(study: Study, lake: Lake, load: Load) -> list[Row]:
    """The rows of prompt_scores for the study's generator; those that are there are kept.

    A pipeline with several text encoders, or without a U-Net, has no such magnitude, and no rows.
    """
    score = study.score
    job = MagnitudeJob(
        find_generator(study), load, study.resources.device, score.probe_seeds, score.probe_steps
    )
    kept = [row for row in _read_earlier(lake) if _is_kept(row, job)]
    name = job.choice.generator_id
    there = {row["prompt_id"] for row in kept if row["generator_id"] == name}
    missing = [prompt for prompt in _read_prompts(lake) if prompt[0] not in there]
    return kept + [
        {
            "generator_id": name,
            "prompt_id": prompt_id,
            "detector": MAGNITUDE,
            "score": magnitude,
            "settings": job.said,
        }
        for prompt_id, magnitude in _measure(study, lake, missing, job)
        if magnitude is not None
    ]


def _is_kept(row: Row, job: MagnitudeJob) -> bool:
    is_other = row["generator_id"] != job.choice.generator_id
    return bool(row["detector"] == MAGNITUDE and (is_other or row["settings"] == job.said))


def _read_earlier(lake: Lake) -> list[Row]:
    if not lake.prompt_scores.exists():
        return []
    rows: list[Row] = pq.read_table(lake.prompt_scores).to_pylist()
    return rows


def _read_prompts(lake: Lake) -> list[tuple[str, str]]:
    """The id and the text of each prompt that images are generated for."""
    rows = pq.read_table(lake.prompts, columns=["prompt_id", "prompt", "status"]).to_pylist()
    return [(row["prompt_id"], row["prompt"]) for row in rows if row["status"] == OK]


def _measure(
    study: Study, lake: Lake, prompts: list[tuple[str, str]], job: MagnitudeJob
) -> Iterator[tuple[str, float | None]]:
    """The magnitude of each prompt; None where the pipeline has none."""
    if not prompts:
        return
    parts = (prompts[start : start + _PROMPTS] for start in range(0, len(prompts), _PROMPTS))
    with (
        start_workers(lake, study.resources) as workers,
        progress("magnitudes", len(prompts)) as advance,
    ):
        way_out = "lower score.probe_seeds"
        for part, found in workers.results(_magnitudes, parts, job, "score", way_out):
            yield from zip((prompt_id for prompt_id, _ in part), found, strict=True)
            advance(len(part))


def _magnitudes(part: list[tuple[str, str]], job: MagnitudeJob) -> list[float | None]:
    """In the worker."""
    probe = _load_probe(job, gpu_of_worker(job.device) or "cpu")
    return [probe.magnitude(prompt) if probe.is_possible else None for _, prompt in part]


@lru_cache(maxsize=1)
def _load_probe(job: MagnitudeJob, device: str) -> Any:
    """The pipeline, loaded once in a process."""
    from .noise import Probe

    pipeline = job.load(job.choice, device)
    return Probe(pipeline, job.choice.settings, job.n_seeds, job.n_steps)
