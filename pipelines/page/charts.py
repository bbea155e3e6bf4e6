"""The charts of the report, in Vega-Lite; what each shows is a table of the page, too."""

from collections.abc import Callable
from typing import Any

import altair as alt
from markupsafe import Markup

from .answers import percent, shown
from .drawing import draw

Row = dict[str, Any]

_N_SETS = 30  # keyword sets in the chart of families, those first of which most comes back
_WIDTH, _HEIGHT = 340, 150  # pixels that the axes enclose: on a phone, as large as they are
_INK, _ACCENT = "var(--ink)", "var(--accent)"  # the page says which colours they are
COLOURS = [_ACCENT, _INK, "var(--warm)", "var(--soft)", _ACCENT]  # beside a shape
SHARES = alt.Scale(domain=[0, 1])
_PERCENT = alt.Axis(format=".0%", tickCount=5)
_LINE = alt.Legend(title=None, symbolType="stroke", symbolSize=400)


def size_chart(name: str, rows: list[Row], n_places: int) -> Markup:
    """Sizes of a keyword set's clusters by rank; `n_places` are drawn, so that sets compare."""
    ranks = alt.X(
        "cluster_rank:O",
        title="rank of the cluster",
        scale=alt.Scale(domain=list(range(1, n_places + 1))),
        axis=alt.Axis(values=[1, *range(5, n_places + 1, 5)], labelAngle=0),
    )
    sizes = alt.Y("n_samples:Q", title="samples", axis=alt.Axis(tickCount=4, tickMinStep=1))
    base = _chart(rows, _said_of_size).encode(ranks, sizes)
    largest = base.transform_filter("datum.cluster_rank == 1")
    number = largest.mark_text(dy=-8, color=_INK, fontSize=12, fontWeight="bold")
    return draw(
        base.mark_bar(color=_ACCENT).encode(description="said:N")
        + number.encode(text=alt.Text("n_samples:Q", format=",")),
        name,
        f"Sizes of the {len(rows)} largest clusters of {shown(rows[0]['keyword_set'])}",
        f"A bar for each cluster by rank. The largest has {shown(rows[0]['n_samples'])} samples, "
        f"the last one shown {shown(rows[-1]['n_samples'])}.",
    )


def threshold_chart(name: str, rows: list[Row]) -> Markup:
    """The shares of the samples in any cluster and in the largest, along all thresholds."""
    computed = [row["threshold"] for row in rows if row["is_computed"]]
    across = alt.X(
        "threshold:Q",
        title="cosine at least",
        scale=alt.Scale(domain=[rows[0]["threshold"], rows[-1]["threshold"]], nice=False),
        axis=alt.Axis(values=computed, format=".6~g"),
    )
    series = {"in any cluster": "share_clustered", "in the largest": "share_largest"}
    return draw(
        _lines(rows, "threshold", series).encode(across),
        name,
        "Shares of the samples in clusters along all thresholds",
        "; ".join(
            f"at {shown(row['threshold'])} the clusters hold {percent(row['share_clustered'])} of "
            f"the samples and the largest {percent(row['share_largest'])}"
            for row in (rows[0], rows[-1])
        ),
    )


def family_chart(name: str, rows: list[Row]) -> Markup:
    """The rate of each family of prompts with its interval, some lines for each keyword set."""
    sets = list(dict.fromkeys(row["keyword_set"] for row in rows))[:_N_SETS]
    drawn = [
        row | {"keyword_set": shown(row["keyword_set"])}
        for row in rows
        if row["keyword_set"] in sets
    ]
    families = list(dict.fromkeys(row["family"] for row in drawn))
    base = _chart(drawn, _said_of_family, alt.Step(11, **{"for": "offset"}), _WIDTH - 80).encode(
        alt.Y("keyword_set:N", sort=None, title=None, axis=alt.Axis(grid=True)),
        yOffset=alt.YOffset("family:N", sort=families),
    )
    rates = alt.X("replication_rate:Q", title="share of copies", axis=_PERCENT, scale=SHARES)
    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        rates,
        shape=alt.Shape("family:N", title=None, scale=alt.Scale(domain=families)),
        color=alt.Color("family:N", title=None, scale=alt.Scale(domain=families, range=COLOURS)),
        description="said:N",
    )
    interval = base.mark_rule(color="var(--soft)").encode(alt.X("ci_low:Q"), alt.X2("ci_high:Q"))
    return draw(
        interval + points,
        name,
        "The share of copies by family of prompts and keyword set",
        f"Highest: {_said_of_family(drawn[0])}. The table has every number.",
    )


