"""The explorer in a real browser: looked at, decided in, and what the next build makes of that."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from memtriggers.pipelines.clusters.intervals import wilson_interval
from memtriggers.pipelines.core.decisions import read_decisions
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study_file import load_study
from memtriggers.pipelines.stages import STAGES
from memtriggers.tests.explorers import Server, make_hostile, start, stop

pytest.importorskip("starlette", reason="the extra explore is not installed")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
PATIENCE = 600_000  # milliseconds: the machine may be busy
SIZES = {"desk": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def explored(demo: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The lake of the demo, whose generations copy."""
    text = (ROOT / "studies" / "demo.toml").read_text("utf-8")
    text = text.replace("../sample", str(ROOT / "sample")) + "\n"
    text = text.replace("demo_prompts.csv", str(ROOT / "studies" / "demo_prompts.csv"))
    # Without Wen's magnitude, which takes the generator and longer than all the rest.
    text = re.sub(r"\[generator\][^\[]*", "", text)
    folder = tmp_path_factory.mktemp("explored")
    (folder / "study.toml").write_text(text, "utf-8")
    return make_hostile(demo.lake, folder / "study.toml", folder)


@pytest.fixture(scope="module")
def server(explored: Any) -> Iterator[Server]:
    running = start("--lake", explored.lake.root, "--study", explored.study)
    yield running
    stop(running)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed: apt install chromium")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Any, serve: Callable[..., Server]) -> Iterator[Callable[..., Any]]:
    """Open pages of one server; in the end nothing has gone wrong, and nobody else been asked.

    Takes `serve` so that pages are closed before their server stops: a browser asks for the icon
    whenever it likes.
    """
    wrong: list[str] = []
    contexts = []

    def open_one(server: Any, size: str = "desk", scheme: str = "light") -> Any:
        width, height = SIZES[size]
        viewport = {"width": width, "height": height}
        contexts.append(browser.new_context(viewport=viewport, color_scheme=scheme))
        contexts[-1].set_default_timeout(PATIENCE)
        page = contexts[-1].new_page()
        page.on("console", lambda said: wrong.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on("requestfailed", lambda request: _note_failed(request, wrong))
        page.on(
            "request",
            lambda request: request.url.startswith(server.base) or wrong.append(request.url),
        )
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert wrong == []


def _note_failed(request: Any, wrong: list[str]) -> None:
    if request.failure != "net::ERR_ABORTED":  # which an image is when the page is left
        wrong.append(f"{request.failure}: {request.url}")


def ask(lake: Lake, query: str, *values: object) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(lake.current), read_only=True) as connection:
        return connection.execute(query, values).fetchall()


def memtriggers(stage: str, explored: Any) -> None:
    command = [sys.executable, "-m", "memtriggers", stage]
    command += ["--lake", str(explored.lake.root), "--study", str(explored.study)]
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.parametrize(("size", "scheme"), [("desk", "light"), ("phone", "dark")])
def test_hostile_captions_are_text_and_break_no_layout(
    open_page: Callable[..., Any], server: Any, explored: Any, size: str, scheme: str
) -> None:
    page = open_page(server, size, scheme)
    paths = ["/", explored.path, "/search", "/sql"]
    page.goto(server.base + explored.path)
    links = page.locator("#images .tiles a")
    paths += [links.nth(number).get_attribute("href") for number in range(2)]
    for path in paths:
        page.goto(server.base + path)
        if path == "/sql":
            page.fill("#query", "select caption, * from samples order by len(caption) desc limit 9")
            page.click("text=Run")
        page.wait_for_load_state("networkidle")
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wide) == 0, path
        assert "hacked" not in page.title()
        heights = page.eval_on_selector_all(".caption", "all => all.map(c => c.clientHeight)")
        assert max(heights, default=0) < 120, path
    page.goto(server.base + explored.path)
    assert page.locator("script").count() == 1
    assert page.get_by_text("<script>document.title = 'hacked'</script>").count() > 0


