"""The match rule and the rules of dirty rows: the cheap scan misses nothing that they find."""

import html
import re
import string
import unicodedata
from collections.abc import Callable

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memtriggers.pipelines.captions.source import define_macros, open_source
from memtriggers.pipelines.core.database import query
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Data, KeywordSet, Study
from memtriggers.pipelines.filter import keep_rows
from memtriggers.tests.plain_forms import in_plain_forms

Match = Callable[[list[str]], set[tuple[str, str]]]
KELVIN = "\u212a"
slowly = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def tokens_in_python(caption: str) -> list[str]:
    """The token rule, said once more without a regular expression for tokens."""
    text = re.sub("</?[a-zA-Z][^<>]*>", " ", html.unescape(html.unescape(caption)))
    # İ is the one letter whose lower case is two characters in Python, and one in Unicode's table
    text = in_plain_forms(text.replace("’", "'"))
    text = text.replace("İ", "i")
    folded = "".join(c.lower() for c in text)
    return "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in folded).split()


def matches_in_python(caption: str, phrase: str) -> bool:
    wanted, said = tokens_in_python(phrase), tokens_in_python(caption)
    places = range(len(said) - len(wanted) + 1)
    return any(said[place : place + len(wanted)] == wanted for place in places)


# What a cheap scan could miss: the Kelvin sign, İ, composed and decomposed letters, letters and
# blanks in entities, full-width letters, ligatures. All are in every Unicode since 2010.
PARTS = st.sampled_from(
    [
        *"aAbkKiIıİsſßÉéşŞ'’-–_ \u00a0\t&;<>/.,0١गोहिन्ไทยשלוםЖ中🎨\u200d",
        *("\u0301", "\u0307", "\u0323", "\u0327", "ﬁ", "Ｋ", KELVIN, "<b>", "</b>"),
        *("\u00ad", "ｋ", "ｉ", "ｎd", "０", "ﬅ", "ﬆ", "ﬃ", "ﾊﾞ", "バ", "＇", "－", "ＫＩＮＤ"),
        "ki\u00adnd",
        *("&eacute", "&eacute;", "&#107;", "&#x6B;", "&amp;#107;", "&nbsp;", "&#304;", "&amp;"),
        *("kind", "KIND", "Kind", "KİND", "KI\u0307ND", f"{KELVIN}ind", "cafe\u0301", "CAFÉ"),
    ]
)
CAPTIONS = st.lists(PARTS, max_size=9).map("".join)
PHRASES = ["kind", "ik", "café", "é", "हिन्", "kind café", "a", "中", "i\u0327", "s", "ßa"]
PHRASES += ["0", "fi", "バ", "st"]


@pytest.fixture(scope="module")
def match_in_sql(tmp_path_factory: pytest.TempPathFactory) -> Match:
    """Which phrases each caption says, as `filter` finds them: scan, then exact rule."""
    folder = tmp_path_factory.mktemp("rule")
    pq.write_table(pa.table({"url": ["u"], "text": ["t"]}), folder / "a.parquet")
    sets = tuple(KeywordSet(phrase, (phrase,)) for phrase in PHRASES)
    study = Study(folder, Data(("a.parquet",)), sets)
    connection = duckdb.connect()
    open_source(connection, study, Lake(folder / "lake"))

    def match(captions: list[str]) -> set[tuple[str, str]]:
        connection.register("captions", pa.table({"row": range(len(captions)), "text": captions}))
        connection.execute(
            "create or replace temp view source as "
            "select '' as source_file, row as source_row, 0 as caption_number, "
            "null::varchar as source_id, "
            "'https://a.example/1' as url, text as caption, 1.0 as width, 1.0 as height, "
            "null::double as similarity from captions"
        )
        keep_rows(connection, study)
        rows = connection.execute("select source_row, keyword_set from row_matches").fetchall()
        return {(captions[row], phrase) for row, phrase in rows}

    return match


@settings(slowly, max_examples=50)  # a scan costs more than its captions: many at once
@given(captions=st.lists(CAPTIONS, min_size=30, max_size=40))
def test_scan_and_rule_find_what_python_finds(match_in_sql: Match, captions: list[str]) -> None:
    expected = {(c, p) for c in captions for p in PHRASES if matches_in_python(c, p)}
    assert match_in_sql(captions) == expected


