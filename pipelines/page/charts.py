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

    label: int
    at: float


@dataclass(frozen=True)
class BarChart:
    """Values by rank, drawn in `WIDTH` × `HEIGHT` units with the axes at `left` and `base`."""

    bars: list[Bar]
    y_ticks: list[Tick]
    x_ticks: list[Tick]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    base: int = HEIGHT - _BOTTOM


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
    return BarChart(bars, y_ticks, [Tick(r, round(centre(r), 2)) for r in x_labels])


def nice_step(largest: int, n_steps: int = 4) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50, … of which `n_steps` reach `largest`."""
    power = 1
    while True:
        for step in (power, 2 * power, 5 * power):
            if step * n_steps >= largest:
                return step
        power *= 10
