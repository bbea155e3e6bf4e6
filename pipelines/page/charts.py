"""The geometry of the report's charts; the template draws it as SVG."""

from dataclasses import dataclass

WIDTH, HEIGHT = 480, 196
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 8, 28, 34  # room for the labels


@dataclass(frozen=True)
class Bar:
    """One bar, in units of the drawing."""

    rank: int
    value: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Tick:
    """A labelled position on an axis, in units of the drawing."""

    label: float
    at: float


@dataclass(frozen=True, kw_only=True)
class Axes:
    """A drawing of `WIDTH` × `HEIGHT` units with its axes at `left` and `base`."""

    y_ticks: list[Tick]
    x_ticks: list[Tick]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    base: int = HEIGHT - _BOTTOM


@dataclass(frozen=True, kw_only=True)
class BarChart(Axes):
    """Values by rank."""

    bars: list[Bar]


def bar_chart(values: list[int], n_places: int) -> BarChart:
    """A chart of values by rank, with room for `n_places` of them so that charts compare."""
    step = nice_step(max(values))
    top = -(-max(values) // step) * step
    per_unit = (HEIGHT - _TOP - _BOTTOM) / top
    place = (WIDTH - _LEFT - _RIGHT) / n_places
    base = HEIGHT - _BOTTOM

    def centre(rank: int) -> float:
        return _LEFT + (rank - 0.5) * place

    bars = [
        Bar(
            rank,
            value,
            round(centre(rank) - 0.36 * place, 2),
            round(base - value * per_unit, 2),
            round(0.72 * place, 2),
            round(value * per_unit, 2),
        )
        for rank, value in enumerate(values, 1)
    ]
    y_ticks = [Tick(v, round(base - v * per_unit, 2)) for v in range(0, top + 1, step)]
    x_labels = [1, *range(5, n_places + 1, 5)]
    x_ticks = [Tick(rank, round(centre(rank), 2)) for rank in x_labels]
    return BarChart(y_ticks=y_ticks, x_ticks=x_ticks, bars=bars)


@dataclass(frozen=True, kw_only=True)
class LineChart(Axes):
    """Shares along a range of values; a line is SVG points."""

    lines: list[str]


def line_chart(values: list[float], *shares: list[float], marked: list[float]) -> LineChart:
    """A line for each list of shares of 1 along ascending values, of which some are labelled."""
    low, span = values[0], (values[-1] - values[0]) or 1.0

    def across(value: float) -> float:
        return round(_LEFT + (value - low) / span * (WIDTH - _LEFT - _RIGHT), 2)

    def up(share: float) -> float:
        return round(HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM), 2)

    lines = [
        " ".join(f"{across(x)},{up(y)}" for x, y in zip(values, each, strict=True))
        for each in shares
    ]
    y_ticks = [Tick(share, up(share)) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    x_ticks = [Tick(value, across(value)) for value in marked]
    return LineChart(y_ticks=y_ticks, x_ticks=x_ticks, lines=lines)


def nice_step(largest: int, n_steps: int = 4) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50, … of which `n_steps` reach `largest`."""
    power = 1
    while True:
        for step in (power, 2 * power, 5 * power):
            if step * n_steps >= largest:
                return step
        power *= 10
