"""The report's HTML: its template, filled with the page, the charts and the pictures."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING

from ..core.stamp import Stamp
from .answers import percent, shown
from .html import render_template
from .page import N_SIZES, Page
from .picture_files import Picture

if TYPE_CHECKING:
    from markupsafe import Markup

DOSE_TITLES = {
    "word_level": "All captions that say the words carry the image",
    "share": "Some of the captions that say the words carry the image",
}


def render(
    page: Page,
    charts: "Mapping[str, Markup]",
    pictures: Mapping[str, Picture],
    stamp: Stamp,
) -> str:
    """The page as one HTML document.

    Args:
        page: what to say.
        charts: SVG by name.
        pictures: by sample_id and image_id; what has none shows as an empty frame.
        stamp: goes into the head, where `report.recorded` finds it.

    """
    return render_template(
        "report.html.jinja",
        {"shown": shown, "percent": percent},
        page=page,
        charts=charts,
        pictures=pictures,
        stamp=stamp,
        dose_titles=DOSE_TITLES,
    )


def draw_charts(page: Page) -> "dict[str, Markup]":
    """Every chart of the page by its name, which ends with its place among those of its kind.

    Nothing is imported where nothing is drawn: the base install reports what has no images.
    """
    return dict(
        (*_size_charts(page), *_threshold_chart(page), *_asked_charts(page), *_dose_charts(page))
    )


def _size_charts(page: Page) -> "Iterator[tuple[str, Markup]]":
    for number, keyword_set in enumerate(page.clusters, 1):
        if rows := page.sizes.of("keyword_set", keyword_set):
            from .charts import size_chart

            yield (name := f"sizes-{number}"), size_chart(name, rows, N_SIZES)


def _threshold_chart(page: Page) -> "Iterator[tuple[str, Markup]]":
    if page.threshold_curve.rows:
        from .charts import threshold_chart

        yield "thresholds", threshold_chart("thresholds", page.threshold_curve.rows)


def _asked_charts(page: Page) -> "Iterator[tuple[str, Markup]]":
    """Of each generator: the families, and the trigger scores."""
    if not page.families.rows and not page.triggers.rows:
        return
    from .charts import family_chart, trigger_chart

    for kind, answer, draw in (
        ("families", page.families, family_chart),
        ("triggers", page.triggers, trigger_chart),
    ):
        of_generators = groupby(answer.rows, key=lambda row: row["generator_id"])
        for number, (_, rows) in enumerate(of_generators, 1):
            yield (name := f"{kind}-{number}"), draw(name, list(rows))


def _dose_charts(page: Page) -> "Iterator[tuple[str, Markup]]":
    kinds = dict.fromkeys(row["kind"] for row in page.dose_response.rows)
    for number, kind in enumerate(kinds, 1):
        from .charts import dose_chart

        title = DOSE_TITLES.get(kind, kind)
        axis = "share of the captions" if kind == "share" else "copies"
        rows = page.dose_response.of("kind", kind)
        yield (name := f"dose-{number}"), dose_chart(name, rows, title, axis)
