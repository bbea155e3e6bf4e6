"""The user's own prompts: a CSV file with keyword_set, cluster, family and prompt."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from ..core.database import query
from ..core.errors import SourceError
from ..core.study import CAPTION, PROMPT_FAMILIES, Study
from .texts import Prompt, one_line

_COLUMNS = ("keyword_set", "cluster", "family", "prompt")


def prompt_files(study: Study) -> list[str] | None:
    """The file of `[prompts]`; None where there is none."""
    path = None if study.prompts.file is None else study.path(study.prompts.file)
    return [path] if path and Path(path).is_file() else None


def read_prompt_file(
    study: Study, connection: duckdb.DuckDBPyConnection, threshold: float
) -> list[Prompt]:
    """The prompts of `[prompts] file`, each with the cluster that holds the sample it names.

    A sample in no cluster is asked for alone; where none is named, the largest cluster is meant.

    Raises:
        SourceError: the file cannot be read, or a row names what does not exist.

    """
    if study.prompts.file is None:
        return []
    path = study.path(study.prompts.file)
    rows = dict(_read_rows(path))
    _check_distinct(rows)
    values = {"threshold": threshold, "names": [row["cluster"] for row in rows.values()]}
    found = connection.execute(query("prompts/named_clusters"), values).fetchall()
    clusters = {(keyword_set, name): tuple(rest) for keyword_set, name, *rest in found}
    return [_find_cluster(where, row, clusters) for where, row in rows.items()]


def _read_rows(path: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row, its texts in one line, after where it stands."""
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            _check_columns(path, rows.fieldnames or [])
            for row in rows:
                where = f"{path}: line {rows.line_num}"
                yield where, _checked(where, {name: one_line(row[name] or "") for name in _COLUMNS})
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from None


def _check_columns(path: str, names: Sequence[str]) -> None:
    missing = [name for name in _COLUMNS if name not in names]
    if missing:
        raise SourceError(f"{path}: no column {missing[0]}; it has to have {', '.join(_COLUMNS)}")


def _checked(where: str, row: dict[str, str]) -> dict[str, str]:
    if not row["prompt"]:
        raise SourceError(f"{where}: the prompt is empty; write one, or remove the line")
    if row["family"] not in (*PROMPT_FAMILIES, CAPTION):
        families = ", ".join((*PROMPT_FAMILIES, CAPTION))
        raise SourceError(f"{where}: family {row['family']!r}: it is one of {families}")
    return row


def _check_distinct(rows: dict[str, dict[str, str]]) -> None:
    """A text asks for one cluster only: it is generated once."""
    said: dict[str, str] = {}
    for where, row in rows.items():
        if row["prompt"] in said:
            raise SourceError(f"{where}: the prompt of {said[row['prompt']]} again; remove one")
        said[row["prompt"]] = where


def _find_cluster(
    where: str, row: dict[str, str], clusters: dict[tuple[str, str], tuple[str, int]]
) -> Prompt:
    name = row["keyword_set"], row["cluster"]
    if name not in clusters and not row["cluster"]:
        raise SourceError(
            f"{where}: no keyword set {name[0]!r} has a cluster; name one of: memtriggers sql "
            "'from keyword_clusters', or any sample_id"
        )
    if name not in clusters:
        raise SourceError(
            f"{where}: no cluster of keyword set {name[0]!r} holds {name[1]!r}, nor is it one of "
            "its embedded samples; name a cluster by any sample_id in it, of: memtriggers sql "
            "'from keyword_clusters'"
        )
    return Prompt(name[0], *clusters[name], row["family"], row["prompt"], "file")
