"""The SQL box: what a person types, on the published tables, with an end to rows and to time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import duckdb
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ..core.database import first_line
from .html import render
from .published import Published
from .state import explorer_of

N_ROWS = 500
N_SECONDS = 5.0
_LONGEST_CELL = 2_000  # characters
_EXAMPLE = "from clusters order by n_samples desc"


@dataclass(frozen=True)
class Answer:
    """The rows of a query, or why there are none."""

    columns: list[str]
    rows: list[tuple[str | None, ...]]
    is_cut: bool
    seconds: float
    error: str | None = None


def show_sql(request: Request) -> Response:
    """The box, empty."""
    return render(request, "sql", text=_EXAMPLE, answer=None, n_rows=N_ROWS, n_seconds=N_SECONDS)


async def run_sql(request: Request) -> Response:
    """The box with a query, and its answer; a POST, so that no other page can ask for it."""
    async with request.form(max_part_size=2**20) as form:
        text = str(form.get("query", ""))
    published = explorer_of(request).published
    answer = await run_in_threadpool(answer_query, published, text)
    status = 200 if answer.error is None else 400
    values = {"text": text, "answer": answer, "n_rows": N_ROWS, "n_seconds": N_SECONDS}
    return render(request, "sql", status, **values)


def answer_query(published: Published, text: str, seconds: float = N_SECONDS) -> Answer:
    """Run one text; DuckDB's locked settings keep it from files, Python and the settings.

    Args:
        published: asked read-only.
        text: the last statement's rows are shown, at most `N_ROWS` of them.
        seconds: after which it is interrupted.

    Raises:
        LakeError: nothing is published any more.

    """
    started = perf_counter()
    with published.connection() as connection:
        try:
            with _time_limit(connection, seconds):
                result = connection.execute(text)
                columns = [column[0] for column in (result and result.description) or []]
                found = result.fetchmany(N_ROWS + 1) if columns else []
        except duckdb.InterruptException:
            why = f"it took more than {seconds:g} s: ask for less, or use `memtriggers sql`"
            return Answer([], [], False, perf_counter() - started, why)
        except (duckdb.Error, RuntimeError) as error:
            return Answer([], [], False, perf_counter() - started, first_line(error))
    rows = [tuple(map(_cell, row)) for row in found[:N_ROWS]]
    nothing = None if columns else "this is no query that has rows"
    return Answer(columns, rows, len(found) > N_ROWS, perf_counter() - started, nothing)


@contextmanager
def _time_limit(connection: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, connection.interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _cell(value: Any) -> str | None:
    """A value as text, of a length that a table can hold."""
    if value is None:
        return None
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"
