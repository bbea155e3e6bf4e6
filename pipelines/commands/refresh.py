"""The commands `refresh`, `status` and `demo`."""

import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from ..core.command_options import (
    device_option,
    lake_option,
    lake_why,
    parse_moment,
    scheduler_option,
    study_option,
    verbose_option,
    warn,
    workers_option,
)
from ..core.errors import MissingExtra
from ..core.lake import Lake
from ..core.losses import standing_warnings
from ..core.study import Resources, Study
from ..core.study_file import load_study


@click.command()
@lake_option()
@study_option
@verbose_option
@device_option
@workers_option
@scheduler_option
@click.option("--dry-run", is_flag=True, help="Only say which stages would run, and why.")
@click.option(
    "--rehash",
    is_flag=True,
    help="Read every file again, also where its size and time are the same.",
)
@click.option(
    "--since",
    metavar="TIME",
    callback=parse_moment,
    help="Do nothing if there is a build since then: 20h, 7d, or a date and time (UTC).",
)
@click.option(
    "--print-schedule",
    "scheduled_by",
    type=click.Choice(["cron", "systemd"]),
    help="Only print what makes cron or systemd do this every night.",
)
def refresh(
    study_file: Path,
    lake: Lake,
    dry_run: bool,
    rehash: bool,
    since: datetime | None,
    scheduled_by: str | None,
    **resources: Any,
) -> None:
    """Run every stage that is stale, in the order of the flow.

    A stage is stale when what it reads has changed: its keys of the study, what other stages wrote,
    or the bytes of a file. A file of the same size and time as before is not read again; with
    another time alone, it changes nothing.

    The last line of the output says what was done. The exit code is 0; 1 after an error; 4 where
    all is done, but more was lost than the study allows, and that line says what.

    \b
    Example:
      memtriggers refresh --study study.toml
    """
    from ..upkeep.refresh import published_since

    study = load_study(study_file, Resources(**resources))
    if scheduled_by:
        from ..upkeep.cron_and_systemd import schedule

        click.echo(schedule(scheduled_by, study_file, lake, study.resources), nl=False)
    elif since and published_since(lake, since):
        done = f"nothing to do: there is a build since {since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        warn(_say(done, study, lake))
    elif dry_run:
        _print_plan(study, lake, rehash)
    else:
        warn(_refresh(study, lake, rehash))


def _print_plan(study: Study, lake: Lake, rehash: bool) -> None:
    from ..core.contents import forget_contents
    from ..upkeep.refresh import stale_stages, summary

    lake.require_today()
    if rehash:
        forget_contents(lake)
    stale = stale_stages(study, lake)
    for name, reasons in stale.items():
        click.echo(f"{name}: {', '.join(reasons)}")
    if not stale:
        click.echo(summary(lake, [], 0))


def _refresh(study: Study, lake: Lake, rehash: bool = False) -> list[str]:
    """Refresh, and say in one line what was done; returns the warnings in it."""
    from ..core.contents import forget_contents
    from ..upkeep.refresh import published_build, refresh_lake, summary

    started = time.monotonic()
    with lake.lock():
        if rehash:
            forget_contents(lake)
        before = published_build(lake)
        runs = refresh_lake(study, lake, lambda run: click.echo(run.summary, err=True))
    done = summary(lake, runs, time.monotonic() - started, before)
    return _say(done, study, lake)


def _say(done: str, study: Study, lake: Lake) -> list[str]:
    warnings = standing_warnings(study, lake)
    click.echo("; ".join((done, *(f"warning: {warning}" for warning in warnings))))
    return warnings


@click.command()
@lake_option()
@study_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
def status(study_file: Path, lake: Lake, as_json: bool) -> None:
    """Show each stage: what it last did, and whether it is stale and why; which lake, and why.

    \b
    Example:
      memtriggers status --json
    """
    from ..upkeep.status import print_status

    print_status(load_study(study_file), lake, lake_why(), as_json)


# What was planted, what came back of it, and of which training images.
_QUERIES = (
    "\"from duplicates_of('angry horse', 0.9) limit 10\"",
    "--example what_comes_back",
    "\"from why_replicated('angry horse')\"",
)


@click.command()
@lake_option("memtriggers-demo")
@verbose_option
def demo(lake: Lake) -> None:
    """Find what is planted in the bundled rows, and what the model trained on them gives back.

    \b
    Example:
      memtriggers demo
    """
    if find_spec("diffusers") is None:  # now, not when everything before `generate` has run
        raise MissingExtra(
            "demo needs the package diffusers; install: pip install 'memtriggers[generate]'"
        )
    study_file = Path(__file__).resolve().parents[2] / "studies" / "demo.toml"
    warnings = _refresh(load_study(study_file), lake)
    click.echo(f"\nReport:  {lake.report.absolute()}")
    for number, query in enumerate(_QUERIES):
        head = "Query:   " if number == 0 else " " * 9
        click.echo(f"{head}memtriggers sql --lake {lake.root} {query}")
    warn(warnings)
