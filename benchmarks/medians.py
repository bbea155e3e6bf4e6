"""Contestants take turns in one process; a table has their medians beside the first one's."""

import statistics
import time
from collections.abc import Callable, Mapping

import click

Contestant = Callable[[], object]


def take_turns(contestants: Mapping[str, Contestant], repeats: int) -> dict[str, float]:
    """The median seconds of each, run one after the other, `repeats` times around.

    Raises:
        AssertionError: two of them found different things; None says nothing.

    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    found: dict[str, object] = {}
    for _ in range(repeats):
        for name, contestant in contestants.items():
            started = time.perf_counter()
            found[name] = contestant()
            seconds[name].append(time.perf_counter() - started)
    answers = {name: answer for name, answer in found.items() if answer is not None}
    first = next(iter(answers.values()), None)
    others = [name for name, answer in answers.items() if answer != first]
    assert not others, f"found something else than {next(iter(answers))}: {', '.join(others)}"
    return {name: statistics.median(times) for name, times in seconds.items()}


def print_medians(title: str, medians: Mapping[str, float]) -> None:
    """Seconds, and how many times as long as the first contestant."""
    first = next(iter(medians))
    width = max(map(len, medians))
    click.echo(f"\n{title}\n{'':{width}} {'seconds':>8} × {first}")
    for name, seconds in medians.items():
        click.echo(f"{name:{width}} {seconds:8.2f} {seconds / medians[first]:6.2f}")
