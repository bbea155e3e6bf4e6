"""How many images a second `fetch` brings in from a server on this machine, in another process.

    python benchmarks/fetch.py --images 5000 --side 256

The whole stage is timed: download, hash, decode, resize, encode and commit. Beside it, the same
downloads alone, with nothing done to what comes. The images are JPEGs of smooth random colours.
"""

import asyncio
import io
import multiprocessing
import tempfile
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp
import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from memtriggers.pipelines.lake import Lake
from memtriggers.pipelines.stages import STAGES
from memtriggers.pipelines.study import Study, load_study

_DIFFERENT = 64  # images; the same come again and again
_CONNECTIONS = 64
_STUDY = """
[data]
parquet = "*.parquet"
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


def time_stage(study: Study, lake: Lake) -> float:
    started = time.perf_counter()
    click.echo(STAGES["fetch"].run(study, lake).summary)
    return time.perf_counter() - started


def time_downloads(urls: list[str]) -> float:
    async def run() -> None:
        rest = iter(urls)
        async with aiohttp.ClientSession() as session:

            async def download() -> None:
                for url in rest:
                    async with session.get(url) as response:
                        await response.read()

            await asyncio.gather(*(download() for _ in range(_CONNECTIONS)))

    started = time.perf_counter()
    asyncio.run(run())
    return time.perf_counter() - started


@click.command()
@click.option("--images", default=5_000, show_default=True, help="How many images.")
@click.option("--side", default=256, show_default=True, help="Their width and height in pixels.")
@click.option("--repeats", default=3, show_default=True, help="Runs; each with a lake of its own.")
def main(images: int, side: int, repeats: int) -> None:
    """Time `fetch` and the bare downloads in turn."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(side, sender))
    server.daemon = True
    server.start()
    address = f"http://127.0.0.1:{receiver.recv()}"
    urls = [f"{address}/{number}" for number in range(images)]
    seconds: dict[str, list[float]] = {"fetch": [], "downloads alone": []}
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            seconds["fetch"].append(time_stage(*prepare(Path(folder), urls)))
        seconds["downloads alone"].append(time_downloads(urls))
    click.echo(f"{images:,} JPEGs of {side} × {side}; images a second, best and worst of {repeats}")
    for name, times in seconds.items():
        click.echo(f"{name:16} {images / min(times):8,.0f} {images / max(times):8,.0f}")
    server.terminate()


if __name__ == "__main__":
    main()
