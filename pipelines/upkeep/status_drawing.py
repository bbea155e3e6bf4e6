"""The flow as `status` draws it on a terminal: each stage, what it reads, and what is stale."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..core.terminal import printable
from ..stages import STAGES

_SYMBOLS = {"fresh": ("●", "green"), "stale": ("▲", "yellow"), "skipped": ("○", "dim")}


@dataclass(frozen=True)
class StageStatus:
    """One line of status."""

    stage: str
    state: str
    why: list[str]
    n_in: int | None
    n_out: int | None
    finished_at: str | None
    n_lost: int | None = None
    lost: dict[str, int] | None = None
    n_asked: int | None = None
    n_missing: int | None = None
    missing: dict[str, int] | None = None
    failed_at: str | None = None
    error: str | None = None
    """What went wrong, where the last run of the stage did not end well."""


def draw_flow(console: Console, rows: Sequence[StageStatus]) -> None:
    """Draw the stages in their order: rows in and out, when, what each reads, why it is stale."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True)
    table.add_column()  # the one that gives way on a narrow terminal
    for row in rows:
        if row is not rows[0]:
            table.add_row(Text("│", "dim"))
        table.add_row(*_cells(row))
    console.print(table)
    console.print()
    for row in rows:
        if row.state != "fresh":
            console.print(_why(row), soft_wrap=True)


def _cells(row: StageStatus) -> list[Text]:
    symbol, style = _SYMBOLS[row.state]
    inputs = [name for name in STAGES[row.stage].inputs if name == "parquet" or name in STAGES]
    return [
        Text(symbol, style),
        Text(row.stage, "dim" if row.state == "skipped" else "bold"),
        Text(_count(row.n_in)),
        Text("" if row.n_out is None else "→", "dim"),
        Text(_count(row.n_out)),
        Text(f"{row.n_lost:,} lost" if row.n_lost else "", "yellow"),
        Text((row.finished_at or "")[:16].replace("T", " "), "dim"),
        Text("← " + ", ".join(inputs), "dim", no_wrap=True, overflow="ellipsis"),
    ]


def _why(row: StageStatus) -> Text:
    symbol, style = _SYMBOLS[row.state]
    why = printable(", ".join(row.why))
    return Text.assemble((f"{symbol} {row.stage}", style), f" is {row.state}: {why}")


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"