def trigger_chart(name: str, rows: list[Row]) -> Markup:
    """What the data alone says of each cluster, and how much of it came back."""
    points = _chart(rows, _said_of_trigger).encode(
        alt.X("trigger_score:Q", title="trigger score", axis=alt.Axis(tickCount=6)),
        alt.Y("replication_rate:Q", title="share of copies", axis=_PERCENT, scale=SHARES),
        description="said:N",
    )
    return draw(
        points.mark_point(filled=True, size=80, opacity=0.75, color=_ACCENT),
        name,
        "Trigger score against replication",
        f"A point for each of {len(rows)} clusters. The rank correlation is "
        f"{shown(rows[0]['correlation'])}.",
    )


def dose_chart(name: str, rows: list[Row], title: str, axis: str) -> Markup:
    """What came back of each dose, and the risk: along the share where it differs."""
    is_share = len({row["share"] for row in rows}) > 1
    dose = "share_of_captions" if is_share else "n_copies"
    named = [row | {"share_of_captions": row["share"]} for row in rows]
    across = alt.X(
        f"{dose}:Q",
        title=axis,
        scale=alt.Scale(nice=False) if is_share else alt.Scale(type="log", base=2, nice=False),
        axis=alt.Axis(values=[row[dose] for row in named], format=".2~g"),
    )
    series = {"rate of copies": "replication_rate", "risk": "replication_risk"}
    return draw(
        _lines(named, dose, series).encode(across),
        name,
        f"{title}: what came back, and the risk",
        "; ".join(
            f"of {shown(row['n_copies'])} copies {percent(row['replication_rate'])} of the images "
            f"were copies, and the risk says {percent(row['replication_risk'])}"
            for row in (rows[0], rows[-1])
        ),
    )


def _said_of_size(row: Row) -> str:
    return f"Cluster {row['cluster_rank']}: {shown(row['n_samples'])} samples"


def _said_of_family(row: Row) -> str:
    copies = f"{percent(row['replication_rate'])} of the images are copies"
    return f"{shown(row['keyword_set'])}, {row['family']}: {copies}"


def _said_of_trigger(row: Row) -> str:
    copies = f"{percent(row['replication_rate'])} of the images are copies"
    return f"{shown(row['words'])}: trigger score {shown(row['trigger_score'])}, {copies}"


def _said_of_point(row: Row) -> str:
    return f"{row['of']}: {percent(row['share'])}"


def _chart(
    rows: list[Row],
    said: Callable[[Row], str],
    height: int | alt.Step = _HEIGHT,
    width: int = _WIDTH,
) -> alt.Chart:
    """A chart of rows, each with the text that its mark is titled with."""
    values = [row | {"said": said(row)} for row in rows]
    return alt.Chart(alt.InlineData(values=values), width=width, height=height)


def _lines(rows: list[Row], along: str, series: dict[str, str]) -> alt.Chart:
    """A line for each series of shares, the second dashed: grey tells them, too."""
    points = [
        {along: row[along], "share": row[column], "of": of}
        for of, column in series.items()
        for row in rows
    ]
    colours = alt.Scale(domain=list(series), range=[_ACCENT, _INK])
    dashes = alt.Scale(domain=list(series), range=[[1, 0], [5, 4]])
    chart: alt.Chart = _chart(points, _said_of_point).mark_line(
        strokeWidth=2.2, point=alt.OverlayMarkDef(size=30, opacity=0)
    )
    return chart.encode(
        y=alt.Y("share:Q", title=None, axis=_PERCENT, scale=SHARES),
        color=alt.Color("of:N", legend=_LINE, scale=colours),
        strokeDash=alt.StrokeDash("of:N", legend=_LINE, scale=dashes),
        description="said:N",
    )
