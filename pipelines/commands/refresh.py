"""The commands `refresh`, `status` and `demo`."""

from pathlib import Path
from typing import Any

import click

from ..lake import Lake
from ..options import (
    device_option,
    lake_option,
    scheduler_option,
    study_option,
    verbose_option,
    workers_option,
)
from ..study import Resources, Study, load_study


@click.command()
@lake_option()
@study_option
@verbose_option
@device_option
@workers_option
@scheduler_option
@click.option("--dry-run", is_flag=True, help="Only say which stages would run, and why.")
def refresh(study_file: Path, lake: Lake, dry_run: bool, **resources: Any) -> None:
    """Run every stage that is stale, in the order of the flow.

    \b
    Example:
      memtriggers refresh --study study.toml --lake lake
    """
    _refresh(load_study(study_file, Resources(**resources)), lake, dry_run)


def _refresh(study: Study, lake: Lake, dry_run: bool = False) -> None:
    from ..refresh import refresh_lake, stale_stages

    if dry_run:
        for name, reasons in stale_stages(study, lake).items():
            click.echo(f"{name}: {', '.join(reasons)}")
        return
    with lake.lock():
        runs = refresh_lake(study, lake, lambda run: click.echo(run.summary, err=True))
    if runs:
        click.echo(f"refreshed {', '.join(run.stage for run in runs)}")
    else:
        click.echo("nothing to do: every stage is up to date")


@click.command()
@lake_option()
@study_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
def status(study_file: Path, lake: Lake, as_json: bool) -> None:
    """Show each stage: what it last did, and whether it is stale and why.

    \b
    Example:
      memtriggers status --json
    """
    from ..status import print_status

    print_status(load_study(study_file), lake, as_json)


@click.command()
@lake_option("memtriggers-demo")
@verbose_option
def demo(lake: Lake) -> None:
    """Scan the bundled sample and write its report: the whole flow in a few minutes.

    \b
    Example:
      memtriggers demo
    """
    study_file = Path(__file__).resolve().parents[2] / "studies" / "demo.toml"
    _refresh(load_study(study_file), lake)
    click.echo(f"\nReport:  {lake.report.absolute()}")
    click.echo(f"Query:   memtriggers sql --lake {lake.root} 'from keyword_clusters limit 10'")
