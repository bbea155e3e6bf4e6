"""The example queries of `sql/examples/`: what each answers, and the values that it takes."""

from collections.abc import Mapping
from pathlib import Path

import duckdb

from ..core.database import SQL, query
from ..core.errors import QueryError
from .sql import print_rows


def tables_query() -> str:
    """The query behind `sql --tables`."""
    return query("sql/tables")


def examples() -> dict[str, str]:
    """The name of each example and what it answers: the comment at the head of its file."""
    files = sorted((SQL / "examples").glob("*.sql"))
    return {file.stem: _header(file.read_text("utf-8")) for file in files}


def print_examples(form: str, output: Path | None) -> None:
    """Print the names of the examples and what each answers."""
    listed = examples()
    values = {"names": list(listed), "answers": list(listed.values())}
    with duckdb.connect() as connection:
        print_rows(connection.execute(query("sql/examples"), values), form, output)


def bind_example(name: str, given: Mapping[str, str]) -> tuple[str, dict[str, str | None]]:
    """The text of an example and all its values; null stands for one that is not given.

    Raises:
        QueryError: there is no such example, or it takes no such value.

    """
    if name not in examples():
        raise QueryError(f"no example is called {name!r}; see: memtriggers sql --examples")
    text = query(f"examples/{name}")
    taken = duckdb.extract_statements(text)[0].named_parameters
    if unknown := given.keys() - taken:
        takes = ", ".join(sorted(taken)) or "no values"
        raise QueryError(f"--set {min(unknown)}: the example {name} takes {takes}")
    return text, {**dict.fromkeys(taken), **given}


def _header(text: str) -> str:
    lines = text.splitlines()
    n_lines = next(n for n, line in enumerate(lines) if not line.startswith("--"))
    return " ".join(line.removeprefix("--").strip() for line in lines[:n_lines])
