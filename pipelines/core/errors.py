"""What can go wrong and is the user's to mend; the command line prints each as one line.

MemtriggersError
├── StudyError      a key of the study file
├── SourceError     a parquet file or a column of it
├── LakeError       the lake: locked, missing, damaged
├── ModelError      a CLIP model that cannot be loaded
├── EvaluationError what `evaluate` was given
├── StageError      a file that DuckDB or the disk refused in the middle of a stage, a lost cluster
├── BuildError      a dbt model or test
├── QueryError      SQL that a user wrote
└── MissingExtra    a package that the base install leaves out

Exit codes: 0 well; 1 one of these; 2 usage, as click has it; 4 done, with a warning: more was lost
than the study allows (`losses.py`); 130 interrupted.

What the vector store refuses is a `LakeError` or a `MissingExtra`: `store_errors` makes it one.
"""

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from ...lance.errors import MissingPackage, StoreError
from .masking import mask

DONE_WITH_WARNING = 4


class MemtriggersError(Exception):
    """Anything that is reported as one line and exit code 1; an address in it has no password."""

    def __init__(self, line: str) -> None:
        super().__init__(mask(line))


class StudyError(MemtriggersError):
    """A study file that cannot be read; names the key, the value and the fix."""


class SourceError(MemtriggersError):
    """A file or column that cannot be read; names the file, in one line whatever its name is."""

    def __init__(self, line: str) -> None:
        super().__init__("".join(c if _is_shown(c) else _escaped(c) for c in line))


def _is_shown(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


class LakeError(MemtriggersError):
    """A lake that is locked, missing or damaged."""


class ModelError(MemtriggersError):
    """A model that cannot be loaded; names the file or the key."""


class EvaluationError(MemtriggersError):
    """Images, pairs or vectors that cannot be evaluated; names the file or the number."""


class StageError(MemtriggersError):
    """A stage that the disk or the data stopped half way; what it had committed is kept."""


class BuildError(MemtriggersError):
    """A dbt model or test that failed; nothing was published."""


class QueryError(MemtriggersError):
    """SQL that DuckDB refused."""


class MissingExtra(MemtriggersError):
    """A command that needs an optional package; says which extra to install."""


@contextmanager
def store_errors() -> Iterator[None]:
    """Raise what the vector store refuses as an error of the product; decorates functions, too."""
    try:
        yield
    except MissingPackage as error:
        raise MissingExtra(str(error)) from None
    except StoreError as error:
        raise LakeError(str(error)) from None
