"""Pictures of what a lake shows, for the README: python docs/screenshots.py memtriggers-demo."""

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from PIL import Image

from memtriggers.pipelines.lake import Lake

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


@click.command(help=__doc__)
@click.argument("lake", type=click.Path(exists=True, path_type=Path))
def main(lake: Path) -> None:
    """Take every picture of a lake that is up to date."""
    page = Lake(lake.resolve()).report.as_uri()
    with browser() as opened:
        views = [view(opened, page + place, scheme) for place, scheme in REPORT]
    path = FOLDER / "report.webp"
    side_by_side(views).save(path, quality=_QUALITY, method=6)
    click.echo(f"{path}: {path.stat().st_size / 1e3:.0f} kB")
    # The explorer's picture is taken here, of the pages that `memtriggers explore` serves.


if __name__ == "__main__":
    main()
