"""Words, pairs of words and their two counts, against a count in plain Python."""

import html
import os
import random
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import regex

from memtriggers.pipelines.core.errors import SourceError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study
from memtriggers.pipelines.stages import STAGES
from memtriggers.tests.plain_forms import in_plain_forms
from memtriggers.tests.processor import measured

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
    text = regex.sub("</?[a-zA-Z][^<>]*>", " ", html.unescape(html.unescape(caption)))
    # İ is the one letter whose lower case is two characters in Python, and one in Unicode's table
    text = in_plain_forms(text.replace("’", "'"))
    text = text.replace("İ", "i")
    folded = "".join(c.lower() for c in text)
    found = regex.findall(r"[\p{L}\p{M}\p{N}]+(?:[-'][\p{L}\p{M}\p{N}]+)*", folded)
    return [word.removesuffix("'s") for word in found]


def both_counts(things: Iterable[list[Any]]) -> list[tuple[Any, ...]]:
    """(thing, n_captions, n_occurrences), sorted."""
    occurrences: Counter[Any] = Counter()
    captions: Counter[Any] = Counter()
    for said in things:
        occurrences.update(said)
        captions.update(set(said))
    return sorted((thing, captions[thing], n) for thing, n in occurrences.items())


def read(file: Path, query: str) -> list[tuple[Any, ...]]:
    return duckdb.execute(query, {"file": str(file)}).fetchall()


def check_counts(lake: Lake, captions: list[str]) -> None:
    """Every word and pair with both counts, each caption read in plain Python."""
    said = [words_in_python(caption) for caption in captions]
    assert sorted(read(lake.words, COUNTS)) == both_counts(said)
    assert sorted(read(lake.bigrams, PAIR_COUNTS)) == both_counts(list(pairwise(w)) for w in said)


STAR = "from read_parquet($file) where word = 'star'"
COUNTS = "select word, n_captions, n_occurrences from read_parquet($file)"
PAIR_COUNTS = "select (word, next_word), n_captions, n_occurrences from read_parquet($file)"


def test_both_counts(
    lake: Lake,
    make_study: Callable[..., Study],
    write_captions: Callable[..., Any],
    run_stages: Callable[..., None],
) -> None:
    write_captions(*CAPTIONS)
    run_stages(make_study(star={"include": ["star"]}), "words")
    said = [words_in_python(caption or "") for caption in CAPTIONS]
    assert sorted(read(lake.words, COUNTS)) == both_counts(said)
    share = read(
        lake.words, "select share_of_captions from read_parquet($file) where word = 'star'"
    )
    assert share == [(1 / 6,)]  # six captions are not null


def test_forms_that_nobody_sees_make_no_other_word(
    lake: Lake,
    make_study: Callable[..., Study],
    write_captions: Callable[..., Any],
    run_stages: Callable[..., None],
) -> None:
    captions = [
        "Van Gogh's starry self-portrait, fine art 2014",
        "ＶＡＮ　ＧＯＧＨ＇ｓ ｓｔａｒｒｙ ｓｅｌｆ－ｐｏｒｔｒａｉｔ、ﬁne art ２０１４",
        "Van Gogh\u00ad's star\u00adry self-por\u00adtrait, f\u00adine art 20\u00ad14",
    ]
    write_captions(*captions)
    run_stages(make_study(vg={"include": ["starry 2014", "Ｖan gogh"]}), "filter", "words")
    words = read(lake.words, "select word, n_captions from read_parquet($file) order by 1")
    assert words == [
        (w, 3) for w in ("2014", "art", "fine", "gogh", "self-portrait", "starry", "van")
    ]


def test_a_keyword_is_never_a_stop_word(
    lake: Lake,
    make_study: Callable[..., Study],
    write_captions: Callable[..., Any],
    run_stages: Callable[..., None],
) -> None:
    write_captions("the van of van gogh in a room")
    study = make_study(vg={"include": ["van gogh"]}, sections='[words]\nlanguages = ["en", "nl"]')
    run_stages(study, "words")
    stop = read(lake.words, "select word from read_parquet($file) where is_stop_word order by 1")
    assert stop == [("a",), ("in",), ("of",), ("the",)]


