"""The report: every figure is its query's, hostile captions stay text, the file stands alone."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study
from memtriggers.pipelines.core.study_file import load_study
from memtriggers.pipelines.page.answers import shown
from memtriggers.pipelines.page.picture_files import folder_beside
from memtriggers.pipelines.report import recorded
from memtriggers.pipelines.stages import STAGES, expected_stamp
from memtriggers.tests.hostile import HOSTILE, Scanned, scan, write_study
from memtriggers.tests.reports import Report, ask_command_line, check_figures


@pytest.fixture(scope="module")
def study(hostile: Scanned) -> Study:
    return hostile.study


@pytest.fixture(scope="module")
def lake(hostile: Scanned) -> Lake:
    return hostile.lake


@pytest.fixture(scope="module")
def html(lake: Lake) -> str:
    return lake.report.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def report(html: str) -> Report:
    return Report(html)


def test_every_figure_is_what_its_query_says_on_the_command_line(
    report: Report, lake: Lake
) -> None:
    assert check_figures(report, lake) > 200


def test_every_query_shows_all_of_its_rows(report: Report, lake: Lake) -> None:
    n_images = 0
    for name, sql in report.sql.items():
        n_rows = len(ask_command_line(lake, sql))
        if name.startswith("cluster_images"):
            n_images += n_rows
        else:
            assert len(report.rows.get(name, [])) == n_rows, name
    strips = [given for tag, given in report.elements if tag == "ul" and "data-images" in given]
    assert n_images > len(strips) > 0


def test_the_words_of_a_cluster_stand_with_their_captions(report: Report) -> None:
    (row,) = report.rows["clusters-2"]  # of the set that says "night"
    assert row["n_samples"][0] == "12"
    assert row["words"][0] == "night 12, shines 12, star 12, 0 1, 1 1"


def test_captions_show_as_text_and_change_no_markup(report: Report) -> None:
    for caption in HOSTILE:
        assert shown(caption) in report.text
    tags = {tag for tag, _ in report.elements}
    assert not tags & {"script", "iframe", "object", "form", "b"}
    assert not [name for _, given in report.elements for name in given if name.startswith("on")]


def test_it_needs_nothing_beside_it(report: Report, html: str) -> None:
    for _, given in report.elements:
        for name in ("src", "href", "action", "srcset"):
            assert (given.get(name) or "#").startswith(("#", "data:")), given
    assert "@import" not in html and not re.search(r"url\((?!#)", html)
    policy = next(g["content"] for t, g in report.elements if g.get("http-equiv"))
    assert policy is not None and policy.startswith(
        "default-src 'none'; img-src data: 'self' file:;"
    )


def test_a_picture_says_what_it_is_and_how_large(report: Report) -> None:
    pictures = [given for tag, given in report.elements if tag == "img"]
    assert pictures
    for given in pictures:
        assert given["alt"] and int(given["width"] or 0) > 0 and int(given["height"] or 0) > 0


def test_a_file_that_would_be_too_large_has_its_pictures_beside_it(
    study: Study, lake: Lake, html: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as small:
        small.setattr("memtriggers.pipelines.report._LARGEST_FILE", 1_000)
        scan(study, lake, "report")
        beside = Report(lake.report.read_text(encoding="utf-8"))
    sources = {given["src"] for tag, given in beside.elements if tag == "img"}
    files = {f"images/{path.name}" for path in folder_beside(lake.report).iterdir()}
    assert files == sources and all(given.endswith(".webp") for given in sources if given)
    scan(study, lake, "report")
    assert not folder_beside(lake.report).exists()
    assert lake.report.read_text(encoding="utf-8") == html


def test_ids_are_unique_and_links_inside_lead_somewhere(report: Report) -> None:
    ids = [given["id"] for _, given in report.elements if "id" in given]
    assert len(ids) == len(set(ids))
    links = {given["href"] for tag, given in report.elements if tag == "a"}
    assert links <= {f"#{i}" for i in ids}


def test_a_chart_has_a_name_and_a_table_of_its_numbers(report: Report) -> None:
    charts = [given for tag, given in report.elements if given.get("class") == "chart"]
    titles = {given.get("id") for tag, given in report.elements if tag == "title"}
    assert charts and all(given["aria-labelledby"] in titles for given in charts)
    n_points = 2 * len(report.rows["threshold_curve"])  # of two lines, and each line once
    n_drawn = sum(given.get("class") == "datum" for _, given in report.elements)
    assert n_drawn == len(report.rows["sizes"]) + n_points + 2


@pytest.mark.parametrize(
    ("keyword_set", "sentence"),
    [
        ("moon", "None of its samples has an embedding"),
        ("sun", "No 2 of its images are nearly identical"),
        ("0", "No caption matches this keyword set."),
    ],
)
def test_a_set_without_clusters_says_why(html: str, keyword_set: str, sentence: str) -> None:
    section = html.split('<section id="clusters">')[1].split('<section id="sizes">')[0]
    part = section.split(f'<h3><bdi dir="auto">{keyword_set}</bdi></h3>')[1].split("</section>")[0]
    assert sentence in part


def test_what_was_lost_is_named_in_the_funnel(report: Report) -> None:
    lost = [row["reason"][0] for row in report.rows["funnel"] if "reason" in row]
    assert "over_77_clip_tokens 1" in lost and "not_found 1" in lost


@pytest.fixture(scope="module")
def unfetched(tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    """The same study in a lake that has no images."""
    study = write_study(tmp_path_factory.mktemp("unfetched"))
    lake = Lake(study.folder / "lake")
    scan(study, lake, "filter", "build", "report")
    return Scanned(study, lake)


def test_a_lake_without_images_is_reported_section_by_section(unfetched: Scanned) -> None:
    lake = unfetched.lake
    report = Report(lake.report.read_text(encoding="utf-8"))
    assert check_figures(report, lake) > 20
    for sentence in (
        "Duplicates were not measured: no image of a keyword set has an embedding.",
        "Which words point at one picture was not measured.",
        "What to take out was not measured.",
        "Clusters were not measured: no image has an embedding.",
        "No images have been compared yet.",
        "How much lies in a cluster was not measured: no image has an embedding.",
        "so nothing is on the list.",
    ):
        assert sentence in report.text
    assert "not fetched yet" in report.text
    assert "none is there to be taken" not in report.text
    assert "There is no cluster" not in report.text and "No word set lies" not in report.text


def test_it_says_what_the_last_build_changed(unfetched: Scanned, tmp_path: Path) -> None:
    folder = shutil.copytree(unfetched.study.folder, tmp_path / "changed", symlinks=True)
    study, lake = load_study(folder / "study.toml"), Lake(folder / "lake")
    rows = pq.read_table(folder / "rows.parquet")
    pq.write_table(rows.slice(3), folder / "rows.parquet")
    scan(study, lake, "filter", "build", "report")
    report = Report(lake.report.read_text(encoding="utf-8"))
    assert check_figures(report, lake) > 20
    (gone,) = report.rows["changes"]
    assert (gone["n_changes"][0], gone["n_after"][0]) == ("3", "0")
    assert "Samples that are gone" in report.text and "This is the first build" not in report.text


def test_the_stamp_is_read_back_and_says_when_it_is_stale(
    study: Study, lake: Lake, html: str
) -> None:
    stamp = expected_stamp(STAGES["report"], study, lake)
    assert recorded(lake) == (stamp, stamp.digest)
    assert STAGES["report"].why_stale(study, lake) == []


def test_there_is_no_stamp_without_a_report_or_in_another_file(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert recorded(lake) is None
    lake.report.parent.mkdir()
    lake.report.write_text("<!doctype html><p>something else", encoding="utf-8")
    assert recorded(lake) is None


def test_asking_for_the_stamp_imports_nothing_heavy() -> None:
    heavy = {"jinja2", "PIL", "lance", "duckdb", "pyarrow", "numpy"}
    code = (
        f"import sys, memtriggers.pipelines.report\nprint(sorted({heavy!r} & sys.modules.keys()))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
