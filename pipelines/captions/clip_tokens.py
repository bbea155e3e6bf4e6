"""How many CLIP tokens a caption has, begin and end included, as open_clip counts them."""

import gzip
import html
import re
from functools import lru_cache
from pathlib import Path

import duckdb
import ftfy
import pyarrow as pa
from duckdb.func import ARROW
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from ..core.database import query

MAX_CLIP_TOKENS = 77
_MERGES = Path(__file__).parent / "data" / "clip_merges.txt.gz"
_N_MERGES = 49152 - 256 - 2  # the vocabulary less its bytes and its two special tokens
_SPECIAL = ["<start_of_text>", "<end_of_text>"]
_PIECES = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
MAY_BE_ENTITY = re.compile("&[#a-zA-Z]")
# Printable ASCII, –—’…, small accented letters, Cyrillic, kana, ideographs: no sequence of these is
# mojibake to ftfy, and it changes none but ’, which becomes '.
_PLAIN = " -~à-öø-ÿ–—’…а-яА-Яぁ-ゔァ-ヺー一-\u9fef"
PLAIN = re.compile(f"[{_PLAIN}]*")
_REMEMBERED = 1 << 16  # pieces: some 12 MB


def count_clip_tokens(caption: str) -> int:
    """The CLIP tokens of a raw caption; 77 are the most that CLIP reads without cutting."""
    # No token spans a blank: a caption has the tokens of its pieces, and most pieces are frequent.
    return 2 + sum(map(_remember_piece, _pieces(caption)))


def define_clip_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the functions of `sql/captions/clip_tokens.sql`."""
    connection.create_function("clean_clip_text", clean_clip_text, ["varchar"], "varchar")
    connection.create_function(
        "count_piece_tokens", _count_pieces, ["varchar"], "integer", type=ARROW
    )


def count_sample_tokens(
    connection: duckdb.DuckDBPyConnection, limit: int = MAX_CLIP_TOKENS
) -> None:
    """Make the table clip_tokens of the table distinct_samples, of all samples at once.

    It has the same counts, of those samples alone that may have more than the limit.
    """
    values = {"max_clip_tokens": limit, "not_plain": f"[^{_PLAIN}]"}
    connection.execute(query("captions/clip_tokens"), values)


def clean_clip_text(caption: str) -> str:
    """What open_clip splits into tokens: mojibake mended, entities decoded, one space a blank."""
    return " ".join(_pieces(caption))


def _pieces(caption: str) -> list[str]:
    return _clean(caption).lower().split()


def _count_pieces(pieces: pa.ChunkedArray) -> pa.Array:
    return pa.array(map(_count_piece, pieces.to_pylist()), pa.int32())


def _count_piece(piece: str) -> int:
    if piece.isascii() and piece.isalpha():
        return len(_pair_encoding().tokenize(piece))  # one word: three times as fast
    return len(clip_tokenizer().encode(piece, add_special_tokens=False))


_remember_piece = lru_cache(maxsize=_REMEMBERED)(_count_piece)


@lru_cache(maxsize=1)
def _pair_encoding() -> models.BPE:
    model: models.BPE = clip_tokenizer().model  # every mention of it makes an object
    return model


@lru_cache(maxsize=1)
def clip_tokenizer() -> Tokenizer:
    """CLIP's byte-pair encoding on the Rust engine, from the merges that the package carries."""
    lines = gzip.decompress(_MERGES.read_bytes()).decode("utf-8").split("\n")
    merges = [_pair(line) for line in lines[1 : _N_MERGES + 1]]
    letters = _byte_letters()
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges), *_SPECIAL]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    model = models.BPE(vocabulary, merges, end_of_word_suffix="</w>")
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.add_special_tokens(_SPECIAL)
    return tokenizer


def _pair(line: str) -> tuple[str, str]:
    left, right = line.split()
    return left, right


def _byte_letters() -> list[str]:
    """One printable letter a byte, in the order in which CLIP numbers them (as GPT-2 does)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + place) for place in range(len(rest))]


def _clean(caption: str) -> str:
    """open_clip's cleaning but for blanks and case: mojibake mended, entities decoded twice."""
    if PLAIN.fullmatch(caption) and not MAY_BE_ENTITY.search(caption):
        return caption.replace("’", "'")
    return html.unescape(html.unescape(ftfy.fix_text(caption)))
