"""How fast captions are matched and words counted, beside polars, pandas and pyarrow.

    python benchmarks/captions.py --rows 3000000

All read the same generated parquet from a cache, and must find the same. "The floor" is DuckDB
decoding the caption column and doing nothing with it. "memtriggers, match" finds the rows by the
exact token rule, as the peers do; "and dirty captions" finds those in the same pass, as the product
does; "filter" is the whole stage: every rule on every column, samples, parquet written.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import duckdb
import pandas as pd
import polars as pl
import pyarrow.compute as pc
import pyarrow.parquet as pq

from memtriggers.benchmarks.laion_rows import cache_option, phrases, rows_in_cache
from memtriggers.benchmarks.medians import Contestant, print_medians, take_turns
from memtriggers.pipelines import filter as filter_stage
from memtriggers.pipelines import words as words_stage
from memtriggers.pipelines.captions.clip_tokens import count_sample_tokens, define_clip_functions
from memtriggers.pipelines.captions.source import open_source
from memtriggers.pipelines.core.database import connect, query
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.stamp import Stamp
from memtriggers.pipelines.core.study import Data, KeywordSet, Study

_PART = r"[^\p{L}\p{M}\p{N}]"
WORD = r"[\p{L}\p{M}\p{N}]+(?:[-'][\p{L}\p{M}\p{N}]+)*"
# No stage counts occurrences alone. The fastest way that was found: to count the pieces between
# spaces, and to apply the word rule to the distinct ones.
OCCURRENCES = """
create or replace temp table word_occurrences as
with pieces as (
    select piece, count(*) as n
    from (select unnest(string_split(lower(decoded(caption)), ' ')) as piece from source)
    group by piece
),
separated_pieces as (select separated(folded(piece)) as piece, n from pieces),
said as (select unnest(string_split(spaced_words(piece), ' ')) as word, n from separated_pieces)
select word, sum(n)::bigint as n_occurrences from said where word != '' group by word
"""
CHECKED_WORDS = 1000  # the most frequent ones: the peers decode no entities and strip no 's


def make_study(folder: Path, n_sets: int) -> Study:
    sets = tuple(KeywordSet(phrase, (phrase,)) for phrase in phrases()[:n_sets])
    return Study(folder, Data(("*.parquet",)), sets)


@contextmanager
def captions_alone(study: Study, lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection whose `source` has no other column to read."""
    with connect(lake) as connection:
        open_source(connection, study, lake)
        connection.execute(
            "create or replace temp view source as select filename as source_file, "
            "file_row_number as source_row, 0 as caption_number, null::varchar as source_id, "
            "'http://a' as url, "
            "TEXT as caption, null::double as width, null::double as height, "
            f"null::double as similarity from read_parquet('{study.folder}/*.parquet', "
            "filename = true, file_row_number = true)"
        )
        yield connection


def floor(study: Study) -> None:
    duckdb.execute(f"select sum(strlen(TEXT)) from '{study.folder}/*.parquet'").fetchall()


def match(study: Study, lake: Lake) -> dict[str, int]:
    with captions_alone(study, lake) as connection:
        connection.execute(query("filter/rules"))
        connection.execute(
            "create or replace temp macro may_be_dirty(url, caption, width, height, similarity, "
            "addresses) as false"
        )
        filter_stage.find_rows(connection, study)
        return matches(connection)


def match_and_dirty(study: Study, lake: Lake) -> dict[str, int]:
    with captions_alone(study, lake) as connection:
        filter_stage.keep_rows(connection, study)
        return matches(connection)


