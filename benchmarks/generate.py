"""How fast `generate` is beside a bare loop of the same pipeline, over the same prompts and seeds.

    python benchmarks/generate.py --seeds 96

The bare loop calls the pipeline in a worker of the same kind, with as many threads and the same
batches, and keeps nothing. `generate` also encodes, commits and embeds the images. Beside the whole
of it stands what a further image costs: the time less that of a run of one batch, which starts as
many workers and loads the same models. They take turns, `--repeats` times around; the table has the
medians. The pipeline is that of the tests with random components, and a U-Net as wide as you say.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import BUNDLED_CLIP, Resources, Study
from memtriggers.pipelines.core.workers import start_workers
from memtriggers.pipelines.generation.model import find_generator
from memtriggers.pipelines.stages import STAGES
from memtriggers.tests.generations import write_prompts, write_study
from memtriggers.tests.tiny_diffusion import save_tiny_pipeline

_PROMPT = "a star over the water"


Times = tuple[float, float]  # seconds of wall time, and of all cores


def bare_loop(study: Study, folder: Path) -> Times:
    """What a worker's pipeline takes for the images of all seeds, once it is loaded."""
    with start_workers(Lake(folder), study.resources) as workers:
        times: Times = workers.client.submit(_loop, find_generator(study)).result()
    return times


def _loop(choice: Any) -> Times:
    import torch
    from dask.system import CPU_COUNT

    from memtriggers.pipelines.generation.pipeline import load_pipeline

    torch.set_num_threads(CPU_COUNT)
    settings, pipeline = choice.settings, load_pipeline(choice, "cpu")
    started, cpu = time.perf_counter(), time.process_time()
    for start in range(0, settings.n_seeds, settings.batch_size):
        seeds = range(start, min(start + settings.batch_size, settings.n_seeds))
        pipeline(
            [_PROMPT] * len(seeds),
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance_scale,
            width=settings.width,
            height=settings.height,
        )
    return time.perf_counter() - started, time.process_time() - cpu


def generate(study: Study, folder: Path) -> Times:
    """What the stage takes in an empty lake, its workers included."""
    lake = Lake(folder)
    write_prompts(lake, _PROMPT)
    started, before = time.perf_counter(), os.times()
    with lake.lock():
        STAGES["generate"].run(study, lake)
    after = os.times()
    return time.perf_counter() - started, sum(after[:4]) - sum(before[:4])


def one_batch(study: Study, folder: Path) -> Times:
    """What the stage takes for one batch: nearly all of it is what starting costs."""
    assert study.generator is not None
    few = replace(study.generator, n_seeds=study.generator.batch_size)
    return generate(replace(study, generator=few), folder)


def measure(study: Study, repeats: int) -> dict[str, Times]:
    """The median times of each contestant; each run has a folder of its own."""
    contestants: tuple[Callable[[Study, Path], Times], ...] = (bare_loop, generate, one_batch)
    times: dict[str, list[Times]] = {contestant.__name__: [] for contestant in contestants}
    for _ in range(repeats):
        for contestant in contestants:
            with tempfile.TemporaryDirectory() as folder:
                times[contestant.__name__].append(contestant(study, Path(folder)))
    return {
        name: (statistics.median(wall), statistics.median(cpu))
        for name, (wall, cpu) in ((name, zip(*runs, strict=True)) for name, runs in times.items())
    }


def print_table(times: dict[str, Times], images: int, batch: int) -> None:
    """Images a second, and of a core's time, which other work on the machine disturbs less."""
    rows = {
        "bare loop": [images / seconds for seconds in times["bare_loop"]],
        "generate, with all that starting costs": [images / s for s in times["generate"]],
        "generate, a further image": [
            (images - batch) / (whole - start)
            for whole, start in zip(times["generate"], times["one_batch"], strict=True)
        ],
    }
    wall, cpu = rows["bare loop"]
    click.echo(f"{'':40} {'images/s':>9} {'× loop':>7} {'a core second':>14} {'× loop':>7}")
    for name, (by_wall, by_cpu) in rows.items():
        click.echo(
            f"{name:40} {by_wall:9.2f} {by_wall / wall:7.2f} {by_cpu:14.2f} {by_cpu / cpu:7.2f}"
        )
    click.echo(f"a run of one batch takes {times['one_batch'][0]:.1f} s")


@click.command()
@click.option("--seeds", default=96, show_default=True, help="Images.")
@click.option("--batch-size", default=8, show_default=True, help="Of both.")
@click.option("--channels", default=64, show_default=True, help="Of the U-Net's first block.")
@click.option("--side", default=64, show_default=True, help="Pixels of an image.")
@click.option("--steps", default=10, show_default=True, help="Denoising steps.")
@click.option("--repeats", default=3, show_default=True, help="Runs of each contestant.")
def main(seeds: int, batch_size: int, channels: int, side: int, steps: int, repeats: int) -> None:
    """Compare the stage with a bare loop of its pipeline."""
    with tempfile.TemporaryDirectory() as folder:
        model = save_tiny_pipeline(Path(folder) / "model", width=channels)
        settings = {"n_seeds": seeds, "batch_size": batch_size, "steps": steps}
        sides = {"width": side, "height": side}
        study = write_study(
            Path(folder), BUNDLED_CLIP, Resources("cpu"), model=str(model), **settings, **sides
        )
        times = measure(study, repeats)
    click.echo(f"{seeds} images of {side} × {side}, batches of {batch_size}, medians of {repeats}")
    print_table(times, seeds, batch_size)


if __name__ == "__main__":
    main()
