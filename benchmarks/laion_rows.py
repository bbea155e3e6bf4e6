"""LAION-shaped parquet of any size, with known answers: what the caption benchmarks read.

Lengths, punctuation, entities and repeated words are much like those of 10,000 real captions of
LAION-400M: 59 bytes and 9 words on average, 80 % of at most 75 bytes, 6 % not ASCII, 4 % with `&`,
0.5 % with an entity, 20 % that repeat a word.
"""

import tempfile
from itertools import product
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ROWS_PER_FILE = 1_000_000
ROWS_PER_PHRASE = 4_600  # "van gogh" in LAION-400M: 90,000 of 413 million
N_PHRASES = 100

_ONSETS = (*"bcdfghlmnprst", "st", "tr", "ch")
_VOWELS = (*"aeiou", "ee", "ai")
_ENDINGS = ("ova", "iro", "ela", "unta", "asti")  # of planted words
_N_WORDS = 150_000
_PIECES = ("{}", "{T}", "{T},", "{U}", "{}.", "({T})", "{}-{}")  # how a word is written
_SHARES = (0.44, 0.42, 0.05, 0.04, 0.02, 0.02, 0.01)
_FEW_SHARE = 0.16  # of all words: one of the 12 that are said most, as "of", "the" and "in" are
_ODD = (*("&",) * 8, *("café", "naïve", "’s", "日本", "–") * 3, *("|", "-") * 2, "&amp;", "<b>")
_ODD_SHARE = 0.015  # of all pieces
_LENGTH = 2.16, 0.55  # pieces of a caption: mean and standard deviation of the logarithm

cache_option = click.option(
    "--cache",
    default=Path(tempfile.gettempdir()) / "memtriggers-bench",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where the generated parquet stays.",
)

Random = np.random.Generator
Integers = npt.NDArray[np.int64]


def phrases() -> list[str]:
    """The planted phrases, two words each; no other caption says one."""
    names = [f"{a}{b}q" for a, b in product("bcdfghjklmnprstvwxyz", _ENDINGS)]
    pairs = [f"{one} {two}x" for one, two in zip(names, names[7:] + names[:7], strict=True)]
    return ["van gogh", *pairs][:N_PHRASES]


def rows_in_cache(cache: Path, n_rows: int) -> Path:
    """The folder of the generated rows, which are made once."""
    folder = cache / f"laion-{n_rows}"
    if not folder.exists():
        unfinished = cache / f"laion-{n_rows}.tmp"
        write_rows(unfinished, n_rows)
        unfinished.rename(folder)
    return folder


def write_rows(folder: Path, n_rows: int) -> list[int]:
    """Write `n_rows` rows as parquet files into a folder; the same rows for the same number.

    Returns:
        For each phrase, how many captions say it.

    """
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary, counts = _vocabulary(), np.zeros(N_PHRASES, np.int64)
    for number, start in enumerate(range(0, n_rows, ROWS_PER_FILE)):
        random = np.random.default_rng([n_rows, number])
        n = min(ROWS_PER_FILE, n_rows - start)
        planted = _planted(random, n)
        counts += np.bincount(planted[planted >= 0], minlength=N_PHRASES)
        table = _table(random, start, _plant(_captions(random, vocabulary, n), planted, random))
        pq.write_table(table, folder / f"part-{number:05}.parquet", row_group_size=122_880)
    return [int(count) for count in counts]


def _vocabulary() -> pa.Array:
    """Every way to write each word, the words in the order of their rank, then the odd pieces."""
    syllables = ["".join(pair) for pair in product(_ONSETS, _VOWELS)]
    some = np.random.default_rng(0).choice(syllables, (2 * _N_WORDS, 3))
    lengths: list[int] = (
        1 + np.arange(2 * _N_WORDS) // 500
    ).tolist()  # the frequent words are the short ones
    words = dict.fromkeys("".join(w[: min(n, 3)]) for w, n in zip(some, lengths, strict=True))
    pieces = [p.format(w, w, T=w.title(), U=w.upper()) for w in words for p in _PIECES]
    return pa.array([*pieces, *_ODD], pa.string())


def _captions(random: Random, vocabulary: pa.Array, n: int) -> pa.Array:
    lengths = np.clip(random.lognormal(*_LENGTH, n).astype(np.int64), 1, 80)
    n_pieces, n_plain = int(lengths.sum()), len(vocabulary) - len(_ODD)
    # Zipf's law: the share of the words up to rank r grows with its logarithm
    rank = np.exp(random.random(n_pieces) * np.log(n_plain / len(_PIECES))).astype(np.int64) - 1
    few = random.random(n_pieces) < _FEW_SHARE
    rank[few] = random.integers(0, 12, int(few.sum()))
    piece = rank * len(_PIECES) + random.choice(len(_PIECES), n_pieces, p=_SHARES)
    odd = random.random(n_pieces) < _ODD_SHARE
    piece[odd] = n_plain + random.integers(0, len(_ODD), int(odd.sum()))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pc.binary_join(pa.ListArray.from_arrays(offsets, vocabulary.take(piece)), " ")


def _planted(random: Random, n: int) -> Integers:
    """Which phrase each row says; -1: none."""
    phrase = random.integers(0, ROWS_PER_PHRASE, n)
    return np.where(phrase < N_PHRASES, phrase, -1)


def _plant(captions: pa.Array, planted: Integers, random: Random) -> pa.Array:
    """Put the phrases before their captions, and words that look like the first before others."""
    ways = [way for p in phrases() for way in (f"{p} ", f"{p.title()}: ", f"{p.upper()}'s ")]
    decoys = ["Vangogh ", "vanguard gogh "]
    way = np.where(planted >= 0, 3 * planted + random.integers(0, 3, len(planted)), -1)
    decoy = (planted < 0) & (random.random(len(planted)) < 1 / ROWS_PER_PHRASE)
    way[decoy] = len(ways) + random.integers(0, len(decoys), int(decoy.sum()))
    before = pa.array([*ways, *decoys, ""]).take(np.where(way < 0, len(ways) + len(decoys), way))
    return pc.binary_join_element_wise(before, captions, "")


def _table(random: Random, start: int, captions: pa.Array) -> pa.Table:
    """All columns of LAION-400M; one row in 10,000 has a width of 0."""
    n = len(captions)
    hosts = pa.array([f"https://images.host-{k:06}.example/media/catalog/" for k in range(50_000)])
    host = np.exp(random.random(n) * np.log(len(hosts))).astype(np.int64) - 1
    name = pa.array(random.integers(10**17, 10**18, n)).cast(pa.string())
    url = pc.binary_join_element_wise(hosts.take(host), name, "-large-product-image.jpg", "")
    return pa.table(
        {
            "SAMPLE_ID": np.arange(start, start + n),
            "URL": url,
            "TEXT": captions,
            "HEIGHT": random.integers(200, 2000, n).astype(np.int32),
            "WIDTH": np.where(random.random(n) < 1e-4, 0, 400).astype(np.int32),
            "LICENSE": pa.array(["?"]).take(np.zeros(n, np.int64)),
            "NSFW": pa.array(["UNLIKELY", "UNSURE", "NSFW"]).take(random.integers(0, 3, n)),
            "similarity": random.uniform(0.3, 0.5, n),
        }
    )
