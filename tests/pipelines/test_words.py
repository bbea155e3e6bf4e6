"""Words and their two counts, against a count in plain Python."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import duckdb

from memtriggers.pipelines.lake import Lake
from memtriggers.pipelines.study import Study

CAPTIONS = [
    "Self-Portrait with a bandaged ear, self-portrait",
    "Van Gogh's Room; van gogh’s room",
    "the rock'n'roll of the-the -dash- 'quoted' o'neill's",
    "&quot;Keep Calm&quot; <i>and</i> Caf&eacute;",
    "",
    None,
    "2014 2014 star",
]


def words_in_python(caption: str) -> list[str]:
    text = re.sub("<[^>]*>", " ", caption.replace("&quot;", '"').replace("&eacute;", "é"))
    found = re.findall(r"[^\W_]+(?:[-'][^\W_]+)*", text.replace("’", "'").lower())
    return [word.removesuffix("'s") for word in found]


def read(lake: Lake, query: str) -> list[tuple[Any, ...]]:
    return duckdb.execute(query, {"file": str(lake.words)}).fetchall()


def test_both_counts(
    lake: Lake,
    make_study: Callable[..., Study],
    write_captions: Callable[..., Any],
    run_stages: Callable[..., None],
) -> None:
    write_captions(*CAPTIONS)
    run_stages(make_study(star={"include": ["star"]}), "words")
    occurrences: Counter[str] = Counter()
    captions: Counter[str] = Counter()
    for caption in CAPTIONS:
        occurrences.update(words_in_python(caption or ""))
        captions.update(set(words_in_python(caption or "")))
    found = read(lake, "select word, n_captions, n_occurrences from read_parquet($file)")
    assert sorted(found) == sorted((word, captions[word], n) for word, n in occurrences.items())
    share = read(lake, "select share_of_captions from read_parquet($file) where word = 'star'")
    assert share == [(1 / 6,)]  # six captions are not null


def test_a_keyword_is_never_a_stop_word(
    lake: Lake,
    make_study: Callable[..., Study],
    write_captions: Callable[..., Any],
    run_stages: Callable[..., None],
) -> None:
    write_captions("the van of van gogh in a room")
    study = make_study(vg={"include": ["van gogh"]}, sections='[words]\nlanguages = ["en", "nl"]')
    run_stages(study, "words")
    stop = read(lake, "select word from read_parquet($file) where is_stop_word order by 1")
    assert stop == [("a",), ("in",), ("of",), ("the",)]
