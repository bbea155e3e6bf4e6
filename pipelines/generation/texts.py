"""The texts of prompts: the words of a cluster alone, or in a template of their family."""

import csv
import hashlib
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import duckdb

from ..core.database import query

KEYWORDS, WITHOUT_NAME = "keywords", "without_name"
_NOT_TEXT = ("Cc", "Cs")  # control characters, halves of a pair that UTF-8 cannot write
_TEMPLATES = Path(__file__).parent / "templates.csv"


@dataclass(frozen=True)
class Prompt:
    """One text and the cluster that it asks for; `n_samples` is the cluster's size in the set."""

    keyword_set: str
    cluster_id: str
    n_samples: int
    family: str
    text: str
    source: str  # 'words', 'template', 'file' or 'endpoint'

    @property
    def prompt_id(self) -> str:
        """The md5 of the text, in hex."""
        return hashlib.md5(self.text.encode()).hexdigest()

    @property
    def place(self) -> tuple[str, str, str]:
        """What it is one of a kind for: the keyword set, the cluster and the family."""
        return self.keyword_set, self.cluster_id, self.family


@dataclass(frozen=True)
class PromptCluster:
    """One of the largest clusters of a keyword set; `other_words` are those beside its name."""

    keyword_set: str
    cluster_id: str
    n_samples: int
    words: list[str]
    other_words: list[str]

    def words_for(self, family: str) -> list[str]:
        """What a prompt of the family has to say; nothing where it cannot be made.

        Without a name in it, or with nothing beside it, `without_name` would be another family.
        """
        if family != WITHOUT_NAME:
            return self.words
        return [] if self.other_words == self.words else self.other_words

    def prompt(self, family: str, text: str, source: str) -> Prompt:
        """A prompt that asks for this cluster."""
        return Prompt(self.keyword_set, self.cluster_id, self.n_samples, family, text, source)


def largest_clusters(
    connection: duckdb.DuckDBPyConnection, threshold: float, n_clusters: int, n_words: int
) -> list[PromptCluster]:
    """The largest clusters of each keyword set in the published tables, the largest first."""
    values = {"threshold": threshold, "n_clusters": n_clusters, "n_words": n_words}
    rows = connection.execute(query("prompts/clusters"), values).fetchall()
    return [PromptCluster(*row) for row in rows]


def fill_template(cluster: PromptCluster, family: str) -> Prompt:
    """The prompt of a cluster in one family: its words alone, or in a template.

    A hash of the cluster chooses the template, so that it is the same every night; `without_name`
    takes that of `long`, so that the two differ by the name alone.
    """
    words = " ".join(cluster.words_for(family))
    if family == KEYWORDS:
        return cluster.prompt(family, words, "words")
    templates = _templates("long" if family == WITHOUT_NAME else family)
    digest = hashlib.md5(f"{cluster.keyword_set}\x1f{cluster.cluster_id}".encode()).hexdigest()
    template = templates[int(digest, 16) % len(templates)]
    return cluster.prompt(family, template.replace("{words}", words), "template")


def one_line(text: str) -> str:
    """A text from elsewhere without control characters, its white space single blanks.

    Raises:
        TypeError: it is no text.

    """
    plain = (" " if unicodedata.category(c) in _NOT_TEXT else c for c in text)
    return " ".join("".join(plain).split())


@lru_cache
def _templates(family: str) -> tuple[str, ...]:
    with _TEMPLATES.open(encoding="utf-8", newline="") as file:
        return tuple(row["template"] for row in csv.DictReader(file) if row["family"] == family)
