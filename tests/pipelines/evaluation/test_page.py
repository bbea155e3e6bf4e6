"""The page of an evaluation: its curves are named images, whatever the methods are called."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from memtriggers.pipelines.clusters.edges import Vectors, renormalised
from memtriggers.pipelines.evaluation.charts import Line, curve_chart
from memtriggers.pipelines.evaluation.figures import measure_labelled
from memtriggers.pipelines.evaluation.page import render
from memtriggers.pipelines.evaluation.rules import label_rule
from memtriggers.pipelines.evaluation.summary import Summary

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '<script>alert(1)</script> & "night" \u202e\u0645\u0631 \x1b'


def drawn(svg: str) -> dict[str, ElementTree.Element]:
    """Each line by what it is titled with."""
    marks = [e for e in ElementTree.fromstring(svg).iter() if e.get("class") == "datum"]
    return {mark[0].text or "": mark for mark in marks}


def points(line: ElementTree.Element) -> list[tuple[float, float]]:
    """Of a path such as M0,0L3,4L…"""
    found = re.findall(r"[ML](-?[\d.]+),(-?[\d.]+)", line.get("d") or "")
    return [(float(x), float(y)) for x, y in found]


def vectors(spread: float) -> Vectors:
    """60 vectors, two of each of 30 directions."""
    random = np.random.default_rng(0)
    directions = np.repeat(random.standard_normal((30, 8)), 2, axis=0)
    return renormalised(directions + spread * random.standard_normal(directions.shape))


@pytest.fixture(scope="module")
def page() -> str:
    rule = label_rule([str(row // 2) for row in range(60)])
    found = measure_labelled({"tiny": vectors(0.1), HOSTILE: vectors(0.6)}, rule, "work")
    summary = Summary("tiny", "labelled", "images", 60, HOSTILE, 1, 0, [], found, [], 0.1, 10.0, [])
    return render(summary)


def test_each_chart_is_an_image_with_a_name_and_a_description(page: str) -> None:
    charts = re.findall(r'<svg[^>]*class="chart".*?</svg>', page, re.DOTALL)
    titles = ["Precision and recall on labelled", "tiny over the threshold on labelled"]
    for svg, title in zip(charts, titles, strict=True):
        root = ElementTree.fromstring(svg)
        assert root.get("role") == "img" and root[0].text == title
        assert root.get("aria-labelledby") == root[0].get("id")
        assert f"<figcaption>{title}</figcaption>" in page
    by_method, by_threshold = map(drawn, charts)
    assert [name.split()[0] for name in by_method] == ["tiny", "<script>alert(1)</script>"]
    assert list(by_threshold) == ["recommended", "precision", "recall"]
    assert "<script" not in page and "\x1b" not in "".join(charts)


def test_a_line_goes_where_its_numbers_say() -> None:
    threshold = np.array([-0.4, 0.0, 0.5, 1.0])
    curve = Line("recall", threshold, np.array([1, 1.0, 0.5, 0.25]))
    lines = drawn(curve_chart("a", "A curve", [curve], "cosine", recommended=0.5))
    (left, top), middle, (right, low) = points(lines["recall"])
    assert middle[0] == pytest.approx((left + right) / 2)
    assert middle[1] - top == pytest.approx(2 * (low - middle[1]))
    assert "recommended" in lines
    assert "recommended" not in drawn(curve_chart("a", "A curve", [curve], "cosine"))


def test_points_nearer_than_a_pixel_are_left_out() -> None:
    across = np.linspace(0, 1, 100_000)
    assert 100 < len(Line("long", across, across**2).points()) < 1000


def test_a_curve_that_turns_back_is_drawn_in_its_order() -> None:
    across = np.array([1.0, 0.5, 0.5, 0.0])
    line = drawn(curve_chart("a", "A", [Line("m", across, np.array([0, 0.2, 0.9, 1]))], "recall"))
    xs = [x for x, _ in points(line["m"])]
    assert xs == sorted(xs, reverse=True) and len(xs) == 4
