"""report: one self-contained HTML file made of the published tables and thumbnails."""

import html
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .clip.thresholds import resolve_thresholds
from .core.lake import Lake, write_text
from .core.runs import Counts
from .core.stamp import Stamp, parse_stamp
from .core.study import Study

if TYPE_CHECKING:
    from .images.thumbnails import Thumbnail

_STAMP = re.compile(r'<meta name="memtriggers-stamp" content="([^"]*)">')
_NOTE = re.compile(r"(<!-- the last refresh -->).*?(<!-- as far as here -->)", re.DOTALL)
_FAILED = (
    '<p class="warning" role="alert"><strong>The refresh of {:%Y-%m-%d %H:%M} UTC failed.</strong> '
    "What follows is what was published before it. <bdi>{}</bdi></p>"
)
_LARGEST_FILE = 25_000_000  # bytes that one still sends and opens as one file
_HEAD_BYTES = 16_384  # the stamp stands in the first lines, before the style


def run(study: Study, lake: Lake, stamp: Stamp) -> Counts:
    """Write the report; its figures come from the published database alone.

    Pictures stand inside the file; when it would be larger than 25 MB, they lie beside it.

    Returns:
        Images that the report asks for, and those that it shows.

    Raises:
        LakeError: nothing is published yet.

    """
    from .core.database import connect_published
    from .page.page import read_page
    from .page.picture_files import beside, inside, remove_beside
    from .page.render import draw_charts, render

    with connect_published(lake) as connection:
        page = read_page(connection, study, resolve_thresholds(study, lake).report)
    thumbnails = _read_thumbnails(lake, page.sample_ids, page.image_ids)
    charts = draw_charts(page)
    text = render(page, charts, inside(thumbnails), stamp)
    if is_large := len(text.encode()) > _LARGEST_FILE:
        text = render(page, charts, beside(lake.report, thumbnails), stamp)
    write_text(lake.report, text)
    remove_beside(lake.report, thumbnails if is_large else {})
    n_asked = len(page.sample_ids) + len(page.image_ids)
    lost = {"no_image": n} if (n := n_asked - len(thumbnails)) else {}
    return Counts(n_asked, len(thumbnails), lost)


def note_failure(lake: Lake, error: str | None) -> None:
    """Say at the head of a report that a refresh has failed since; with None, unsay it."""
    if not lake.report.exists():
        return
    text = lake.report.read_text("utf-8")
    now = "" if error is None else _FAILED.format(datetime.now(UTC), html.escape(error))
    noted = _NOTE.sub(lambda found: found[1] + now + found[2], text, count=1)
    if noted != text:
        write_text(lake.report, noted)


def _read_thumbnails(
    lake: Lake, sample_ids: list[str], image_ids: list[str]
) -> "dict[str, Thumbnail]":
    if not sample_ids:  # the base install, which has no Pillow, can report what has no images
        return {}
    from ..lance.tables import GENERATED_IMAGES, IMAGES
    from .images.thumbnails import read_thumbnails

    fetched = read_thumbnails(lake, IMAGES.name, "sample_id", sample_ids)
    return fetched | read_thumbnails(lake, GENERATED_IMAGES.name, "image_id", image_ids)


def recorded(lake: Lake) -> tuple[Stamp, str] | None:
    """The stamp in the head of the report, and its digest; None when there is no report."""
    if not lake.report.exists():
        return None
    with lake.report.open("rb") as file:
        head = file.read(_HEAD_BYTES).decode("utf-8", errors="replace")
    found = _STAMP.search(head)
    stamp = parse_stamp(html.unescape(found[1])) if found else None
    return None if stamp is None else (stamp, stamp.digest)
