"""The page of an evaluation: its figures, and its curves drawn as SVG."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..page.answers import percent, shown
from ..page.html import render_template
from .copies import KINDS
from .summary import Summary

Floats = NDArray[np.float64]
WIDTH, HEIGHT = 480, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 8, 16, 36  # room for the labels
_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Line:
    """One curve: its name, its number among the lines, and its points in units of the drawing."""

    name: str
    number: int
    points: str


@dataclass(frozen=True)
class LineChart:
    """Curves in the unit square, drawn in `WIDTH` × `HEIGHT` units."""

    title: str
    x_label: str
    y_label: str
    lines: list[Line]
    x_ticks: list[tuple[float, float]]
    """A label and where it stands."""
    y_ticks: list[tuple[float, float]]
    mark: float | None = None
    """Where the recommended threshold stands, in units of the drawing."""
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    base: int = HEIGHT - _BOTTOM


def render(summary: Summary) -> str:
    """The page as one HTML document that needs nothing beside it."""
    kinds = list(dict.fromkeys(pairs for pairs, _ in summary.measured.curves))
    charts = {pairs: _charts(summary, pairs) for pairs in kinds}
    filters = {"shown": shown, "percent": percent}
    return render_template(
        "evaluation.html.jinja", filters, summary=summary, charts=charts, kinds=KINDS
    )


def _charts(summary: Summary, pairs: str) -> list[LineChart]:
    steps = {
        method: curve.steps()
        for (of, method), curve in summary.measured.curves.items()
        if of == pairs
    }
    by_method = [
        _line(method, number, found.recall, found.precision)
        for number, (method, found) in enumerate(steps.items())
    ]
    own = steps[summary.clip_id]
    by_threshold = [
        _line("precision", 0, own.threshold, own.precision),
        _line("recall", 1, own.threshold, own.recall),
    ]
    recommended = summary.recommended[pairs]
    mark = None if recommended is None else round(_x(recommended.threshold), 1)
    name = summary.clip_id
    return [
        _chart(f"Precision and recall on {pairs}", "recall", "precision", by_method),
        _chart(f"{name} over the threshold on {pairs}", "cosine at least", "", by_threshold, mark),
    ]


def _chart(
    title: str, x_label: str, y_label: str, lines: list[Line], mark: float | None = None
) -> LineChart:
    x_ticks = [(tick, round(_x(tick), 1)) for tick in _TICKS]
    y_ticks = [(tick, round(_y(tick), 1)) for tick in _TICKS]
    return LineChart(title, x_label, y_label, lines, x_ticks, y_ticks, mark)


def _line(name: str, number: int, across: Floats, up: Floats) -> Line:
    """A curve with a point for each unit that it moves; what lies left of 0 is not drawn."""
    points: list[tuple[float, float]] = []
    for x, y in zip(across[across >= 0], up[across >= 0], strict=True):
        at = (_x(x), _y(y))
        if not points or max(abs(at[0] - points[-1][0]), abs(at[1] - points[-1][1])) >= 1:
            points.append(at)
    return Line(name, number, " ".join(f"{x:.1f},{y:.1f}" for x, y in points))


def _x(value: float) -> float:
    return _LEFT + value * (WIDTH - _LEFT - _RIGHT)


def _y(value: float) -> float:
    return HEIGHT - _BOTTOM - value * (HEIGHT - _TOP - _BOTTOM)
