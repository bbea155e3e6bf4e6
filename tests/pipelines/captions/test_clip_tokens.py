"""Exactly the number of tokens that open_clip's own tokenizer makes."""

import json
from pathlib import Path

import ftfy
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from open_clip.tokenizer import SimpleTokenizer

from memtriggers.pipelines.captions.clip_tokens import count_clip_tokens

ROOT = Path(__file__).parents[3]
SHARED = ROOT.parent / "shared" / "data"
ODD = [
    "", "  ", "Ⱥ" * 37, "x" * 61_192, "don't WE'LL it’s", "🎨🎨 👩‍👩‍👧", "מרחבא नमस्ते ไทย",
    "İstanbul ŞÉ", "a&amp;amp;b", "tab\tnew\nline", "\x1b[31mred\x07",
    "<start_of_text> hi <end_of_text>", "ﬁ ½ ①",
]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer() -> SimpleTokenizer:
    return SimpleTokenizer()


def same(captions: list[str], tokenizer: SimpleTokenizer) -> None:
    counted = count_clip_tokens(pa.array(captions, pa.string())).to_pylist()
    assert counted == [len(tokenizer.encode(caption)) + 2 for caption in captions]


def test_odd_captions(tokenizer: SimpleTokenizer) -> None:
    same(ODD, tokenizer)


def test_a_null_stays_null() -> None:
    assert count_clip_tokens(pa.array([None, "star"], pa.string())).to_pylist() == [None, 3]


def test_the_sample(tokenizer: SimpleTokenizer) -> None:
    same(pq.read_table(ROOT / "sample" / "openclipart.parquet")["TEXT"].to_pylist(), tokenizer)


def test_real_captions(tokenizer: SimpleTokenizer) -> None:
    if not SHARED.exists():
        pytest.skip("the real LAION captions are not here")
    rows = pq.read_table(SHARED / "img2dataset-laion-sample" / "test_10000.parquet")["TEXT"]
    lines = (SHARED / "memorized-sdv1-wen" / "sdv1_500_memorized.jsonl").read_text("utf-8")
    captions = rows.to_pylist() + [json.loads(line)["caption"] for line in lines.splitlines()]
    same([caption for caption in captions if caption], tokenizer)


# U+0345 is a mark that turns into a letter when case is ignored: `regex`, which open_clip uses,
# then sees neither. Unassigned code points may get a class in a later Unicode.
LETTERS = st.characters(exclude_categories=["Cs", "Cn", "Co"], max_codepoint=0x2FFF)


@settings(max_examples=300, deadline=None)
@given(text=st.text(LETTERS, max_size=60))
def test_any_text(tokenizer: SimpleTokenizer, text: str) -> None:
    assume("\u0345" not in ftfy.fix_text(text))
    same([text], tokenizer)
