"""How fast an embedding worker is, beside bare loops of the same model over decoded tensors.

    python benchmarks/embed.py --images 500
    python benchmarks/embed.py --images 64 --model ViT-B-32

The worker reads stored images: it decodes, preprocesses and scales. The loops have all of that done
for them. They take turns in one process, `--repeats` times around; the table has the medians, of
wall time and of CPU time. Named models get random weights.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import click
import torch
from dask.system import CPU_COUNT

from memtriggers.pipelines.clip.encoder import Encoder
from memtriggers.pipelines.clip.model import ClipChoice, find_clip, load_clip
from memtriggers.pipelines.study import BUNDLED_CLIP
from memtriggers.pipelines.study_file import load_study

_ROOT = Path(__file__).resolve().parents[1]
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
    files = sorted((_ROOT / "sample" / "images").glob("*.webp"))
    return [file.read_bytes() for file in islice(cycle(files), number)]


def run_worker(encoder: Encoder, images: list[bytes]) -> None:
    encoder.images(images)


def bare_loop(model: Any, pixels: torch.Tensor, batch_size: int, threads: int) -> None:
    torch.set_num_threads(threads)
    with torch.inference_mode():
        for start in range(0, len(pixels), batch_size):
            model.encode_image(pixels[start : start + batch_size])


def measure(
    contestants: dict[str, Callable[[], None]], repeats: int
) -> dict[str, list[tuple[float, float]]]:
    """Wall and CPU seconds of each run; they take turns after a first run that is not counted."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for repeat in range(repeats + 1):
        for name, run in contestants.items():
            started, cpu = time.perf_counter(), time.process_time()
            run()
            passed = time.perf_counter() - started, time.process_time() - cpu
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
    with open_model(model) as choice:
        encoder = Encoder(choice, "cpu", batch_size, CPU_COUNT)
        plain = load_clip(choice).model
    pixels = torch.stack([encoder.decode(image) for image in encoded])  # (n, 3, side, side)
    last = pixels.contiguous(memory_format=torch.channels_last)
    contestants: dict[str, Callable[[], None]] = {
        "memtriggers, from stored images": lambda: run_worker(encoder, encoded),
        "bare loop": lambda: bare_loop(plain, pixels, batch_size, CPU_COUNT),
        "bare loop, channels last": lambda: bare_loop(encoder.model, last, batch_size, CPU_COUNT),
        "bare loop, one thread": lambda: bare_loop(plain, pixels, batch_size, 1),
    }
    click.echo(f"{model}: {images:,} images, batches of {batch_size}, medians of {repeats}")
    print_table(measure(contestants, repeats), images)


if __name__ == "__main__":
    main()
