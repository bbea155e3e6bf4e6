"""How fast an embedding worker is, beside bare loops of its model and beside clip-retrieval.

    python benchmarks/embed.py --images 500
    python benchmarks/embed.py --images 64 --model ViT-B-32

The worker has stored images: it decodes and preprocesses them. The loops take decoded tensors.
clip-retrieval, where it is installed, reads the same images as files; its weights are the same, and
so have its vectors to be. They take turns in one process, `--repeats` times around; the table has
the medians, of wall time and of CPU time, that of processes it has ended included. Named models get
random weights.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from dask.system import CPU_COUNT
from numpy.typing import NDArray

from memtriggers.benchmarks.retrieval import open_clip_retrieval
from memtriggers.making import bundled
from memtriggers.pipelines.clip.encoder import Encoder
from memtriggers.pipelines.clip.model import ClipChoice, find_clip, load_clip
from memtriggers.pipelines.core.study import BUNDLED_CLIP
from memtriggers.pipelines.core.study_file import load_study

_STUDY = '[data]\nparquet = "x"\n[[keyword_set]]\nname = "x"\ninclude = ["*"]\n'


@contextmanager
def open_model(name: str) -> Iterator[ClipChoice]:
    """The bundled model, or a named one with random weights in a file for the time of the block."""
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "study.toml"
        clip = f'[clip]\nmodel = "{name}"\n'
        if name != BUNDLED_CLIP:
            import open_clip
            from safetensors.torch import save_file

            torch.manual_seed(0)
            weights = open_clip.create_model(name).state_dict()
            save_file(weights, Path(folder) / "random.safetensors")
            clip += 'pretrained = "random.safetensors"\n'
        study.write_text(_STUDY + clip, encoding="utf-8")
        yield find_clip(load_study(study))


def read_images(number: int) -> list[bytes]:
    """Images of the bundled sample, again from the start where they do not suffice."""
    return list(islice(cycle(bundled.read_images().values()), number))


def bare_loop(model: Any, pixels: torch.Tensor, batch_size: int, threads: int) -> None:
    torch.set_num_threads(threads)
    with torch.inference_mode():
        for start in range(0, len(pixels), batch_size):
            model.encode_image(pixels[start : start + batch_size])


def cpu_seconds() -> float:
    """Of this process and of those that it has started and seen the end of."""
    return sum(os.times()[:4])  # user and system, its own and its children's


def smallest_cosine(ours: NDArray[Any], theirs: NDArray[Any]) -> float:
    """Between the vectors (n, d) of the same images."""
    pairs = [array.astype(np.float32) for array in (ours, theirs)]
    ours, theirs = (array / np.linalg.norm(array, axis=1, keepdims=True) for array in pairs)
    return float((ours * theirs).sum(1).min())


def measure(
    contestants: dict[str, Callable[[], object]], repeats: int
) -> dict[str, list[tuple[float, float]]]:
    """Wall and CPU seconds of each run; they take turns after a first run that is not counted."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for repeat in range(repeats + 1):
        for name, run in contestants.items():
            started, cpu = time.perf_counter(), cpu_seconds()
            run()
            passed = time.perf_counter() - started, cpu_seconds() - cpu
            if repeat:
                seconds[name].append(passed)
    return seconds


def print_table(seconds: dict[str, list[tuple[float, float]]], images: int) -> None:
    """Images a second, and of CPU time, which other work on the machine disturbs less."""
    medians = {
        name: [statistics.median(times) for times in zip(*runs, strict=True)]
        for name, runs in seconds.items()
    }
    ours = next(iter(medians.values()))
    click.echo(f"{'':34} {'images/s':>9} {'we are ×':>9} {'a CPU second':>13} {'we are ×':>9}")
    for name, (wall, cpu) in medians.items():
        click.echo(
            f"{name:34} {images / wall:9,.1f} {wall / ours[0]:9.2f} {images / cpu:13,.1f} "
            f"{cpu / ours[1]:9.2f}"
        )


@click.command()
@click.option("--images", default=500, show_default=True, help="How many images.")
@click.option("--model", default=BUNDLED_CLIP, show_default=True, help="An open_clip name.")
@click.option("--batch-size", default=16, show_default=True, help="Of the worker and the loops.")
@click.option("--repeats", default=3, show_default=True, help="Runs of each contestant.")
def main(images: int, model: str, batch_size: int, repeats: int) -> None:
    """Compare the worker with bare loops over decoded tensors."""
    encoded = read_images(images)
    with open_model(model) as choice, tempfile.TemporaryDirectory() as folder:
        encoder = Encoder(choice, "cpu", batch_size, CPU_COUNT)
        clip = load_clip(choice)
        theirs = open_clip_retrieval(choice, clip, encoded, Path(folder), batch_size, CPU_COUNT)
        pixels = torch.stack([encoder.decode(image) for image in encoded])  # (n, 3, side, side)
        last = pixels.contiguous(memory_format=torch.channels_last)
        contestants: dict[str, Callable[[], object]] = {
            "memtriggers, from stored images": lambda: encoder.images(encoded),
            "bare loop": lambda: bare_loop(clip.model, pixels, batch_size, CPU_COUNT),
            "bare loop, channels last": lambda: bare_loop(
                encoder.model, last, batch_size, CPU_COUNT
            ),
            "bare loop, one thread": lambda: bare_loop(clip.model, pixels, batch_size, 1),
            "bare loop, both": lambda: bare_loop(encoder.model, last, batch_size, 1),
        }
        if theirs is not None:
            contestants["clip-retrieval, from files"] = theirs
            cosine = smallest_cosine(encoder.images(encoded), theirs())
            click.echo(f"clip-retrieval's vectors have a cosine of at least {cosine:.5f} to ours")
        click.echo(f"{model}: {images:,} images, batches of {batch_size}, medians of {repeats}")
        print_table(measure(contestants, repeats), images)


if __name__ == "__main__":
    main()
