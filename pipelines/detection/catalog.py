"""The objects that detectors look for: those of the study, and a vocabulary of common ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..clip.model import find_clip
from ..clip.words_read import WORDS, split_words, words_read
from ..core.errors import StudyError
from ..core.study import Study

_BUNDLED = Path(__file__).with_name("vocabulary.txt")
_PLURALS = ("s", "es")
_SPELLED = 3  # letters of a token that may be written one by one: U.S., U. K.


@dataclass(frozen=True)
class Sought:
    """One object: its name, the texts that a detector asks for, the phrases that name it."""

    name: str
    looks_like: tuple[str, ...]
    phrases: tuple[str, ...]

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every form of its phrases as token texts: plurals, and short words letter by letter."""
        forms = (form for phrase in self.phrases for form in _forms(_tokens(phrase)))
        return tuple(dict.fromkeys(forms))

    def may_be(self, other: "Sought") -> bool:
        """Whether what is one may be the other as well: a flag, a US flag."""
        ours, theirs = ([f" {phrase.lower()}" for phrase in one.phrases] for one in (self, other))
        return any(a.endswith(b) or b.endswith(a) for a in ours for b in theirs)


def objects_of(study: Study) -> list[Sought]:
    """The objects of the study, in its order."""
    return [
        Sought(
            one.name, one.looks_like or (one.name,), tuple(dict.fromkeys((one.name, *one.phrases)))
        )
        for one in study.object
    ]


def read_vocabulary(study: Study) -> list[Sought]:
    """The objects of `[objects] vocabulary`, or of the file that comes along.

    A line holds a name and what else a detector asks for, then, behind a semicolon, what else names
    it; commas part them. `#` begins a comment.

    Raises:
        StudyError: the file cannot be read, or names an object twice.

    """
    path = _vocabulary_path(study)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"objects: vocabulary: {path}: cannot be read: {error}") from None
    found: dict[str, Sought] = {}
    for number, line in enumerate(lines, 1):
        if text := line.partition("#")[0].strip():
            sought = _read_line(text)
            if not sought.looks_like or sought.name.lower() in found:
                why = "is there twice" if sought.looks_like else "no name before the semicolon"
                raise StudyError(f"{path}: line {number}: {sought.name or text!r}: {why}")
            found[sought.name.lower()] = sought
    if len(found) < _FEW:
        raise StudyError(
            f"{path}: {len(found)} objects; each competes with all others of the vocabulary: "
            f"write at least {_FEW}, one a line"
        )
    return list(found.values())


def known_vocabulary(study: Study) -> list[Sought]:
    """The vocabulary without the objects that the study's CLIP has read no name of.

    A word that it has hardly read lies anywhere, and is seen wherever what is near it is.

    Raises:
        StudyError: as above, or too few are left.
        ModelError: there is no such model, or the words that it has read cannot be read.

    """
    vocabulary, words = read_vocabulary(study), words_read(find_clip(study))
    if words is None:
        return vocabulary
    known = [
        one for one in vocabulary if any(words.issuperset(split_words(t)) for t in one.looks_like)
    ]
    if len(known) < _FEW:
        raise StudyError(
            f"{_vocabulary_path(study)}: {study.clip.model} has read of {len(known)} of these "
            f"objects, of too few to compete; name a larger model in [clip], or other objects"
        )
    return known


_FEW = 10


def object_files(study: Study) -> list[str]:
    """The vocabulary, its known words, labels and what the detector's folder holds."""
    settings = study.objects
    folder = (
        None if settings is None or settings.detector is None else study.path(settings.detector)
    )
    named = [study.path(one.labels) for one in study.object if one.labels is not None]
    words = find_clip(study).beside_weights(WORDS)
    parts = sorted(map(str, Path(folder).glob("*"))) if folder and Path(folder).is_dir() else []
    files = [str(_vocabulary_path(study)), *named, *parts]
    if words is not None:
        files.append(str(words))
    return [file for file in files if Path(file).is_file()]


def _vocabulary_path(study: Study) -> Path:
    named = None if study.objects is None else study.objects.vocabulary
    return _BUNDLED if named is None else Path(study.path(named))


def _read_line(text: str) -> Sought:
    asked, _, only_named = text.partition(";")
    looks_like, further = _split(asked), _split(only_named)
    return Sought(looks_like[0] if looks_like else "", looks_like, (*looks_like, *further))


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _tokens(phrase: str) -> list[str]:
    # Only how it is split matters here: SQL folds the tokens as it folds those of captions.
    return phrase.replace("-", " ").replace(".", "").split()


def _forms(tokens: Sequence[str]) -> Iterator[str]:
    *head, last = tokens
    for final in (last, *(last + ending for ending in _PLURALS), *_other_plurals(last)):
        words = [*head, final]
        yield " ".join(words)
        spelled = [" ".join(word) if _is_short(word, tokens) else word for word in words]
        if spelled != words:
            yield " ".join(spelled)


def _other_plurals(word: str) -> Iterator[str]:
    if word.endswith("y"):
        yield f"{word[:-1]}ies"


def _is_short(word: str, tokens: Sequence[str]) -> bool:
    """Whether a word of a longer phrase may be an abbreviation: us in "us flag"."""
    return len(tokens) > 1 and 1 < len(word) <= _SPELLED and word.isalpha()
