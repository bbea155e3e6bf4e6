"""The forms that tokens and words fold, by ftfy's tables, as CLIP's tokenizer reads them."""

import unicodedata

from ftfy.chardata import LIGATURES, WIDTH_MAP

FORMS = WIDTH_MAP | {k: v for k, v in LIGATURES.items() if k >= 0xFB00} | {0xAD: ""}
FORMS.pop(ord("￣"))  # a symbol: it is in no word; ftfy makes it a blank and a mark


def in_plain_forms(text: str) -> str:
    """A text without full-width forms, Latin ligatures and soft hyphens."""
    return unicodedata.normalize("NFC", text.translate(FORMS))
