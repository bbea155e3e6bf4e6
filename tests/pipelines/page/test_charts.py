"""The charts of the report: what is drawn is what the rows say, and hostile text stays text."""

import re
from xml.etree import ElementTree

import pytest

from memtriggers.pipelines.page.charts import (
    dose_chart,
    family_chart,
    size_chart,
    threshold_chart,
    trigger_chart,
)

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '<script>alert(1)</script> & "night" \u202e\u0645\u0631 \x00\x1b \ufffe 👩‍👧'


def drawn(svg: str) -> list[tuple[str, ElementTree.Element]]:
    """What each mark is titled with, and the mark."""
    found = [e for e in ElementTree.fromstring(svg).iter() if e.get("class") == "datum"]
    return [(e[0].text or "", e) for e in found]


def height(bar: ElementTree.Element) -> float:
    """Of a path such as M1,2h3v4h-3Z."""
    found = re.search(r"v(-?[\d.]+)", bar.get("d") or "")
    assert found is not None
    return abs(float(found[1]))


def sizes(*numbers: int) -> list[dict[str, object]]:
    return [
        {"keyword_set": HOSTILE, "cluster_rank": rank, "n_samples": n}
        for rank, n in enumerate(numbers, 1)
    ]


def test_bars_are_as_high_as_their_values() -> None:
    bars = drawn(size_chart("sizes-1", sizes(30, 10, 5), 30))
    assert [said for said, _ in bars] == [
        "Cluster 1: 30 samples",
        "Cluster 2: 10 samples",
        "Cluster 3: 5 samples",
    ]
    heights = [height(bar) for _, bar in bars]
    assert heights[0] == pytest.approx(3 * heights[1], rel=0.01)
    assert heights[1] == pytest.approx(2 * heights[2], rel=0.01)


def test_charts_of_few_and_of_many_clusters_have_the_same_axis() -> None:
    few, many = (drawn(size_chart("a", sizes(*[9] * n), 30))[0][1].get("d") for n in (1, 30))
    assert few == many


def test_a_chart_is_an_image_with_a_name_whose_ids_are_its_own() -> None:
    root = ElementTree.fromstring(size_chart("sizes-7", sizes(3), 30))
    assert root.get("role") == "img" and root.get("aria-labelledby") == "chart-sizes-7"
    assert root[0].tag == SVG + "title" and root[0].get("id") == "chart-sizes-7"
    assert "<script>alert(1)</script>" in (root[0].text or "")
    assert root[1].tag == SVG + "desc" and "3 samples" in (root[1].text or "")
    assert not [e for e in root.iter() if e.tag == SVG + "script"]


def test_colours_are_those_of_the_page() -> None:
    svg = size_chart("sizes-1", sizes(3, 2), 30)
    painted = set(re.findall(r'(?:fill|stroke)="([^"]+)"', svg))
    assert painted <= {"none", "var(--ink)", "var(--accent)", "var(--soft)", "var(--rule)"} | {
        "transparent"
    }


def test_every_threshold_is_a_point_of_both_lines() -> None:
    rows = [
        {"threshold": t, "is_computed": t == 0.85, "share_clustered": s, "share_largest": s / 2}
        for t, s in ((0.8, 1.0), (0.85, 0.5), (1.0, 0.0))
    ]
    svg = threshold_chart("thresholds", rows)
    said = [text for text, _ in drawn(svg)]
    assert sum(text.startswith("in any cluster") for text in said) == 1 + 3
    assert "in the largest: 25.0\N{NO-BREAK SPACE}%" in said
    assert ">0.85</text>" in svg and ">0.8</text>" not in svg


def test_one_threshold_alone_is_drawn() -> None:
    row = {"threshold": 0.9, "is_computed": True, "share_clustered": 0.5, "share_largest": 0.1}
    assert drawn(threshold_chart("thresholds", [row]))


def test_families_have_points_and_intervals() -> None:
    rows = [
        {
            **{"keyword_set": f"{HOSTILE} {number}", "family": family, "replication_rate": 0.5},
            **{"ci_low": 0.4, "ci_high": 0.6},
        }
        for number in range(40)
        for family in ("keywords", "short")
    ]
    points = [text for text, _ in drawn(family_chart("families-1", rows)) if "50.0" in text]
    assert len(points) == 30 * 2, "the sets of which most comes back"


def test_a_cluster_is_a_point_of_trigger_score_and_rate() -> None:
    row = {"words": HOSTILE, "trigger_score": 1.5, "replication_rate": 0.25, "correlation": None}
    ((said, _),) = drawn(trigger_chart("triggers-1", [row]))
    assert said.endswith("trigger score 1.500, 25.0\N{NO-BREAK SPACE}% of the images are copies")


@pytest.mark.parametrize("shares", [(1.0, 1.0), (0.25, 1.0)])
def test_doses_are_drawn_along_copies_or_shares(shares: tuple[float, float]) -> None:
    rows = [
        {"n_copies": n, "share": share, "replication_rate": 0.1, "replication_risk": 0.2}
        for n, share in zip((4, 16), shares, strict=True)
    ]
    svg = dose_chart("dose-1", rows, "All", "copies")
    assert (">16</text>" in svg) == (shares[0] == shares[1])
