"""Words that say nothing about a picture: counted like all others, left out only of rankings."""

import json
from pathlib import Path

from ..core.errors import StudyError
from ..core.study import Study

_FILE = Path(__file__).parent / "data" / "stop_words.json"

# The English list is made for web search and also holds words that name what a picture shows.
_SEEN = {
    *("bill", "computer", "face", "faces", "fire", "hell", "home", "mill"),
    *("ring", "room", "rooms", "world"),
}


def stop_words(study: Study) -> list[str]:
    """The stop words of the study's languages, less every word of a keyword set, sorted.

    Raises:
        StudyError: a language that the list does not have.

    """
    lists: dict[str, list[str]] = json.loads(_FILE.read_text(encoding="utf-8"))
    for language in study.words.languages:
        if language not in lists:
            known = ", ".join(sorted(lists))
            raise StudyError(f"words: languages: {language!r} is not one of: {known}")
    found = {word for language in study.words.languages for word in lists[language]}
    return sorted(found - _SEEN - _keywords(study))


def _keywords(study: Study) -> set[str]:
    """`van` is a stop word in one language of six, and half of "van gogh"."""
    phrases = (phrase for k in study.keyword_set for phrase in (*k.include, *k.any, *k.exclude))
    return {word for phrase in phrases for word in phrase.lower().split()}
