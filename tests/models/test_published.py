"""The published file stands alone: documented, and queryable wherever it is copied to."""

import shutil
from pathlib import Path

import duckdb
import numpy as np
import pytest

from memtriggers.pipelines import build
from memtriggers.pipelines.asking.export import export_samples
from memtriggers.pipelines.core.database import define_addresses
from memtriggers.pipelines.core.errors import QueryError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study

TABLES = {
    *("bigrams", "build_info", "changes", "cluster_members", "cluster_thresholds"),
    *("cluster_words", "clusters", "duplicated_captions", "duplicated_files", "funnel"),
    *("cluster_marks", "generations", "generators"),
    *("keyword_clusters", "keyword_matches", "keyword_sets", "near_duplicates", "rejected_rows"),
    *("object_candidates", "object_detections", "object_detectors", "object_rates"),
    "trigger_validation",
    *("prompt_scores", "prompts", "replication", "replication_by_family"),
    *("replication_scores", "replication_thresholds"),
    *(
        "removal_list",
        "runs",
        "samples",
        "risk_fits",
        "sample_rows",
        "source_files",
        "word_sets",
        "words",
    ),
}
CALLS = {
    "duplicates_of": "duplicates_of('sea', 0.9)",
    "cluster_words_of": "cluster_words_of('e', 0.9)",
    "removal_list_at": "removal_list_at(0.9, 'best')",
    "words_with": "words_with('Star')",
    "why_replicated": "why_replicated('p')",
}


@pytest.fixture
def client() -> duckdb.DuckDBPyConnection:
    """A DuckDB that knows nothing of this package."""
    return duckdb.connect()


def test_the_marts_are_all_there_is(published: duckdb.DuckDBPyConnection) -> None:
    query = "select schema_name, table_name from duckdb_tables()"
    assert set(published.execute(query).fetchall()) == {("main", name) for name in TABLES}
    assert published.execute("from duckdb_views() where not internal").fetchall() == []


def test_every_table_column_and_function_has_a_comment(
    published: duckdb.DuckDBPyConnection,
) -> None:
    query = """
        select table_name, comment from duckdb_tables()
        union all
        select table_name || '.' || column_name, comment from duckdb_columns() where not internal
        union all
        select function_name, comment from duckdb_functions()
        where function_type = 'table_macro' and not internal
    """
    comments = dict(published.execute(query).fetchall())
    assert comments.keys() >= TABLES | CALLS.keys() | {"samples.sample_id", "funnel.n_lost"}
    assert [name for name, comment in comments.items() if not comment] == []


def test_a_domain_is_the_same_in_the_samples_and_in_the_stages(
    published: duckdb.DuckDBPyConnection,
) -> None:
    urls = dict(published.execute("select url, domain from samples").fetchall())
    assert {"one.example", "two.example", None} == set(urls.values())
    with duckdb.connect() as connection:
        define_addresses(connection)
        for url, domain in urls.items():
            assert connection.execute("select domain_of(?)", [url]).fetchall() == [(domain,)]


def test_a_copy_under_another_name_answers_when_attached(
    published: duckdb.DuckDBPyConnection, client: duckdb.DuckDBPyConnection, copied: Path
) -> None:
    client.execute(f"attach '{copied}' as \"elsewhere\" (read_only)")
    for table in TABLES:
        here = published.execute(f"from {table} order by all").fetchall()
        assert client.execute(f"from elsewhere.{table} order by all").fetchall() == here
    client.execute("use elsewhere")
    for call in CALLS.values():
        here = published.execute(f"from {call}").fetchall()
        assert sorted(client.execute(f"from {call}").fetchall()) == sorted(here) != []


def test_a_copy_answers_when_opened(copied: Path) -> None:
    with duckdb.connect(str(copied)) as client:
        for call in CALLS.values():
            assert client.execute(f"from {call}").fetchall()


def test_duplicates_of_a_keyword_come_by_cluster(published: duckdb.DuckDBPyConnection) -> None:
    query = f"select cluster_rank, cluster_id, sample_id from {CALLS['duplicates_of']}"
    assert published.execute(query).fetchall() == [(1, "d", "d"), (1, "d", "e"), (2, "a", "c")]


