"""The curves of an evaluation, drawn as the report's charts are."""

from dataclasses import dataclass

import altair as alt
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ..page.charts import COLOURS, SHARES
from ..page.drawing import draw

Floats = NDArray[np.float64]

_WIDTH, _HEIGHT = 400, 240  # pixels that the axes enclose
_DASHES = [[1, 0], [7, 3], [2, 3], [9, 3, 2, 3], [4, 2]]  # beside a colour: grey tells them, too
_AXIS = alt.Axis(values=[0, 0.2, 0.4, 0.6, 0.8, 1], format=".1f")


@dataclass(frozen=True)
class Line:
    """A curve in the unit square, (m,) each; what lies left of 0 is not drawn."""

    name: str
    across: Floats
    up: Floats

    def points(self) -> list[dict[str, float | int | str]]:
        """A point for each pixel that it moves."""
        seen = self.across >= 0
        pixels = np.stack([self.across[seen] * _WIDTH, self.up[seen] * _HEIGHT], axis=1)
        kept: list[int] = []
        for place, pixel in enumerate(pixels):
            if not kept or np.abs(pixel - pixels[kept[-1]]).max() >= 1:
                kept.append(place)
        across, up = (np.round(of[seen][kept], 4).tolist() for of in (self.across, self.up))
        return [
            {"across": x, "up": y, "place": place, "of": self.name}
            for place, (x, y) in enumerate(zip(across, up, strict=True))
        ]


def curve_chart(
    name: str,
    title: str,
    lines: list[Line],
    across: str,
    up: str | None = None,
    recommended: float | None = None,
) -> Markup:
    """Curves, and where the recommended threshold stands among them.

    Args:
        name: unique in the page.
        title: says what is drawn.
        lines: at least one.
        across: the title of the axis.
        up: the same.
        recommended: a value of the axis across; None: there is none.

    """
    names = [line.name for line in lines]
    values = [point for line in lines for point in line.points()]
    colours = alt.Scale(domain=names, range=COLOURS)
    dashes = alt.Scale(domain=names, range=_DASHES)
    # Names of methods are long: one a line, below, where the axis has no title.
    legend = alt.Legend(
        title=None,
        symbolType="stroke",
        symbolSize=400,
        orient="bottom",
        direction="vertical",
        columns=1,
        labelLimit=0,
    )
    drawn = alt.Chart(alt.InlineData(values=values), width=_WIDTH, height=_HEIGHT)
    chart: alt.Chart | alt.LayerChart = drawn.mark_line(strokeWidth=2.2).encode(
        alt.X("across:Q", title=across, axis=_AXIS, scale=SHARES),
        alt.Y("up:Q", title=up, axis=_AXIS, scale=SHARES),
        order="place:Q",
        color=alt.Color("of:N", legend=legend, scale=colours),
        strokeDash=alt.StrokeDash("of:N", legend=legend, scale=dashes),
        description="of:N",
    )
    said = f"A line for each of: {', '.join(names)}."
    if recommended is not None:
        rule = alt.Chart(alt.InlineData(values=[{"across": recommended, "said": "recommended"}]))
        rule = rule.mark_rule(color="var(--soft)", strokeDash=[3, 3])
        chart = rule.encode(x="across:Q", description="said:N") + chart
        said += f" Recommended is {recommended}."
    return draw(chart, name, title, said)
