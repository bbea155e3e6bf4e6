"""Which captions match, which rows are dirty and why; every source row is accounted for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from memtriggers.pipelines.core.lake import Lake

MATCH = [
    "Van Gogh",
    "VAN  GOGH",
    "van\u00a0gogh, 1889",
    "a van-gogh print",
    "Van Gogh's Room",
    "Van Gogh’s Room",
    "van&nbsp;gogh",
    "<b>van</b> gogh",
    "&lt;i&gt;Van&lt;/i&gt; Gogh",
    "(van/gogh)",
    "🎨van gogh🎨",
    "مرحبا van gogh",
]
NO_MATCH = ["vangogh", "van gogha", "vanguard gogh", "gogh van", "van der gogh", "", "van"]


@pytest.fixture
def rows(lake: Lake) -> Callable[[str], list[tuple[Any, ...]]]:
    """Rows of a query over the lake's parquet; tables are named by their file."""

    def run(query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect() as connection:
            for table in ("samples", "source_files", "keyword_sets", "keyword_matches"):
                connection.from_parquet(str(getattr(lake, table))).create_view(table)
            connection.from_parquet(str(lake.rejected_rows)).create_view("rejected_rows")
            return connection.execute(query).fetchall()

    return run


def test_the_token_rule(make_study, write_captions, run_stages, rows) -> None:
    write_captions(*MATCH, *NO_MATCH)
    run_stages(make_study(vg={"include": ["van gogh"]}), "filter")
    assert {caption for (caption,) in rows("select caption from samples")} == set(MATCH)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"include": ["almond", "blossoming"]}, {"almond blossoming", "blossoming almond, Gogh"}),
        ({"any": ["almond", "irises"]}, {"almond", "almond blossoming", "blossoming almond, Gogh"}),
        ({"include": ["almond"], "exclude": ["gogh"]}, {"almond", "almond blossoming"}),
        ({"include": ["almond"], "any": ["gogh"]}, {"blossoming almond, Gogh"}),
        ({"include": ["cafe\u0301"]}, {"CAFÉ", "caf&eacute;", "Cafe\u0301 at night"}),
        ({"include": ["हिन्दी"]}, {"हिन्दी"}),
        ({"include": ["हिन"]}, set()),
        ({"include": ["straße"]}, {"STRAßE"}),
    ],
)
def test_keyword_sets(make_study, write_captions, run_stages, rows, keys, expected) -> None:
    write_captions(
        "almond", "almond blossoming", "blossoming almond, Gogh", "CAFÉ", "caf&eacute;",
        "Cafe\u0301 at night", "cafeteria", "हिन्दी", "STRAßE",
    )  # fmt: skip
    run_stages(make_study(one=keys), "filter")
    assert {caption for (caption,) in rows("select caption from samples")} == expected


def test_many_sets_in_one_pass_and_one_that_matches_nothing(
    make_study, write_captions, run_stages, rows
) -> None:
    write_captions("red star", "red flag", "blue", None)
    sets = {"star": {"include": ["star"]}, "red": {"include": ["red"]}, "no": {"include": ["nil"]}}
    run_stages(make_study(**sets, all={"include": ["*"]}), "filter")
    counts = rows("select keyword_set, n_samples from keyword_sets order by 1")
    assert counts == [("all", 4), ("no", 0), ("red", 2), ("star", 1)]
    assert rows("select count(*) from samples") == [(4,)]


NAN = float("nan")
DIRTY: list[tuple[dict[str, Any], str, str | None]] = [
    ({"TEXT": None}, "caption_is_empty", None),
    ({"TEXT": ""}, "caption_is_empty", ""),
    ({"TEXT": " \u00a0\n"}, "caption_is_empty", " \u00a0\n"),
    ({"TEXT": "2014 - 07"}, "caption_without_letter", "2014 - 07"),
    ({"URL": None}, "url_is_empty", None),
    ({"URL": " "}, "url_is_empty", " "),
    ({"URL": "javascript:alert(1)"}, "url_is_not_http", "javascript:alert(1)"),
    ({"URL": "file:///etc/passwd"}, "url_is_not_http", "file:///etc/passwd"),
    ({"similarity": 6016.0}, "similarity_out_of_range", "6016.0"),
    ({"WIDTH": 0}, "width_out_of_range", "0.0"),
    ({"HEIGHT": 39580}, "height_out_of_range", "39580.0"),
]


