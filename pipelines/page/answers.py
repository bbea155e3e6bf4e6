"""The queries of `sql/report/`: the text that the report shows is the text that ran."""

import re
from dataclasses import dataclass, field
from typing import Any

import duckdb

from ..core.database import query
from ..core.masking import mask
from ..core.quoting import literal

NOTHING = "–"
_LONGEST = 160  # characters; LAION has captions of 61,192
_CONTROLS = dict.fromkeys((*range(9), *range(14, 32), *range(127, 160), 0xFFFE, 0xFFFF))


@dataclass(frozen=True)
class Answer:
    """One query of the report and its rows; `name` is unique in the report."""

    name: str
    about: str
    sql: str
    rows: list[dict[str, Any]]
    _groups: dict[str, dict[object, list[dict[str, Any]]]] = field(default_factory=dict, repr=False)

    def of(self, column: str, value: object) -> list[dict[str, Any]]:
        """The rows that have this value in a column."""
        if column not in self._groups:
            groups = self._groups.setdefault(column, {})
            for row in self.rows:
                groups.setdefault(row[column], []).append(row)
        return self._groups[column].get(value, [])


def ask(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    values: dict[str, object] | None = None,
    number: int | None = None,
) -> Answer:
    """Run `sql/report/<name>.sql` with its values written out, as anyone can run it again.

    Args:
        connection: the published database.
        name: the query.
        values: what stands for each `$name`.
        number: tells several answers to one query apart, by name.

    """
    about, sql = _split(query(f"report/{name}"))
    # Quoted as literals, not bound: the report prints this text, and it must run as it stands.
    sql = re.sub(r"\$(\w+)", lambda match: _written((values or {})[match[1]]), sql)
    result = connection.execute(sql)
    columns = [column[0] for column in result.description or []]
    rows = [dict(zip(columns, row, strict=True)) for row in result.fetchall()]
    return Answer(name if number is None else f"{name}-{number}", about, sql, rows)


def shown(value: object) -> str:
    """A value as the report prints it: `4,283`, `0.142`, one line of text of 160 characters.

    The passwords of addresses are masked.
    """
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.3f}"
    text = mask(" ".join(str(value).translate(_CONTROLS).split()))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1].rstrip() + "…"


def percent(share: float | None) -> str:
    """A share of one in running text: `14.2 %`."""
    return NOTHING if share is None else f"{share:.1%}".replace("%", "\N{NO-BREAK SPACE}%")


def _split(text: str) -> tuple[str, str]:
    """The header comment as a sentence, and the statement below it."""
    lines = text.strip().splitlines()
    n_comments = next(i for i, line in enumerate(lines) if not line.startswith("--"))
    about = " ".join(line.removeprefix("--").strip() for line in lines[:n_comments])
    return about, "\n".join(lines[n_comments:])


def _written(value: object) -> str:
    return literal(value) if isinstance(value, str) else repr(value)