def test_another_keyword_set_counts_nothing_again(
    lake: Lake,
    tmp_path: Path,
    make_study: Callable[..., Study],
    write_captions: Callable[..., Path],
    run_stages: Callable[..., None],
) -> None:
    file = write_captions(*CAPTIONS, *(f"the star {n}, a star of {n}" for n in range(5000)))
    stop = "select word from read_parquet($file) where is_stop_word order by all"
    run_stages(make_study(room={"include": ["room"]}), "words")
    first, before = read(lake.words, "from read_parquet($file)"), read(lake.words, stop)
    pairs = read(lake.bigrams, "from read_parquet($file)")

    others, captions = make_study(the={"include": ["the"]}), file.read_bytes()
    known = file.stat()
    text = pq.read_metadata(file).row_group(0).column(2)
    start = text.dictionary_page_offset
    end = start + text.total_compressed_size
    assert text.path_in_schema == "TEXT" and end < len(captions)
    file.write_bytes(captions[:start] + bytes(end - start) + captions[end:])  # nobody can read it
    os.utime(file, ns=(known.st_atime_ns, known.st_mtime_ns))
    assert STAGES["words"].why_stale(others, lake) == ["study key keyword_set"]
    run_stages(others, "words")
    assert STAGES["words"].why_stale(others, lake) == []
    again = read(lake.words, "from read_parquet($file)")
    assert [(w, c, n, share) for w, c, n, _, share in again] == [
        (w, c, n, share) for w, c, n, _, share in first
    ]
    assert set(before) - set(read(lake.words, stop)) == {("the",)}
    assert read(lake.bigrams, "from read_parquet($file)") == pairs
    with pytest.raises(SourceError, match=r"laion\.parquet: is damaged within"):
        run_stages(others, "words")  # who asks for it has it counted again


@pytest.mark.parametrize("minimum", [1, 2])
def test_pairs_of_adjacent_words(
    lake: Lake,
    make_study: Callable[..., Study],
    write_captions: Callable[..., Any],
    run_stages: Callable[..., None],
    minimum: int,
) -> None:
    captions = ["a b a b", "A, b", "b - a", "a", "", None, "x’s y's"]
    write_captions(*captions)
    run_stages(make_study(sections=f"[words]\nbigram_min_captions = {minimum}"), "words")
    every = both_counts(list(pairwise(words_in_python(caption or ""))) for caption in captions)
    kept = [row for row in every if row[1] >= minimum]
    assert len(kept) == (3 if minimum == 1 else 2)
    assert sorted(read(lake.bigrams, PAIR_COUNTS)) == kept


def long_captions() -> list[str]:
    """Captions around the length from which words are sorted, and two as long as a book."""
    chance = random.Random(0)
    captions = [
        " ".join(chance.choices("abcdefgh", k=k) + [str(n) for n in range(chance.randint(0, k))])
        for k in (1, 50, 100, 150, 199, 200, 201, 202, 300)
    ]
    return [*captions, "star " * 60_000, " ".join(map(str, range(60_000)))]


def test_long_captions_cost_what_their_words_cost_and_not_the_square(
    lake: Lake,
    make_study: Callable[..., Study],
    write_captions: Callable[..., Any],
    run_stages: Callable[..., None],
) -> None:
    captions = long_captions()
    write_captions(*captions)
    with measured() as seconds:
        run_stages(make_study(sections="[words]\nbigram_min_captions = 1"), "words")
    assert seconds[0] < 20, "of all threads; the square of their words takes minutes"
    check_counts(lake, captions)


def agreed_code_points() -> list[str]:
    """Where Python's Unicode table and DuckDB's say the same: they need not be of one year."""
    every = map(chr, range(0x110000))
    letters = pa.table({"c": [c for c in every if unicodedata.category(c) != "Cs"]})
    is_letter = r"regexp_matches(c, '[\p{L}\p{M}\p{N}]')"
    known = duckdb.from_arrow(letters).project(f"c, lower(c), nfc_normalize(c), {is_letter}")
    return [
        c
        for c, lower, composed, is_letter in known.fetchall()
        if unicodedata.category(c) not in ("Cn", "Co")
        and lower == c.lower()
        and composed == unicodedata.normalize("NFC", c)
        and is_letter == bool(regex.match(r"[\p{L}\p{M}\p{N}]", c))
    ]


def odd_captions() -> list[str]:
    """Captions of every letter, of words that come again, and of whatever may join or part them."""
    chance, letters = random.Random(0), agreed_code_points()
    assert len(letters) > 130_000
    chance.shuffle(letters)
    often = [
        "van",
        "Gogh",
        "gogh's",
        "self-portrait",
        "Café",
        "cafe\u0301",
        "rock'n'roll",
        "İ",
        "a",
    ]
    joints = [" ", " ", " ", "  ", "-", "'", "’", "’s ", "'s", ", ", "\t", "\u00a0", "", "--", "_"]
    joints += ["&amp;", "&eacute;", "&amp;quot;", "<b>", "</i>", "&#39;s ", "\u200d", "/", "\u0301"]
    captions = []
    while letters:
        words = chance.choices(often, k=chance.randint(0, 6))
        for _ in range(chance.randint(0, 6)):
            words.append("".join(letters[-(length := chance.randint(1, 6)) :]))
            del letters[-length:]
        chance.shuffle(words)
        captions.append("".join(word + chance.choice(joints) for word in words))
    return captions


def test_captions_of_every_letter(
    lake: Lake, tmp_path: Path, make_study: Callable[..., Study], run_stages: Callable[..., None]
) -> None:
    captions = odd_captions()
    table = pa.table({"url": [str(n) for n in range(len(captions))], "text": captions})
    pq.write_table(table, tmp_path / "odd.parquet")
    run_stages(make_study(sections="[words]\nbigram_min_captions = 1"), "words")
    check_counts(lake, captions)