def test_no_code_point_hides_a_needle_from_the_scan(
    match_in_sql: Match, rules: duckdb.DuckDBPyConnection
) -> None:
    """Whatever becomes an ASCII letter in NFC and lower case is found in the raw caption."""
    everything = [chr(code) for code in range(1, 0x110000) if not 0xD800 <= code < 0xE000]
    letters = pa.table({"letter": everything})
    rules.register("letters", letters)
    is_letter = (
        "regexp_matches(folded(letter), '[a-z0-9]') and not regexp_matches(letter, ascii_forms())"
    )
    found = rules.execute(
        f"select letter from letters where {is_letter} order by letter"
    ).fetchall()
    expected = [*string.ascii_letters, *string.digits, "İ", KELVIN]
    assert found == [(letter,) for letter in sorted(expected)]
    kinds = [f"{k}{i}nd" for k in ("k", "K", KELVIN) for i in ("i", "I", "İ", "I\u0307")]
    assert match_in_sql(kinds) >= {(caption, "kind") for caption in kinds}


def test_what_is_not_normalized_is_normal(rules: duckdb.DuckDBPyConnection) -> None:
    """What skips nfc_normalize() in folded() is in NFC, next to whatever it may compose with."""
    every = [chr(code) for code in range(1, 0x110000) if not 0xD800 <= code < 0xE000]
    composed = [c for c in every if unicodedata.normalize("NFD", c) != c]
    taken_apart = [unicodedata.normalize("NFD", c) for c in composed]
    disordered = [f"{text}{mark}" for text in taken_apart for mark in "\u0301\u0323\u0327\u3099"]
    texts = pa.table({"text": [*every, *taken_apart, *disordered]})
    rules.register("texts", texts)
    folded = "lower(nfc_normalize(plain_forms(replace(text, '’', ''''))))"
    different = rules.execute(f"select text from texts where folded(text) != {folded}")
    assert different.fetchall() == []


@pytest.fixture(scope="module")
def rules() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    define_macros(connection)
    connection.execute(query("filter/rules"))
    return connection


DIRTY_CAPTIONS = st.one_of(st.none(), st.text("aÉ中0- \u00a0\n.", max_size=3), CAPTIONS)
URLS = st.sampled_from([None, "", " ", "http", "https:///x", "HTTP://a", "http://é/", "http://a"])
URLS |= st.sampled_from([" http://a\t", "\thttp:///x ", "\n\r", "\u00a0http://a"])
NUMBERS = st.sampled_from([None, -2.0, 0.0, 0.5, 1.0, 20_000.0, 20_001.0])


@pytest.mark.parametrize("caption", ["1<br>", "&nbsp;2", "<i>&lt;b&gt;</i>"])
def test_what_is_gone_when_decoded_is_no_letter(
    rules: duckdb.DuckDBPyConnection, caption: str
) -> None:
    row = rules.execute(
        "select may_be_dirty('http://a', $c, null, null, null, true)", {"c": caption}
    ).fetchone()
    assert row == (True,)


@slowly
@given(
    url=URLS,
    caption=DIRTY_CAPTIONS,
    size=NUMBERS,
    similarity=NUMBERS,
    addresses=st.sampled_from([True, False, None]),
)
def test_no_dirty_row_passes_the_cheap_test(
    rules: duckdb.DuckDBPyConnection,
    url: str | None,
    caption: str | None,
    size: float | None,
    similarity: float | None,
    addresses: bool | None,
) -> None:
    row = rules.execute(
        "select len(broken_rules(url, caption, decoded(caption), size, size, s, $addresses)) > 0, "
        "may_be_dirty(url, caption, size, size, s, $addresses) from (select $url::varchar as url, "
        "$caption::varchar as caption, $size::double as size, $similarity::double as s)",
        {
            "url": url,
            "caption": caption,
            "size": size,
            "similarity": similarity,
            "addresses": addresses,
        },
    ).fetchone()
    assert row is not None
    is_dirty, may_be_dirty = row
    assert may_be_dirty or not is_dirty
