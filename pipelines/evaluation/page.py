"""The page of an evaluation: its figures and its curves."""

from markupsafe import Markup

from ..page.answers import percent, shown
from ..page.html import render_template
from .charts import Line, curve_chart
from .copies import KINDS
from .summary import Summary


def render(summary: Summary) -> str:
    """The page as one HTML document that needs nothing beside it."""
    kinds = list(dict.fromkeys(pairs for pairs, _ in summary.measured.curves))
    charts = {pairs: _charts(summary, pairs) for pairs in kinds}
    filters = {"shown": shown, "percent": percent}
    return render_template(
        "evaluation.html.jinja", filters, summary=summary, charts=charts, kinds=KINDS
    )


def _charts(summary: Summary, pairs: str) -> dict[str, Markup]:
    """By title: what every method comes to, and the model's own threshold."""
    steps = {
        method: curve.steps()
        for (of, method), curve in summary.measured.curves.items()
        if of == pairs
    }
    by_method = [
        Line(shown(method), found.recall, found.precision) for method, found in steps.items()
    ]
    own = steps[summary.clip_id]
    by_threshold = [
        Line("precision", own.threshold, own.precision),
        Line("recall", own.threshold, own.recall),
    ]
    found = summary.recommended[pairs]
    recommended = None if found is None else found.threshold
    of_methods = f"Precision and recall on {pairs}"
    of_threshold = f"{shown(summary.clip_id)} over the threshold on {pairs}"
    return {
        of_methods: curve_chart(
            f"methods-{pairs}", of_methods, by_method, "recall", up="precision"
        ),
        of_threshold: curve_chart(
            f"threshold-{pairs}",
            of_threshold,
            by_threshold,
            "cosine at least",
            recommended=recommended,
        ),
    }