def matches(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    rows = connection.execute("select keyword_set, count(*) from row_matches group by all")
    return dict(rows.fetchall())


def scan(study: Study) -> pl.LazyFrame:
    return pl.scan_parquet(f"{study.folder}/*.parquet")


def one_with_polars(study: Study, pattern: str) -> dict[str, int]:
    rows = scan(study).filter(pl.col("TEXT").str.contains(pattern)).select(pl.len()).collect()
    return {"van gogh": rows.item()}


def one_with_pandas(study: Study) -> dict[str, int]:
    rows = pd.read_parquet(study.folder, columns=["TEXT"])["TEXT"]
    return {"van gogh": int(rows.str.contains(r"\bvan gogh\b", case=False).sum())}


def one_with_pyarrow(study: Study) -> dict[str, int]:
    rows = pq.read_table(study.folder, columns=["TEXT"])["TEXT"]
    found = pc.match_substring_regex(rows, r"\bvan gogh\b", ignore_case=True)
    return {"van gogh": pc.sum(found).as_py()}


def many_with_polars(study: Study) -> dict[str, int]:
    """contains_any, which knows no boundaries, and then the exact match of what it found."""
    text, names = pl.col("TEXT"), phrases()
    exact = text.str.extract_all(rf"(?i)\b(?:{'|'.join(names)})\b").list.eval(
        pl.element().str.to_lowercase()
    )
    candidates = scan(study).filter(text.str.contains_any(names, ascii_case_insensitive=True))
    said = candidates.select(phrase=exact.list.unique()).explode("phrase").drop_nulls()
    counts = said.group_by("phrase").len().collect()
    return dict(counts.iter_rows())


def words(study: Study, lake: Lake) -> Counter[str]:
    with captions_alone(study, lake) as connection:
        for name in ("word_counts", "caption_counts"):
            connection.execute(query(f"words/{name}"))
        connection.execute(query("words/words"), {"stop_words": []})
        rows = connection.execute(
            "select word, n_captions from words where length(word) > 1 order by n_captions desc"
        )
        return most_frequent(dict(rows.fetchmany(2 * CHECKED_WORDS)))


def occurrences(study: Study, lake: Lake) -> Counter[str]:
    with captions_alone(study, lake) as connection:
        connection.execute(OCCURRENCES)
        rows = connection.execute(
            "from word_occurrences where length(word) > 1 order by n_occurrences desc"
        )
        return most_frequent(dict(rows.fetchmany(2 * CHECKED_WORDS)))


def words_with_polars(study: Study) -> Counter[str]:
    said = pl.col("TEXT").str.to_lowercase().str.extract_all(WORD)
    numbered = scan(study).select(word=said).with_row_index("row").explode("word")
    both = (pl.col("row").n_unique().alias("n_captions"), pl.len().alias("n_occurrences"))
    counts = numbered.group_by("word").agg(*both).sort("n_captions", descending=True).collect()
    rows = counts.filter(pl.col("word").str.len_chars() > 1).head(2 * CHECKED_WORDS)
    return most_frequent(dict(rows.select("word", "n_captions").iter_rows()))


def occurrences_with_polars(study: Study) -> Counter[str]:
    said = pl.col("TEXT").str.to_lowercase().str.extract_all(WORD)
    counts = scan(study).select(word=said).explode("word").group_by("word").len().collect()
    rows = counts.filter(pl.col("word").str.len_chars() > 1).top_k(2 * CHECKED_WORDS, by="len")
    return most_frequent(dict(rows.iter_rows()))


def most_frequent(counts: dict[str, int]) -> Counter[str]:
    plain = {word: n for word, n in counts.items() if word != "amp" and "'" not in word}
    by_count = sorted(plain.items(), key=lambda item: (-item[1], item[0]))  # ties by word
    return Counter(dict(by_count[:CHECKED_WORDS]))


def count_tokens(study: Study, lake: Lake) -> None:
    """The limit decided for every caption."""
    with captions_alone(study, lake) as connection:
        connection.execute(
            "create temp view distinct_samples as "
            "select source_file || source_row as sample_id, caption from source"
        )
        define_clip_functions(connection)
        count_sample_tokens(connection)


def run_filter(study: Study, lake: Lake) -> None:
    filter_stage.run(study, lake, Stamp({}, {}))


def run_words(study: Study, lake: Lake) -> None:
    words_stage.run(study, lake, Stamp({}, {}))


def one_set(folder: Path, lake: Lake) -> dict[str, Contestant]:
    study = make_study(folder, 1)
    same_rule = rf"(?i)(?:^|{_PART})van{_PART}+gogh(?:$|{_PART})"
    return {
        "the floor": lambda: floor(study),
        "memtriggers, match": lambda: match(study, lake),
        "and dirty captions": lambda: match_and_dirty(study, lake),
        r"polars (?i)\bvan gogh\b": lambda: one_with_polars(study, r"(?i)\bvan gogh\b"),
        "polars, the token rule": lambda: one_with_polars(study, same_rule),
        "pandas": lambda: one_with_pandas(study),
        "pyarrow.compute": lambda: one_with_pyarrow(study),
        "memtriggers, filter": lambda: run_filter(study, lake),
    }


def many_sets(folder: Path, lake: Lake) -> dict[str, Contestant]:
    study = make_study(folder, len(phrases()))
    return {
        "the floor": lambda: floor(study),
        "memtriggers, match": lambda: match(study, lake),
        "and dirty captions": lambda: match_and_dirty(study, lake),
        "polars contains_any, exact": lambda: many_with_polars(study),
        "memtriggers, filter": lambda: run_filter(study, lake),
    }


def all_words(folder: Path, lake: Lake) -> dict[str, Contestant]:
    study = make_study(folder, 1)
    return {
        "the floor": lambda: floor(study),
        "memtriggers, both counts": lambda: words(study, lake),
        "polars, both counts": lambda: words_with_polars(study),
        "memtriggers, words and bigrams": lambda: run_words(study, lake),
    }


def all_occurrences(folder: Path, lake: Lake) -> dict[str, Contestant]:
    study = make_study(folder, 1)
    return {
        "the floor": lambda: floor(study),
        "memtriggers": lambda: occurrences(study, lake),
        "polars": lambda: occurrences_with_polars(study),
    }


def tokens(folder: Path, lake: Lake) -> dict[str, Contestant]:
    study = make_study(folder, 1)
    return {"the floor": lambda: floor(study), "memtriggers": lambda: count_tokens(study, lake)}


TABLES = {
    "one keyword set": one_set,
    "100 keyword sets": many_sets,
    "words": all_words,
    "words, occurrences alone": all_occurrences,
    "CLIP token limit": tokens,
}


@click.command()
@click.option("--rows", "sizes", multiple=True, type=int, default=(1_000_000, 3_000_000))
@click.option("--repeats", default=3, show_default=True, help="Runs of each contestant.")
@click.option("--only", type=click.Choice(list(TABLES)), help="One table instead of all.")
@cache_option
def main(sizes: tuple[int, ...], repeats: int, only: str | None, cache: Path) -> None:
    """Compare ways to match captions and to count words."""
    for n_rows in sizes:
        folder = rows_in_cache(cache, n_rows)
        for title in [only] if only else TABLES:
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                contestants = TABLES[title](folder, Lake(Path(scratch)))
                medians = take_turns(contestants, repeats)
            print_medians(f"{title}, {n_rows:,} rows, medians of {repeats}", medians)


if __name__ == "__main__":
    main()
