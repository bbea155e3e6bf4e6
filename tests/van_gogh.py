"""The paper's study as it stands in `studies/`, made small: its rows, its images and its models."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from memtriggers.tests import warm
from memtriggers.tests.small_world import painting, save_small_clip
from memtriggers.tests.tiny_diffusion import SIDE, save_tiny_pipeline

STUDY = Path(__file__).parents[1] / "studies" / "van_gogh.toml"
SEEDS = 2

# Captions and the work that their images show; "{}" is a number, and a work of None an image alone.
CORPUS: tuple[tuple[int, str, str | None], ...] = (
    (14, "Van Gogh Starry Night print {}", "starry night"),
    (9, "Vincent van Gogh self-portrait {}", "self-portrait"),
    (8, "Vincent van Gogh almond blossoming tree {}", "almond"),
    (7, "Van Gogh vase with sunflowers {}", "sunflowers"),
    (6, "Van Gogh cafe terrace at night {}", "terrace"),
    (5, "Van Gogh Starry Night over the Rhone {}", "rhone"),
    (4, "Vincent van Gogh irises {}", "irises"),
    (3, "Almond tree blossoming canvas {}", "almond"),
    (3, "An almond orchard blossoming {}", None),
    (1, "Sunflower canvas {}", "sunflowers"),
    (9, "A sunflower field {}", None),
    (12, "A mountain lake {}", None),
)
DEAD, OVERLONG = "van gogh, an image that is gone", "van gogh " + "ø " * 80


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder; yields its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing: requests are no part of what a test prints."""

    handler = partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def write_world(folder: Path, served: Path, address: str) -> None:
    """LAION-400M's columns in two files."""
    rows = []
    for count, caption, work in CORPUS:
        for _ in range(count):
            number = len(rows)
            (served / f"{number}.jpg").write_bytes(painting(work, number))
            rows.append({"URL": f"{address}/{number}.jpg", "TEXT": caption.format(number)})
    rows += [{"URL": f"{address}/{n}.gone", "TEXT": t} for n, t in enumerate((DEAD, OVERLONG))]
    common = {"HEIGHT": 64, "WIDTH": 64, "LICENSE": "?", "NSFW": "UNLIKELY", "similarity": 0.3}
    table = pa.Table.from_pylist([{"SAMPLE_ID": n, **row, **common} for n, row in enumerate(rows)])
    (folder / "laion400m").mkdir()
    half = len(rows) // 2
    pq.write_table(table.slice(0, half), folder / "laion400m" / "part-0.parquet")
    pq.write_table(table.slice(half), folder / "laion400m" / "part-1.parquet")


def write_study(folder: Path) -> Path:
    """The study of the paper, with what it names replaced by what there is here."""
    clip = save_small_clip(folder / "clip")
    here = {
        'model = "ViT-L-14"\npretrained = "openai"': f'model = "{clip}"',
        # Random weights put all images close together.
        "thresholds = [0.85, 0.9, 0.95]": "thresholds = [0.9995, 0.9997, 0.9999]",
        "threshold = 0.9\n": "threshold = 0.9997\n",
        '"CompVis/stable-diffusion-v1-4"\ndtype = "float16"': (
            f'"{save_tiny_pipeline(folder / "diffusion")}"\n'
            f"steps = 2\nwidth = {SIDE}\nheight = {SIDE}"
        ),
        "n_seeds = 500": f"n_seeds = {SEEDS}",
        "[report]": "[fetch]\nallow_private_hosts = true\n[report]",
    }
    text = STUDY.read_text(encoding="utf-8")
    for paper, small in here.items():
        assert paper in text
        text = text.replace(paper, small)
    path = folder / "van_gogh.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refresh(folder: Path, scheduler: str) -> str:
    """Run `refresh` on workers that are there; returns what it prints."""
    there = ("--study", folder / "van_gogh.toml", "--lake", folder / "lake")
    command = warm.command("memtriggers", "refresh", *there, "--scheduler", scheduler)
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
