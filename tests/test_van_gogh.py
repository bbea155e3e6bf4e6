"""The paper's study as it stands in `studies/`, on a small world made for it.

Its keyword sets, prompts, thresholds and bands are those of the file. What this machine lacks is
made small: LAION-shaped rows whose images a local server has, ViT-L-14 and Stable Diffusion with
few and random weights.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.pipelines.lake import Lake
from memtriggers.pipelines.refresh import stale_stages
from memtriggers.pipelines.study_file import load_study
from memtriggers.tests.reports import Report, check_figures
from memtriggers.tests.small_world import painting, save_small_clip
from memtriggers.tests.tiny_diffusion import SIDE, save_tiny_pipeline

STUDY = Path(__file__).parents[1] / "studies" / "van_gogh.toml"
SEEDS = 2
FAMILIES = ("irrelevant", "keywords", "long", "short", "without_name")

# Captions and the work that their images show; "{}" is a number, and a work of None an image alone.
CORPUS: tuple[tuple[int, str, str | None], ...] = (
    (14, "Van Gogh Starry Night print {}", "starry night"),
    (9, "Vincent van Gogh self-portrait {}", "self-portrait"),
    (8, "Vincent van Gogh almond blossoming tree {}", "almond"),
    (7, "Van Gogh vase with sunflowers {}", "sunflowers"),
    (6, "Van Gogh cafe terrace at night {}", "terrace"),
    (5, "Van Gogh Starry Night over the Rhone {}", "rhone"),
    (4, "Vincent van Gogh irises {}", "irises"),
    (3, "Almond tree blossoming canvas {}", "almond"),
    (3, "An almond orchard blossoming {}", None),
    (1, "Sunflower canvas {}", "sunflowers"),
    (9, "A sunflower field {}", None),
    (12, "A mountain lake {}", None),
)
DEAD, OVERLONG = "van gogh, an image that is gone", "van gogh " + "ø " * 80


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder, and the address that serves it."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing: requests are no part of what a test prints."""

    folder = tmp_path_factory.mktemp("served")
    handler = partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield folder, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def write_world(folder: Path, served: Path, address: str) -> None:
    """LAION-400M's columns in two files."""
    rows = []
    for count, caption, work in CORPUS:
        for _ in range(count):
            number = len(rows)
            (served / f"{number}.jpg").write_bytes(painting(work, number))
            rows.append({"URL": f"{address}/{number}.jpg", "TEXT": caption.format(number)})
    rows += [{"URL": f"{address}/{n}.gone", "TEXT": t} for n, t in enumerate((DEAD, OVERLONG))]
    common = {"HEIGHT": 64, "WIDTH": 64, "LICENSE": "?", "NSFW": "UNLIKELY", "similarity": 0.3}
    table = pa.Table.from_pylist([{"SAMPLE_ID": n, **row, **common} for n, row in enumerate(rows)])
    (folder / "laion400m").mkdir()
    half = len(rows) // 2
    pq.write_table(table.slice(0, half), folder / "laion400m" / "part-0.parquet")
    pq.write_table(table.slice(half), folder / "laion400m" / "part-1.parquet")


def write_study(folder: Path) -> Path:
    """The study of the paper, with what it names replaced by what there is here."""
    clip = save_small_clip(folder / "clip")
    here = {
        'model = "ViT-L-14"\npretrained = "openai"': f'model = "{clip}"',
        # Random weights put all images close together.
        "thresholds = [0.85, 0.9, 0.95]": "thresholds = [0.9995, 0.9997, 0.9999]",
        "threshold = 0.9\n": "threshold = 0.9997\n",
        '"CompVis/stable-diffusion-v1-4"\ndtype = "float16"': (
            f'"{save_tiny_pipeline(folder / "diffusion")}"\n'
            f"steps = 2\nwidth = {SIDE}\nheight = {SIDE}"
        ),
        "n_seeds = 500": f"n_seeds = {SEEDS}",
        "[report]": "[fetch]\nallow_private_hosts = true\n[report]",
    }
    text = STUDY.read_text(encoding="utf-8")
    for paper, small in here.items():
        assert paper in text
        text = text.replace(paper, small)
    path = folder / "van_gogh.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, server: tuple[Path, str]) -> Path:
    """A folder with the study and the lake that one `refresh` made of it."""
    folder = tmp_path_factory.mktemp("van_gogh")
    write_world(folder, *server)
    assert "report" in refresh(folder, write_study(folder))
    return folder


def refresh(folder: Path, study: Path) -> str:
    command = ["-m", "memtriggers", "refresh", "--study", study, "--lake", folder / "lake"]
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def published(world: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(world / "lake" / "current.duckdb"), read_only=True) as connection:
        yield connection


def test_the_funnel_says_where_the_others_went(published: duckdb.DuckDBPyConnection) -> None:
    steps = published.execute(
        "select n_samples from funnel where keyword_set = 'van gogh' order by step_order"
    ).fetchall()
    assert (steps[0][0], steps[-1][0]) == (55, 53)  # one overlong, one gone
    left = published.execute(
        "select caption, split_part(status_reason, ':', 1) from samples "
        "where status <> 'embedded' order by all"
    ).fetchall()
    assert left == [(OVERLONG, "over_77_clip_tokens"), (DEAD, "http_404")]