def test_axe_finds_nothing_serious(
    open_page: Callable[..., Any], server: Any, explored: Any
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-core")
    for scheme in ("light", "dark"):
        page = open_page(server, "desk", scheme)
        for path in ("/", explored.path, "/search", "/sql"):
            page.goto(server.base + path)
            found = axe.Axe().run(page).response["violations"]
            serious = [v["id"] for v in found if v["impact"] in ("serious", "critical")]
            assert serious == [], (path, scheme, found)


def test_looking_deciding_and_building(
    open_page: Callable[..., Any], serve: Callable[..., Any], explored: Any, tmp_path: Path
) -> None:
    lake = Lake(shutil.copytree(explored.lake.root, tmp_path / "lake", symlinks=True))
    own = replace(explored, lake=lake)
    server = serve("--lake", lake.root, "--study", own.study)
    page = open_page(server)
    search(page, server, tmp_path)
    find_the_cluster(page, server, own)
    move_the_slider(page, own)
    store(page, own)
    marked = mark(page, server, own)
    build(own)
    check_the_tables(own, marked)
    page.goto(server.base + own.path)
    assert "0.190, exploratory (set in the explorer on" in page.inner_text(".threshold")


def search(page: Any, server: Any, folder: Path) -> None:
    """By text, and by an image that is there: its copies come first."""
    page.goto(server.base)
    page.click("nav >> text=Search")
    page.get_by_label("like this text").fill("star")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Nearest to star")
    assert page.locator(".tiles li").count() == 48
    page.locator(".tiles a").first.click()
    page.wait_for_selector("text=Caption")
    image = page.request.get(server.base + page.locator(".large img").get_attribute("src"))
    (folder / "copy.webp").write_bytes(image.body())
    page.click("nav >> text=Search")
    page.get_by_label("or like this image").set_input_files(folder / "copy.webp")
    page.click("text=Search by image")
    page.wait_for_selector("text=Nearest to copy.webp")
    assert page.locator(".tiles li").first.inner_text().endswith("cosine 1.000")


def find_the_cluster(page: Any, server: Any, explored: Any) -> None:
    page.click("nav >> text=Clusters")
    page.get_by_label("Cosine at least").select_option(str(explored.threshold))
    page.click("text=Show")
    page.locator(f"a[href='{explored.path}']").first.click()
    page.wait_for_selector("#gallery")
    scores = page.eval_on_selector_all("#gallery li", "all => all.map(li => +li.dataset.score)")
    assert len(scores) == 16 and scores == sorted(scores), "distances, the nearest first"


def move_the_slider(page: Any, explored: Any) -> None:
    """The rate is that of SQL wherever the slider stands, moved by keyboard or by number."""
    for value in ("0.19", "0.2", "0", "1"):
        page.fill("#value", value)
        check_rate(page, explored, float(value))
    page.focus("#slider")
    page.keyboard.press("ArrowLeft")
    value = float(page.input_value("#value"))
    assert 0.99 < value < 1
    check_rate(page, explored, value)


def check_rate(page: Any, explored: Any, value: float) -> None:
    query = "select count(*), count(*) filter (where score <= ?) from replication_scores " + (
        "where prompt_id = ? and metric = 'l2_relative' and reference = 'representatives'"
    )
    ((n, copies),) = ask(explored.lake, query, value, explored.prompt)
    low, high = wilson_interval(copies, n)
    said = page.inner_text("#says").replace("\N{NO-BREAK SPACE}", " ")
    rates = f"{copies / n:.1%} ({low:.1%} – {high:.1%})".replace("%", " %")
    assert said == f"{copies} of {n} images are copies: {rates}"
    assert page.locator("#gallery .copy").count() == copies


def store(page: Any, explored: Any) -> None:
    page.fill("#value", "0.19")
    page.fill("#bands", "0.2, 0.185")
    page.click("text=Store for this cluster")
    page.wait_for_selector("text=Stored.")
    (row,) = read_decisions(explored.lake, "decided_thresholds")
    assert (row["threshold"], row["sample_id"]) == (explored.threshold, explored.cluster_id)
    assert (row["metric"], row["reference"]) == ("l2_relative", "representatives")
    assert (row["replication_threshold"], row["bands"]) == (0.19, [0.185, 0.2])
    assert page.input_value("#value") == "0.19"


def mark(page: Any, server: Any, explored: Any) -> dict[str, str]:
    """Mark clusters that are not prompted; returns them by mark."""
    clusters = ask(
        explored.lake,
        "select cluster_id from clusters where threshold = ? and excluded_reason is null "
        "and cluster_id in (select cluster_id from word_sets where threshold = ?) "
        "order by n_samples desc, cluster_id offset 2 limit 3",
        *[explored.threshold] * 2,
    )
    buttons = {"wanted": "Wanted: keep all", "placeholder": "Placeholder", "remove": "Remove all"}
    for (cluster_id,), text in zip(clusters, buttons.values(), strict=True):
        page.goto(f"{server.base}/clusters/{explored.threshold}/{cluster_id}")
        page.click("text=Remove all")  # and another mark after it: the last one holds
        page.locator("[aria-pressed=true]", has_text="Remove all").wait_for()
        page.click(f"#mark >> text={text}")
        page.locator("[aria-pressed=true]", has_text=text).wait_for()
        page.wait_for_selector("text=heeds it")
        assert page.locator("[aria-pressed=true]").count() == 1
    rows = read_decisions(explored.lake, "cluster_marks")
    assert [row["mark"] for row in rows] == list(buttons)
    return {row["mark"]: row["sample_id"] for row in rows}


def build(explored: Any) -> None:
    """`refresh` knows what has to run again, and that it is what reads the decisions."""
    study = load_study(explored.study)
    reasons = {name: STAGES[name].why_stale(study, explored.lake) for name in ("score", "build")}
    assert "input decided_thresholds" in reasons["score"]
    assert "input cluster_marks" not in reasons["score"]
    assert {"input decided_thresholds", "input cluster_marks"} <= set(reasons["build"])
    memtriggers("score", explored)
    memtriggers("build", explored)


def check_the_tables(explored: Any, marked: dict[str, str]) -> None:
    lake = explored.lake
    found = ask(
        lake,
        "select replication_threshold, thresholds.method, thresholds.bands, n_replicated, "
        "band_counts, reason from replication_thresholds as thresholds "
        "join replication using (metric, reference, replication_threshold) "
        "where prompt_id = ? and thresholds.cluster_id = ? and thresholds.method = 'exploratory'",
        explored.prompt,
        explored.cluster_id,
    )
    ((value, method, bands, n_replicated, counts, reason),) = found
    assert (value, method, bands) == (0.19, "exploratory", [0.185, 0.2])
    assert 0 < n_replicated < 16 and sum(counts) == 16
    assert reason.startswith("set in the explorer on ")
    assert ask(lake, "select mark, sample_id from cluster_marks order by decided_at") == list(
        marked.items()
    )
    actions = {
        mark: ask(
            lake,
            "select distinct action, reason, list.representative_sample_id is null "
            "from removal_list as list "
            "join cluster_members as members using (threshold, sample_id) where cluster_id = ?",
            sample_id,
        )
        for mark, sample_id in marked.items()
    }
    assert actions["wanted"] == [("keep", "its cluster is marked: wanted", False)]
    assert actions["remove"] == [("drop", "its cluster is marked: to remove", True)]
    assert len(actions["placeholder"]) > 1, "one is kept, as of any cluster"
    of_placeholder = (explored.threshold, marked["placeholder"])
    where = "where threshold = ? and cluster_id = ?"
    excluded = ask(lake, f"select excluded_reason from clusters {where}", *of_placeholder)
    assert excluded == [("placeholder",)]
    ranks = ask(lake, f"select cluster_rank from keyword_clusters {where}", *of_placeholder)
    assert set(ranks) == {(None,)}
    assert ask(lake, f"from word_sets {where}", *of_placeholder) == []