@pytest.mark.parametrize(("row", "rule", "observed"), DIRTY)
def test_a_dirty_row_keeps_its_reason(
    make_study, write_laion, run_stages, rows, row, rule, observed
) -> None:
    # Missing numbers are no defect; pandas writes them as NaN.
    path = write_laion({}, row, {"similarity": None, "LICENSE": None}, {"similarity": NAN})
    run_stages(make_study(), "filter")
    assert rows("select source_file, source_row, rule, observed_value from rejected_rows") == [
        (str(path), 1, rule, observed)
    ]
    reasons = rows("select status, status_reason from samples order by source_row")
    assert reasons == [("ok", None), ("rejected", rule), ("ok", None), ("ok", None)]


def test_a_dirty_row_that_matches_nothing_is_still_listed(
    make_study, write_laion, run_stages, rows
) -> None:
    write_laion({"TEXT": "a star", "WIDTH": 0}, {"TEXT": None, "URL": "x"}, {"TEXT": "clean star"})
    run_stages(make_study(star={"include": ["star"]}), "filter")
    assert len(rows("from samples")) == 2
    assert rows("select source_row, rule from rejected_rows order by all") == [
        (0, "width_out_of_range"),
        (1, "caption_is_empty"),
        (1, "url_is_not_http"),
    ]


def test_rows_with_one_url_and_caption_are_one_sample(
    make_study, write_laion, run_stages, rows
) -> None:
    same = {"URL": "http://a.example/1", "TEXT": "a star"}
    write_laion(same | {"similarity": 9.0}, same, same | {"TEXT": "a  star"}, same)
    run_stages(make_study(), "filter")
    found = rows("select n_rows, status, source_row, similarity from samples order by source_row")
    # The clean row speaks for the sample; a caption that differs by a blank is another one.
    assert found == [(3, "ok", 1, 0.33), (1, "ok", 2, 0.33)]


def test_hostile_captions_stay_whole(make_study, write_captions, run_stages, rows) -> None:
    hostile = [
        "<script>alert(1)</script>",
        "'; drop table samples; --",
        "a" * 61_192,
        "\x1b[31mred",
    ]
    hostile += ["שלום עולם", "👩‍👩‍👧 family", 'quote " and \\ slash\nline']
    write_captions(*hostile)
    run_stages(make_study(), "filter")
    assert {caption for (caption,) in rows("select caption from samples")} == set(hostile)
    too_long = rows("select status_reason from samples where length(caption) > 1000")
    assert too_long == [("over_77_clip_tokens",)]


def test_sample_id_is_the_md5_of_url_and_caption(make_study, write_laion, run_stages, rows) -> None:
    import hashlib

    write_laion({"URL": "http://a.example/é", "TEXT": "<b>Star</b>"})
    run_stages(make_study(), "filter")
    expected = hashlib.md5("http://a.example/é\x1f<b>Star</b>".encode()).hexdigest()
    assert rows("select sample_id, caption_decoded from samples") == [(expected, " Star ")]


def test_the_counts_of_real_laion_captions(make_study, run_stages, rows, lake: Lake) -> None:
    real = Path(__file__).parents[3] / "shared" / "data" / "img2dataset-laion-sample"
    if not (real / "test_10000.parquet").exists():
        pytest.skip("the 10,000 real LAION rows are not here")
    sets = {"vg": {"include": ["van gogh"]}, "astronaut": {"include": ["astronaut"]}}
    run_stages(make_study(parquet=str(real / "test_10000.parquet"), **sets), "filter")
    counts = rows("select keyword_set, n_samples from keyword_sets order by 1")
    assert counts == [("astronaut", 1), ("vg", 3)]
    assert rows("select sum(n_rows) from source_files") == [(10_000,)]
