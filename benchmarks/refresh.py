"""How long `refresh` takes when 1 % new rows come to 100,000, beside the first run.

    python benchmarks/refresh.py --rows 100000

Each picture is an image of the bundled sample, turned, cropped and with its colours exchanged, as a
JPEG in a column of the parquet; one in ten is a copy, encoded again, of an earlier one. What was
fetched, embedded and compared is read from the runs. At the end, a refresh with nothing new.
"""

import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from memtriggers.making import bundled
from memtriggers.pipelines.core.lake import Lake

_SIDE = 160  # pixels, before a third at most is cropped
_ROWS_A_GROUP = 5_000
_ONLY_NEW = ("fetch", "embed", "cluster")
_STUDY = """
[data]
rows = "*.parquet"
image_column = "jpg"
[cluster]
thresholds = [0.95]
[[keyword_set]]
name = "everything"
include = ["*"]
"""


def read_images() -> list[Image.Image]:
    opened = (Image.open(io.BytesIO(image)) for image in bundled.read_images().values())
    return [image.convert("RGB").resize((_SIDE, _SIDE)) for image in opened]


def picture(number: int, images: list[Image.Image]) -> bytes:
    """The JPEG of a row; what it shows follows from its number."""
    is_copy = number % 10 == 9
    chance = np.random.default_rng(number // 100 * 10 if is_copy else number)
    image = images[chance.integers(len(images))]
    left, top, right, bottom = chance.integers(0, _SIDE // 3, size=4)
    image = image.crop((left, top, _SIDE - right, _SIDE - bottom))
    image = image.transpose(chance.choice(list(Image.Transpose)))
    colours = image.split()
    image = Image.merge("RGB", [colours[place] for place in chance.permutation(3)])
    file = io.BytesIO()
    image.save(file, "JPEG", quality=70 if is_copy else 90)
    return file.getvalue()


def write_rows(path: Path, numbers: range, images: list[Image.Image]) -> None:
    schema = pa.schema({"URL": pa.string(), "TEXT": pa.string(), "jpg": pa.binary()})
    with pq.ParquetWriter(path, schema) as writer:
        for group in groups_of(numbers):
            rows = [
                {
                    "URL": f"https://site{n % 997}.example/{n}.jpg",
                    "TEXT": f"a picture of thing {n % 5003} and thing {n % 211}",
                    "jpg": picture(n, images),
                }
                for n in group
            ]
            writer.write_table(pa.Table.from_pylist(rows, schema))


def groups_of(numbers: range) -> Iterator[range]:
    for start in range(0, len(numbers), _ROWS_A_GROUP):
        yield numbers[start : start + _ROWS_A_GROUP]


def refresh(folder: Path) -> float:
    """Seconds of `memtriggers refresh`, as a scheduler starts it."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "memtriggers", "refresh"], check=True, cwd=folder)
    return time.perf_counter() - started


@click.command()
@click.option("--rows", default=100_000, show_default=True, help="How many, to begin with.")
@click.option("--new", "n_new", type=int, help="How many more.  [default: 1 % of them]")
def main(rows: int, n_new: int | None) -> None:
    """Write rows, refresh, write more, refresh; say what each took."""
    n_new, images = n_new or rows // 100, read_images()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "study.toml").write_text(_STUDY, encoding="utf-8")
        write_rows(folder / "first.parquet", range(rows), images)
        seconds = [refresh(folder)]
        write_rows(folder / "more.parquet", range(rows, rows + n_new), images)
        seconds += [refresh(folder), refresh(folder)]
        print_runs(Lake(folder / "lake"), n_new)
    first, more, nothing = seconds
    click.echo(f"\n{rows:,} rows {first:.1f} s, {n_new:,} more {more:.1f} s: {more / first:.1%}")
    click.echo(f"nothing new {nothing:.1f} s")


def print_runs(lake: Lake, n_new: int) -> None:
    """Each stage's rows and seconds in both runs; what was not new must not have been touched."""
    runs = [json.loads(file.read_text("utf-8")) for file in sorted(lake.runs.glob("*.json"))]
    click.echo(f"\n{'stage':10} {'rows in':>9} {'then':>9} {'seconds':>9} {'then':>9}")
    for first, more in zip(runs[: len(runs) // 2], runs[len(runs) // 2 :], strict=True):
        stage, n_in = more["stage"], more["n_in"]
        if stage in _ONLY_NEW and n_in != n_new:
            raise click.ClickException(f"{stage}: {n_in:,} rows went in, {n_new:,} are new")
        seconds = f"{seconds_of(first):9.1f} {seconds_of(more):9.1f}"
        click.echo(f"{stage:10} {first['n_in']:9,} {n_in:9,} {seconds}")


def seconds_of(run: dict[str, str]) -> float:
    started, finished = map(datetime.fromisoformat, (run["started_at"], run["finished_at"]))
    return (finished - started).total_seconds()


if __name__ == "__main__":
    main()
