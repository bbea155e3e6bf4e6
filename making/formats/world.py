"""The twelve pictures and captions of every fixture, and a server that answers with the pictures.

Four groups of three nearly identical pictures: the same blocks of colour, a little lighter or
darker, encoded at another quality. Group g is the ids 3g, 3g + 1 and 3g + 2.
"""

import contextlib
import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

SIDE = 96  # pixels
PORT = 8123  # stands in the addresses of the fixtures
_BLOCKS = (2, 3, 4, 6)  # a side, of each group: the pictures of two groups are far apart
_COLOURS = ((30, 60, 200), (220, 40, 30), (60, 170, 60), (230, 200, 40))  # RGB, of each group
_BRIGHTNESS_QUALITY = ((1.0, 90), (0.97, 80), (1.02, 70))  # of each picture in a group
_CAPTIONS = (
    "the starry night by van gogh",
    "van gogh, the starry night, oil on canvas",
    'print of "the starry night", van gogh',
    "a red lighthouse above the sea",
    "lighthouse on the cliff, evening light",
    "red lighthouse, poster",
    "a café in the green garden",
    "garden with tables; morning",
    "green garden in spring",
    "yellow field of wheat",
    "wheat field under a summer sky",
    "field of wheat, harvest time",
)


class Sample(NamedTuple):
    """A picture with its caption."""

    id: int
    caption: str
    jpeg: bytes

    @property
    def group(self) -> int:
        """0 to 3: pictures of one group are nearly identical."""
        return self.id // 3

    @property
    def url(self) -> str:
        """Where the server below has the picture."""
        return f"http://127.0.0.1:{PORT}/{self.id}.jpg"


def draw(number: int) -> Image.Image:
    """The picture of an id, RGB, 96 x 96, before it is encoded."""
    group, version = divmod(number, 3)
    rng = np.random.default_rng(group)
    blocks = rng.uniform(0, 1, (_BLOCKS[group], _BLOCKS[group], 1))  # 0 dark, 1 light
    noise = rng.uniform(-30, 30, (_BLOCKS[group], _BLOCKS[group], 3))
    pixels = (blocks * np.array(_COLOURS[group]) + noise) * _BRIGHTNESS_QUALITY[version][0]
    small = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return small.resize((SIDE, SIDE), Image.Resampling.NEAREST)


def encode(image: Image.Image, form: str, **how: int) -> bytes:
    """As JPEG or PNG."""
    buffer = io.BytesIO()
    image.save(buffer, form, **how)
    return buffer.getvalue()


def samples() -> list[Sample]:
    """All twelve, in the order of their ids."""
    qualities = [quality for _, quality in _BRIGHTNESS_QUALITY] * len(_BLOCKS)
    return [
        Sample(number, caption, encode(draw(number), "JPEG", quality=quality, optimize=True))
        for number, (caption, quality) in enumerate(zip(_CAPTIONS, qualities, strict=True))
    ]


def write_pictures(folder: Path, names: dict[str, Sample]) -> None:
    """Each picture under its name."""
    for name, sample in names.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sample.jpeg)


@contextlib.contextmanager
def serving(rows: list[Sample]) -> Iterator[None]:
    """Answer on the port with the pictures, and 404 to anything else."""
    pictures = {f"/{row.id}.jpg": row.jpeg for row in rows}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            jpeg = pictures.get(self.path)
            self.send_response(200 if jpeg else 404)
            self.send_header("Content-Type", "image/jpeg" if jpeg else "text/plain")
            self.end_headers()
            self.wfile.write(jpeg or b"no such picture")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
