"""A progress bar on long work; quiet when the output is not a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Steps that the speed is an average of go so far back: a step of a slow one may take an hour.
_SPEED_SECONDS = 24 * 3600.0


@contextmanager
def progress(
    label: str, total: int | None = None, unit: str | None = None
) -> Iterator[Callable[[int], None]]:
    """Show how far a loop is; yields a function that takes the number of items just done.

    With a unit, such as "images", it also says how many a second; the time left comes last.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    columns += [TextColumn("{task.fields[rate]}"), TimeRemainingColumn()]
    with Progress(
        *columns, console=console, transient=True, speed_estimate_period=_SPEED_SECONDS
    ) as bar:
        task = bar.add_task(label, total=total, rate="")

        def advance(n: int) -> None:
            bar.advance(task, n)
            if unit is not None and (speed := bar.tasks[0].speed):  # unknown before the second step
                bar.update(task, rate=f"{speed:,.2f} {unit}/s")

        yield advance
