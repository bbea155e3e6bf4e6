"""Pictures of what a lake shows, for the README: python docs/screenshots.py memtriggers-demo."""

import io
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from PIL import Image

from memtriggers.pipelines.core.lake import Lake

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FOLDER = Path(__file__).resolve().parent
WIDTH, HEIGHT = 1_000, 1_080  # pixels of one view
_GAP = 24
_QUALITY = 70
_SETTLED = 1_000  # milliseconds: what comes into sight is laid out then
# What each picture shows, from left to right: where it begins, and in which colours.
REPORT: tuple[tuple[str, Literal["light", "dark"]], ...] = (
    ("#findings", "light"),
    ("#beside", "dark"),
)


@contextmanager
def browser() -> Iterator["Browser"]:
    """The chromium of this machine; raises UsageError when there is none."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise click.UsageError("no chromium on the path; install: apt-get install chromium")
    with sync_playwright() as started:
        yield started.chromium.launch(executable_path=path, args=["--no-sandbox"])


def view(opened: "Browser", url: str, scheme: Literal["light", "dark"]) -> Image.Image:
    """One window of a page, from the element that the url names."""
    page = opened.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme)
    page.goto(url)
    page.wait_for_timeout(_SETTLED)
    shot = page.screenshot()
    page.close()
    return Image.open(io.BytesIO(shot)).convert("RGB")


def side_by_side(views: list[Image.Image]) -> Image.Image:
    """The views in a row."""
    width = len(views) * (WIDTH + _GAP) - _GAP
    picture = Image.new("RGB", (width, HEIGHT), "white")
    for place, one in enumerate(views):
        picture.paste(one, (place * (WIDTH + _GAP), 0))
    return picture


@contextmanager
def explorer(lake: Path) -> Iterator[str]:
    """The address of an explorer of the lake, while it runs."""
    command = [sys.executable, "-m", "memtriggers", "explore", "--lake", str(lake), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGINT)


def find_asked(opened: "Browser", url: str) -> str:
    """The address of the largest cluster that a model was asked for, at its generations."""
    page = opened.new_page()
    page.goto(url)
    path = page.locator("a", has_text="copies").first.get_attribute("href")
    page.close()
    return url.rstrip("/") + str(path)


@click.command(help=__doc__)
@click.argument("lake", type=click.Path(exists=True, path_type=Path))
def main(lake: Path) -> None:
    """Take every picture of a lake that is up to date."""
    page = Lake(lake.resolve()).report.as_uri()
    with browser() as opened, explorer(lake) as url:
        save("report", [view(opened, page + place, scheme) for place, scheme in REPORT])
        asked = find_asked(opened, url)
        save("explorer", [view(opened, url, "light"), view(opened, asked, "dark")])


def save(name: str, views: list[Image.Image]) -> None:
    """Write the views side by side, as one picture."""
    path = FOLDER / f"{name}.webp"
    side_by_side(views).save(path, quality=_QUALITY, method=6)
    click.echo(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
