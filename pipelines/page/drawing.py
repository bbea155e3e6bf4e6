"""A Vega-Lite chart as static SVG that stands in the page: named, light, its marks titled."""

import re
from typing import Any
from xml.etree import ElementTree

import altair as alt
import vl_convert
from markupsafe import Markup

_SVG = "http://www.w3.org/2000/svg"
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_IDS = re.compile(r"(url\(#|^)((?:clip|gradient)\w*)")
_NO_DATA = ("axis", "legend", "text mark")
_CONFIG: dict[str, Any] = {
    "background": "transparent",  # colours are the page's, which change with the scheme
    "font": "sans-serif",
    "view": {"stroke": "transparent"},
    "axis": {
        **{"labelColor": "var(--soft)", "titleColor": "var(--soft)", "gridColor": "var(--rule)"},
        **{"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"},
        **{"domain": False, "ticks": False, "labelPadding": 6, "labelLimit": 120},
    },
    "axisX": {"grid": False, "titleAnchor": "end"},
    "axisY": {  # upright, above the axis: it needs no turned head and no room at the side
        **{"titleAngle": 0, "titleAlign": "left", "titleBaseline": "bottom"},
        **{"titleX": 0, "titleY": -20},
    },
    "legend": {
        **{"orient": "top", "direction": "horizontal", "columns": 3, "columnPadding": 18},
        **{"title": None, "labelFontSize": 12, "labelColor": "var(--soft)", "offset": 12},
        **{"symbolStrokeWidth": 2, "symbolSize": 90},
    },
}


def draw(chart: alt.TopLevelMixin, name: str, title: str, description: str) -> Markup:
    """The chart as SVG with a title and a description; `name` is unique in the page.

    A mark's own description becomes a title, which a browser shows when it is pointed at.
    """
    spec = chart.to_dict() | {"config": _CONFIG}
    ElementTree.register_namespace("", _SVG)
    svg = ElementTree.fromstring(vl_convert.vegalite_to_svg(spec))
    _name(svg, name, title, description)
    for element in svg.iter():
        _lighten(element, name)
    return Markup(ElementTree.tostring(svg, encoding="unicode", short_empty_elements=True))


def _name(svg: ElementTree.Element, name: str, title: str, description: str) -> None:
    width, height = svg.attrib.pop("width"), svg.attrib.pop("height")
    svg.attrib |= {
        "class": "chart",
        "role": "img",
        "aria-labelledby": f"chart-{name}",
        "viewBox": f"0 0 {width} {height}",
        "style": f"max-width: {1.5 * float(width):.0f}px",
    }
    for text, tag in ((description, "desc"), (title, "title")):
        element = ElementTree.Element(f"{{{_SVG}}}{tag}")
        element.text = text
        svg.insert(0, element)
    svg[0].set("id", f"chart-{name}")


def _lighten(element: ElementTree.Element, name: str) -> None:
    """Two digits after the point, ids of this chart alone, titles for what Vega describes."""
    if element.get("class") == "chart":
        return
    given = element.attrib
    if given.get("role") == "graphics-symbol" and given["aria-roledescription"] not in _NO_DATA:
        ElementTree.SubElement(element, f"{{{_SVG}}}title").text = given.get("aria-label")
        given["class"] = "datum"
    for key in ("role", "aria-roledescription", "aria-label", "aria-hidden"):
        given.pop(key, None)  # the chart is one image with a name
    for key in given.keys() & {"d", "transform"}:
        given[key] = _NUMBER.sub(lambda found: f"{float(found[0]):.2f}", given[key])
    for key in given.keys() & {"id", "clip-path"}:
        given[key] = _IDS.sub(rf"\g<1>{name}-\g<2>", given[key])
