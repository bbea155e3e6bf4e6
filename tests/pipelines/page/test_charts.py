"""The charts of the report: where their bars, lines and ticks lie."""

import pytest

from memtriggers.pipelines.page.charts import bar_chart, line_chart, nice_step


@pytest.mark.parametrize(
    ("largest", "step"), [(1, 1), (4, 1), (5, 2), (17, 5), (41, 20), (3_061, 1_000)]
)
def test_axis_steps_are_round(largest: int, step: int) -> None:
    assert nice_step(largest) == step


def test_bars_are_as_high_as_their_values() -> None:
    chart = bar_chart([30, 10, 5], 30)
    heights = [bar.height for bar in chart.bars]
    assert heights[0] == pytest.approx(3 * heights[1], rel=0.01)
    assert heights[1] == pytest.approx(2 * heights[2], rel=0.01)
    assert all(bar.y + bar.height == pytest.approx(chart.base, abs=0.02) for bar in chart.bars)
    assert [tick.label for tick in chart.y_ticks] == [0, 10, 20, 30]


def test_lines_go_through_their_shares() -> None:
    chart = line_chart([0.8, 0.85, 1.0], [1.0, 0.5, 0.0], [0.25, 0.0, 0.0], marked=[0.85])
    upper, lower = ([tuple(map(float, p.split(","))) for p in line.split()] for line in chart.lines)
    top = chart.y_ticks[-1].at
    assert upper == [
        (chart.left, top),
        (
            pytest.approx(chart.left + (chart.right - chart.left) / 4, abs=0.02),
            (top + chart.base) / 2,
        ),
        (chart.right, chart.base),
    ]
    assert lower[0][1] == chart.y_ticks[1].at
    assert [(tick.label, tick.at) for tick in chart.x_ticks] == [(0.85, upper[1][0])]


def test_one_threshold_alone_is_drawn_at_the_left() -> None:
    assert line_chart([0.9], [0.5], marked=[0.9]).x_ticks[0].at == 44
