"""How many images a second `fetch` brings in from a server on this machine, in another process.

    python benchmarks/fetch.py --images 3000 --side 256 --side 384 --side 512

The whole stage is timed: download, hash, decode, resize, encode and commit. Beside it, the same
downloads alone, with nothing done to what comes. The images are JPEGs of smooth random colours. The
server takes its processor time from the same cores, so that is counted, too.
"""

import asyncio
import io
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp
import click
import numpy as np
import psutil  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study
from memtriggers.pipelines.core.study_file import load_study
from memtriggers.pipelines.stages import STAGES

_DIFFERENT = 64  # images; the same come again and again
_CONNECTIONS = 64
_STUDY = """
[data]
rows = "*.parquet"
[[keyword_set]]
name = "everything"
include = ["*"]
[fetch]
allow_private_hosts = true
connections_per_host = 64
"""


def make_images(side: int) -> list[bytes]:
    """Encoded JPEGs of side × side pixels."""
    random = np.random.default_rng(0)
    images = []
    for _ in range(_DIFFERENT):
        coarse = Image.fromarray(random.integers(0, 256, (side // 8, side // 8, 3), np.uint8))
        file = io.BytesIO()
        coarse.resize((side, side), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        images.append(file.getvalue())
    return images


def serve(side: int, port: Connection) -> None:
    """Answer every request with one of the images, until the process is ended."""
    answers = [
        b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(image)
        + image
        for image in make_images(side)
    ]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):  # the client has hung up
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                number = int(request.split(b" ", 2)[1].strip(b"/"))
                writer.write(answers[number % _DIFFERENT])
                await writer.drain()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def prepare(folder: Path, urls: list[str]) -> tuple[Study, Lake]:
    """A study and a lake whose samples have these urls."""
    rows = [{"URL": url, "TEXT": f"picture {number}"} for number, url in enumerate(urls)]
    pq.write_table(pa.Table.from_pylist(rows), folder / "rows.parquet")
    (folder / "study.toml").write_text(_STUDY, encoding="utf-8")
    study, lake = load_study(folder / "study.toml"), Lake(folder / "lake")
    STAGES["filter"].run(study, lake)
    return study, lake


async def download(urls: list[str]) -> None:
    """Ask for every address over as many connections as `fetch` has, and read what comes."""
    rest = iter(urls)
    async with aiohttp.ClientSession() as session:

        async def download_next_until_done() -> None:
            for url in rest:
                async with session.get(url) as response:
                    await response.read()

        await asyncio.gather(*(download_next_until_done() for _ in range(_CONNECTIONS)))


@contextmanager
def start_server(side: int) -> Iterator[tuple[str, psutil.Process]]:
    """Start the server; yields its address and its process."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(side, sender))
    server.start()
    try:
        yield f"http://127.0.0.1:{receiver.recv()}", psutil.Process(server.pid)
    finally:
        server.terminate()
        server.join()


def clock(run: Callable[[], object], server: psutil.Process) -> tuple[float, float, float]:
    """Seconds that pass, and seconds of processor time of this process and of the server."""
    started, ours, theirs = time.perf_counter(), time.process_time(), server.cpu_times()
    run()
    passed, spent = time.perf_counter() - started, time.process_time() - ours
    return passed, spent, sum(server.cpu_times()[:2]) - sum(theirs[:2])  # user and system


def measure(side: int, images: int, repeats: int) -> None:
    """Print a line of the table for each contestant; they take turns."""
    kilobytes = sum(map(len, make_images(side))) / _DIFFERENT / 1e3
    runs: dict[str, list[tuple[float, float, float]]] = {"fetch": [], "downloads alone": []}
    with start_server(side) as (address, server):
        urls = [f"{address}/{number}" for number in range(images)]
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as folder:
                study, lake = prepare(Path(folder), urls)
                runs["fetch"].append(clock(partial(STAGES["fetch"].run, study, lake), server))
            runs["downloads alone"].append(clock(lambda: asyncio.run(download(urls)), server))
    for name, seconds in runs.items():
        passed, ours, theirs = zip(*seconds, strict=True)
        click.echo(
            f"{side:5} {kilobytes:8.0f} {name:16} "
            f"{images / min(passed):9,.0f} {images / max(passed):9,.0f} "
            f"{1e3 * min(ours) / images:9.2f} {1e3 * min(theirs) / images:9.2f}"
        )


@click.command()
@click.option("--images", default=3_000, show_default=True, help="How many images.")
@click.option(
    "--side",
    "sides",
    multiple=True,
    default=(256, 384, 512),
    show_default=True,
    help="Their width and height in pixels; may be repeated.",
)
@click.option("--repeats", default=3, show_default=True, help="Runs; each with a lake of its own.")
def main(images: int, sides: tuple[int, ...], repeats: int) -> None:
    """Time `fetch` and the bare downloads in turn."""
    click.echo(f"{images:,} JPEGs; images a second, best and worst of {repeats}; processor time of")
    click.echo("this process and of the server, ms an image")
    click.echo(
        f"{'side':>5} {'kB each':>8} {'':16} {'best':>9} {'worst':>9} {'ours':>9} {'server':>9}"
    )
    for side in sides:
        measure(side, images, repeats)


if __name__ == "__main__":
    main()
