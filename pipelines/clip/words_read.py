"""The words that a small model has read, where a file beside its weights says so."""

import re

from ..core.errors import ModelError
from .model import ClipChoice

WORDS = "words.txt"  # beside the weights

_WORD = re.compile(r"[^\W\d_]+")  # a run of letters, as CLIP's tokenizer splits them


def split_words(text: str) -> list[str]:
    """The words of a text in lower case."""
    return _WORD.findall(text.lower())


def words_read(choice: ClipChoice) -> frozenset[str] | None:
    """What the captions said that a model was trained on; None where nobody says.

    Raises:
        ModelError: the file cannot be read; names it.

    """
    file = choice.beside_weights(WORDS)
    if file is None or not file.is_file():
        return None
    try:
        return frozenset(file.read_text("utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{file}: cannot be read ({error}); remove it") from None
