"""The report in a real browser: nothing is asked of the network, all is drawn, all can be read."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.page.picture_files import folder_beside
from memtriggers.tests.hostile import Scanned, scan

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
if CHROMIUM is None:
    pytest.skip(f"none of {', '.join(NAMES)} is installed", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")

pytestmark = pytest.mark.slow
PATIENCE = 600_000  # milliseconds: the machine may be busy
WIDE, NARROW, PAPER = 1280, 390, 690  # pixels; A4 between its margins
# What is skipped while it is out of sight would have no size.
ALL_IN_SIGHT = "* { content-visibility: visible !important; }"
OVERFLOWING = """width => [...document.querySelectorAll("body *")].filter(element =>
    !element.closest(".scroll, pre, .unseen, .skip, svg, details:not([open]) > :not(summary)")
    && element.getBoundingClientRect().right > width + 1
).map(element => element.outerHTML.slice(0, 200))"""
CUT_OFF = """() => [...document.querySelectorAll(".scroll")].filter(box =>
    box.scrollWidth > box.clientWidth).map(box => box.ariaLabel + " " + box.scrollWidth)"""
EMPTY_CHARTS = """() => [...document.querySelectorAll("svg.chart")].filter(chart =>
    ![...chart.querySelectorAll(".datum")].some(mark => {
        const box = mark.getBoundingClientRect();
        return box.width > 0 && box.height > 0;
    })).map(chart => chart.querySelector("title").textContent)"""
DECODE = """() => Promise.allSettled([...document.images].map(image => {
    image.loading = "eager";
    return image.decode();
}))"""
IN_SIGHT = """selector => {
    const top = document.querySelector(selector).getBoundingClientRect().top;
    return 0 <= top && top < innerHeight;
}"""
MISSING_PICTURES = """() => [...document.images].filter(
    image => !image.complete || !image.naturalWidth).map(image => image.alt)"""


@pytest.fixture(scope="module")
def browser(report: Path) -> Iterator[Any]:
    """Opened when the lake is there: it keeps an event loop, beside which `fetch` has none."""
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def new_page(browser: Any, **options: Any) -> Any:
    page = browser.new_page(**options)
    page.set_default_timeout(PATIENCE)
    return page


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("demo", "hostile")
    ],
)
def report(request: pytest.FixtureRequest) -> Path:
    """The page of the demo, which has every chart, and that of hostile captions."""
    made = request.getfixturevalue(request.param)
    lake: Lake = made.lake if isinstance(made, Scanned) else Lake(made.lake)
    return lake.report


@pytest.fixture(
    params=[(WIDE, "light"), (WIDE, "dark"), (NARROW, "light"), (NARROW, "dark")],
    ids=lambda given: f"{given[0]}-{given[1]}",
)
def page(request: pytest.FixtureRequest, browser: Any, report: Path) -> Iterator[Any]:
    width, scheme = request.param
    page = new_page(browser, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.said = []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.asked = []
    page.on("request", lambda asked: page.asked.append(asked.url))
    page.goto(report.as_uri())
    page.add_style_tag(content=ALL_IN_SIGHT)
    yield page
    page.close()


def test_it_opens_without_an_error_or_a_request_and_shows_everything(
    page: Any, report: Path
) -> None:
    assert page.said == []
    assert [url for url in page.asked if not url.startswith("data:")] == [report.as_uri()]
    page.evaluate(DECODE)
    assert page.evaluate("document.images.length") > 0
    assert page.evaluate(MISSING_PICTURES) == []
    assert page.evaluate("document.querySelectorAll('svg.chart').length") > 1
    assert page.evaluate(EMPTY_CHARTS) == []


def test_nothing_is_wider_than_the_page(page: Any) -> None:
    width = page.viewport_size["width"]
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OVERFLOWING, width) == []


def test_axe_finds_nothing_serious(page: Any) -> None:
    found = axe.Axe().run(page, options={"resultTypes": ["violations"]})
    serious = [
        f"{each['id']}: {each['nodes'][0]['html'][:200]}"
        for each in found.response["violations"]
        if each["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_the_sql_opens_by_keyboard(browser: Any, report: Path) -> None:
    page = new_page(browser, viewport={"width": WIDE, "height": 900})
    page.goto(report.as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.locator("details.sql summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details.sql pre").first.is_visible()
    page.close()


def test_a_link_of_the_head_leads_to_its_section(browser: Any, report: Path) -> None:
    """Also past sections that were never laid out, whose height is a guess."""
    page = new_page(browser, viewport={"width": WIDE, "height": 900})
    page.goto(report.as_uri())
    page.get_by_role("link", name="Removal list").click()
    page.wait_for_function(IN_SIGHT, arg="#removal")
    page.close()


def test_on_paper_nothing_is_cut_off_and_what_is_closed_is_left_out(
    browser: Any, report: Path
) -> None:
    page = new_page(browser, viewport={"width": PAPER, "height": 900})
    page.goto(report.as_uri())
    page.emulate_media(media="print")
    assert page.evaluate(CUT_OFF) == []
    assert not page.locator("nav").first.is_visible()
    assert not page.locator("details.sql summary").first.is_visible()
    assert len(page.pdf(format="A4")) > 10_000
    page.close()


@pytest.mark.parametrize("report", ["hostile"], indirect=True)
def test_pictures_beside_the_page_load(
    browser: Any, hostile: Scanned, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as small:
        small.setattr("memtriggers.pipelines.report._LARGEST_FILE", 1_000)
        scan(hostile.study, hostile.lake, "report")
    page = new_page(browser)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(hostile.lake.report.as_uri())
    page.evaluate(DECODE)
    assert page.evaluate("document.images[0].src").startswith(
        folder_beside(hostile.lake.report).as_uri()
    )
    assert page.evaluate(MISSING_PICTURES) == [] and said == []
    page.close()
    scan(hostile.study, hostile.lake, "report")