def test_table_1(published: duckdb.DuckDBPyConnection) -> None:
    clusters = published.execute(
        "select n_samples, list(word order by word_rank)[:4] from keyword_clusters "
        "join cluster_words using (keyword_set, threshold, cluster_id) "
        "where keyword_set = 'van gogh' and threshold = 0.9997 "
        "group by cluster_rank, n_samples order by cluster_rank"
    ).fetchall()
    assert [n for n, _ in clusters] == [14, 9, 8, 7, 6, 5, 4]
    assert {"starry", "night"} < set(clusters[0][1])
    assert "almond" in clusters[2][1] and "sunflowers" in clusters[3][1]


def test_concentration_is_that_of_the_works_not_of_the_words(
    published: duckdb.DuckDBPyConnection,
) -> None:
    shares = published.execute(
        "select keyword_sets.keyword_set, "
        "sum(keyword_clusters.n_samples) filter (is_parent_cluster) / keyword_sets.n_samples "
        "from keyword_clusters join keyword_sets using (keyword_set) "
        "where keyword_clusters.threshold = 0.9997 and parent_keyword_set = 'van gogh' "
        "group by keyword_sets.keyword_set, keyword_sets.n_samples"
    ).fetchall()
    assert dict(shares) == {
        "almond blossoming": pytest.approx(11 / 14),
        "sunflower": pytest.approx(1 / 10),
    }


def test_each_work_has_its_threshold_and_bands(published: duckdb.DuckDBPyConnection) -> None:
    fixed = published.execute(
        "select distinct prompt, replication_threshold, bands, method "
        "from replication_thresholds join prompts using (keyword_set, threshold, cluster_id) "
        "where metric = 'clip' and family = 'keywords' and method <> 'suggested' order by all"
    ).fetchall()
    assert fixed == [
        ("van gogh almond blossoming tree", 0.7, [0.7, 0.65], "manual"),
        ("van gogh starry night print", 0.83, [0.85, 0.8, 0.7], "manual"),
        ("van gogh vase sunflowers", 0.85, [0.85, 0.75], "manual"),
    ]


def test_every_family_has_a_rate_with_bands_and_a_background(
    published: duckdb.DuckDBPyConnection,
) -> None:
    rates = published.execute(
        "select family, n_generations, list_sum(band_counts), replication_rate, ci_low, ci_high, "
        "background_rate is not null from replication join prompts using (prompt_id) "
        "where cluster_id in (select cluster_id from prompts where prompt = 'van gogh starry night "
        "print') and metric = 'clip' and reference = 'representatives' order by family"
    ).fetchall()
    assert tuple(row[0] for row in rates) == FAMILIES
    for _, n, in_bands, rate, low, high, has_background in rates:
        assert (n, in_bands, has_background) == (SEEDS, SEEDS, True)
        assert low <= rate <= high


def test_the_report_shows_what_comes_back_beside_the_originals(
    world: Path, published: duckdb.DuckDBPyConnection
) -> None:
    lake = Lake(world / "lake")
    report = Report(lake.report.read_text(encoding="utf-8"))
    assert check_figures(report, lake) > 500
    (n_prompts,) = published.execute("select count(*) from prompts").fetchone() or (0,)
    assert len(report.rows["replication"]) == n_prompts
    said = [given.get("alt") or "" for tag, given in report.elements if tag == "img"]
    generations = [alt for alt in said if alt.startswith("seed ")]
    assert len(generations) == SEEDS * n_prompts  # no band has more than are shown of it


def test_a_second_refresh_has_nothing_to_do(world: Path) -> None:
    assert refresh(world, world / "van_gogh.toml").startswith("nothing to do")


def test_every_number_of_the_paper_has_its_column(published: duckdb.DuckDBPyConnection) -> None:
    page = (STUDY.parent / "van_gogh.md").read_text(encoding="utf-8")
    queries = re.findall(r"```sql\n(.*?)```", page, flags=re.DOTALL)
    assert queries
    for query in queries:
        published.execute(re.sub(r"\b0\.9\b", "0.9997", query))
        assert published.fetchall(), query


@pytest.mark.parametrize(
    ("before", "after", "first"),
    [
        (f"n_seeds = {SEEDS}", f"n_seeds = {SEEDS + 1}", "generate"),
        ("steps = 2", "steps = 3", "generate"),
        ("clusters = 7", "clusters = 3", "prompts"),
        ("replication_threshold = 0.83", "replication_threshold = 0.84", "prompts"),
    ],
)
def test_a_change_makes_stale_what_comes_after(
    world: Path, before: str, after: str, first: str
) -> None:
    changed = world / "changed.toml"
    text = (world / "van_gogh.toml").read_text(encoding="utf-8")
    changed.write_text(text.replace(before, after), encoding="utf-8")
    flow = ["prompts", "generate", "score", "build", "report"]
    stale = stale_stages(load_study(changed), Lake(world / "lake"))
    assert list(stale) == flow[flow.index(first) :]
