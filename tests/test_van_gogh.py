"""The paper's study as it stands in `studies/`, on a small world made for it.

Its keyword sets, prompts, thresholds and bands are those of the file. What this machine lacks is
made small: LAION-shaped rows whose images a local server has, ViT-L-14 and Stable Diffusion with
few and random weights.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study_file import load_study
from memtriggers.pipelines.upkeep.refresh import stale_stages
from memtriggers.tests.reports import Report, check_figures
from memtriggers.tests.van_gogh import DEAD, OVERLONG, SEEDS, STUDY, refresh

FAMILIES = ("irrelevant", "keywords", "long", "short", "without_name")


@pytest.fixture(scope="module")
def published(van_gogh: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(van_gogh / "lake" / "current.duckdb"), read_only=True) as connection:
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


def test_every_generation_has_every_score(published: duckdb.DuckDBPyConnection) -> None:
    (n_prompts,) = published.execute("select count(*) from prompts").fetchone() or (0,)
    (n,) = published.execute("select count(*) from generations").fetchone() or (0,)
    assert n == SEEDS * n_prompts > 0
    scored = published.execute(
        "select metric, reference, count(*) from replication_scores group by all order by all"
    ).fetchall()
    assert scored == [
        *(("clip", name, n) for name in ("keyword_set", "medoid", "members")),
        ("clip", "representatives", n),
        *(
            (metric, name, n)
            for metric in ("l2", "l2_tiles", "webster")
            for name in ("medoid", "representatives")
        ),
    ]
    methods = published.execute("select distinct method from replication_thresholds").fetchall()
    assert sorted(methods) == [("manual",), ("suggested",)]
    rates = published.execute(
        "select n_generations, n_replicated, replication_rate from replication"
    ).fetchall()
    assert all(n == SEEDS and share == copies / SEEDS for n, copies, share in rates)
    detectors = published.execute(
        "select detector, count(*), min(score) from prompt_scores group by all order by all"
    ).fetchall()
    assert [row[:2] for row in detectors] == [
        ("clip_largest_clique", n_prompts),
        ("clip_pair_cosine_mean", n_prompts),
        ("wen_magnitude", n_prompts),
    ]
    assert detectors[2][2] > 0


def test_the_report_shows_what_comes_back_beside_the_originals(
    van_gogh: Path, published: duckdb.DuckDBPyConnection
) -> None:
    lake = Lake(van_gogh / "lake")
    report = Report(lake.report.read_text(encoding="utf-8"))
    assert check_figures(report, lake) > 500
    (n_prompts,) = published.execute("select count(*) from prompts").fetchone() or (0,)
    assert len(report.rows["replication"]) == n_prompts
    said = [given.get("alt") or "" for tag, given in report.elements if tag == "img"]
    generations = [alt for alt in said if alt.startswith("seed ")]
    assert len(generations) == SEEDS * n_prompts  # no band has more than are shown of it


def test_a_second_refresh_has_nothing_to_do(van_gogh: Path, cluster: str) -> None:
    assert refresh(van_gogh, cluster).startswith("nothing to do")


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
    van_gogh: Path, before: str, after: str, first: str
) -> None:
    changed = van_gogh / "changed.toml"
    text = (van_gogh / "van_gogh.toml").read_text(encoding="utf-8")
    changed.write_text(text.replace(before, after), encoding="utf-8")
    flow = ["prompts", "generate", "score", "build", "report"]
    stale = stale_stages(load_study(changed), Lake(van_gogh / "lake"))
    assert list(stale) == flow[flow.index(first) :]
