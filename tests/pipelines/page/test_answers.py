"""How a figure of the report is written."""

import pytest

from memtriggers.pipelines.page.answers import percent, shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        ("", "–"),
        (0, "0"),
        (1_234_567, "1,234,567"),
        (0.52, "0.520"),
        (True, "yes"),
        ("two\nlines\tand\x1b[31m red\x00", "two lines and[31m red"),
    ],
)
def test_one_format_for_every_figure(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_long_caption_is_cut() -> None:
    assert shown("x" * 61_192) == "x" * 159 + "…"
    assert shown("x" * 160) == "x" * 160


def test_a_share_in_a_sentence_is_a_percentage() -> None:
    assert percent(0.646) == "64.6\N{NO-BREAK SPACE}%"