@pytest.mark.parametrize("threshold", ["0.9", "0.9::double", "0.90", "9e-1"])
def test_a_threshold_may_be_written_in_any_way(
    published: duckdb.DuckDBPyConnection, threshold: str
) -> None:
    query = (
        f"select word_rank, word from cluster_words_of(cluster := 'e', threshold := {threshold})"
    )
    assert published.execute(query).fetchall() == [(1, "sea"), (2, "blue")]


def test_the_removal_list_brings_url_and_caption(published: duckdb.DuckDBPyConnection) -> None:
    query = f"select * from {CALLS['removal_list_at']} where sample_id = 'c'"
    reason = "it is nearly identical to the one with the most pixels in its cluster"
    url = "http://user@two.example:8080/y.jpg?z=1"
    assert published.execute(query).fetchall() == [("c", "drop", "b", reason, url, "star sea", 1)]


def test_the_words_that_come_with_a_word(published: duckdb.DuckDBPyConnection) -> None:
    query = f"select word, n_captions, share_in_corpus, round(lift, 3) from {CALLS['words_with']}"
    # six captions say star; "the", twice in one of them, is said by one
    assert published.execute(query).fetchall() == [
        ("red", 1, 0.125, 1.333),
        ("sea", 1, 0.25, 0.667),
        ("the", 1, 0.5, 0.333),
    ]
    assert published.execute("from words_with('sea star')").fetchall() == []
    assert published.execute("from words_with(' – ')").fetchall() == [], "no word is asked for"


@pytest.mark.parametrize("said", ["  Star, ", "STAR’s", "star\u00a0"])
def test_words_are_asked_for_by_the_word_rule(
    published: duckdb.DuckDBPyConnection, said: str
) -> None:
    expected = published.execute("from words_with('star')").fetchall()
    assert published.execute("from words_with($said)", {"said": said}).fetchall() == expected


def test_the_documentation_is_one_page_with_every_column(
    built_lake: Lake, built_study: Study, published: duckdb.DuckDBPyConnection
) -> None:
    page = build.write_docs(built_study, built_lake)
    assert page == built_lake.docs.absolute()
    text = page.read_text(encoding="utf-8")
    columns = published.execute(
        "select distinct column_name from duckdb_columns() where not internal"
    ).fetchall()
    assert [name for (name,) in columns if name not in text] == []
    assert all(f"model.memtriggers.{table}" in text for table in TABLES)
    assert not any(built_lake.scratch.glob("build-*"))


@pytest.mark.parametrize(("what", "action"), [("kept", "keep"), ("removal-list", "drop")])
def test_a_subset_in_the_format_of_datacomp(
    built_lake: Lake, tmp_path: Path, what: str, action: str
) -> None:
    lake = Lake(tmp_path / "lake")
    lake.root.mkdir()
    shutil.copyfile(built_lake.current, lake.current)
    with duckdb.connect(str(lake.current)) as connection:
        connection.execute("update sample_rows set source_id = md5(sample_id)")
        connection.execute("update keyword_sets set include = ['*'] where keyword_set = 'star'")
        uids = connection.execute(
            "select md5(sample_id) from removal_list where threshold = 0.9 and keep_rule = 'best' "
            "and action = $action order by 1",
            {"action": action},
        ).fetchall()
    output = tmp_path / "subset.npy"
    assert export_samples(lake, what, 0.9, "best", output)[0] == len(uids) > 1
    subset = np.load(output)
    assert subset.dtype == np.dtype("u8,u8")
    assert [f"{high:016x}{low:016x}" for high, low in subset.tolist()] == [uid for (uid,) in uids]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("removal-list", "sample a has the source_id None"),
        ("kept", "only samples of a keyword set are known here"),
        ("weights", "npy holds uids alone"),
    ],
)
def test_what_has_no_uid_is_no_subset(
    built_lake: Lake, tmp_path: Path, what: str, message: str
) -> None:
    with pytest.raises(QueryError, match=message):
        export_samples(built_lake, what, 0.9, "best", tmp_path / "subset.npy")
    assert not list(tmp_path.iterdir())
