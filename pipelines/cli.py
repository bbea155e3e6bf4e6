"""The command line: one command a stage, in the order of the flow, and a few beside them."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import click

from .. import __version__
from .errors import MemtriggersError
from .evaluation.command import evaluate
from .lake import Lake
from .options import (
    device_option,
    lake_option,
    retry_option,
    scheduler_option,
    study_option,
    vector_options,
    verbose_option,
    workers_option,
)
from .stages import STAGES, Stage
from .study import Resources, Study, load_study


class Flow(click.Group):
    """Lists the stages in the order of the flow, then the rest, instead of by the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command in the order in which it was added."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Two lists: the flow, and what stands beside it."""
        for title, inside in (("The flow", True), ("Beside the flow", False)):
            rows = [
                (name, command.get_short_help_str(limit=90))
                for name, command in self.commands.items()
                if (name in STAGES) == inside
            ]
            with formatter.section(title):
                formatter.write_dl(rows)


@click.group(
    cls=Flow,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, "-V", "--version", message="memtriggers %(version)s")
@verbose_option
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Find what a text-to-image model will memorize, before it is trained.

    \b
    Example:
      memtriggers demo
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _stage_command(stage: Stage) -> click.Command:
    @lake_option()
    @study_option
    @verbose_option
    def command(
        study_file: Path,
        lake: Lake,
        retry: bool = False,
        vectors: dict[str, Any] | None = None,
        **resources: Any,
    ) -> None:
        study = load_study(study_file, Resources(**resources))
        if vectors:
            study = replace(study, data=replace(study.data, **vectors))
        with lake.lock():
            if retry:
                from .fetch import forget_passing_failures

                forget_passing_failures(lake)
            run = stage.run(study, lake)
        click.echo(run.summary)

    if stage.name == "fetch":
        command = retry_option(command)
    if stage.name in ("filter", "words"):
        command = scheduler_option(command)
    if stage.name == "cluster":
        command = workers_option(scheduler_option(command))
    if stage.name == "embed":
        command = vector_options(device_option(workers_option(scheduler_option(command))))
    text = (
        f"{stage.help}\n\n\b\nExample:\n  memtriggers {stage.name} --study study.toml --lake lake"
    )
    return click.command(stage.name, help=text)(command)


for _stage in STAGES.values():
    cli.add_command(_stage_command(_stage))


@cli.command()
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
    from .refresh import refresh_lake, stale_stages

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


@cli.command()
@lake_option()
@study_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
def status(study_file: Path, lake: Lake, as_json: bool) -> None:
    """Show each stage: what it last did, and whether it is stale and why.

    \b
    Example:
      memtriggers status --json
    """
    from .status import print_status

    print_status(load_study(study_file), lake, as_json)


cli.add_command(evaluate)


@cli.command()
@click.argument("parquet", nargs=-1, required=True)
@click.option("--keyword", "keywords", multiple=True, help="Words to look for; may be repeated.")
@click.option("--caption-column", help="The column of the captions, when it cannot be told.")
@click.option("--url-column", help="The column of the urls or paths, when it cannot be told.")
@click.option("--image-root", help="The folder of local images: urls are paths below it.")
@click.option("--image-column", help="A column that holds the encoded images themselves.")
@click.option("--image-tars", is_flag=True, help="The images are in img2dataset's tars beside it.")
@click.option(
    "--output",
    default="study.toml",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The study file to write.",
)
@click.option("--force", is_flag=True, help="Write over a study file that exists.")
def init(parquet: tuple[str, ...], output: Path, force: bool, **options: Any) -> None:
    """Write a commented study file for LAION-shaped parquet: files or globs.

    \b
    Example:
      memtriggers init 'laion400m/*.parquet' --keyword 'van gogh' --keyword astronaut
    """
    from .init import write_study

    for line in write_study(parquet, output, force, **options):
        click.echo(line)


@cli.command()
@lake_option("memtriggers-demo")
@verbose_option
def demo(lake: Lake) -> None:
    """Scan the bundled sample and write its report: the whole flow in a few minutes.

    \b
    Example:
      memtriggers demo
    """
    study_file = Path(__file__).resolve().parents[1] / "studies" / "demo.toml"
    _refresh(load_study(study_file), lake)
    click.echo(f"\nReport:  {lake.report.absolute()}")
    click.echo(f"Query:   memtriggers sql --lake {lake.root} 'from keyword_clusters limit 10'")


@cli.command()
@click.argument("query", required=False)
@lake_option()
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read the query from a file.",
)
@click.option(
    "--format",
    "form",
    default="table",
    show_default=True,
    type=click.Choice(["table", "csv", "json", "parquet"]),
    help="How to print the rows.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file instead of the terminal.",
)
@click.option("--tables", is_flag=True, help="List the tables and what a row of each is.")
def sql(
    query: str | None, lake: Lake, file: Path | None, form: str, output: Path | None, tables: bool
) -> None:
    """Query the published tables, read-only.

    \b
    Example:
      memtriggers sql "from duplicates_of('star', 0.9) limit 5" --format csv
    """
    from .sql import print_query, tables_query

    given = [query, file, tables or None]
    if sum(item is not None for item in given) != 1:
        raise click.UsageError("give one of: a QUERY, --file, --tables")
    text = tables_query() if tables else query or (file.read_text("utf-8") if file else "")
    print_query(lake, text, form, output)


@cli.command()
@click.argument("text", required=False)
@click.option(
    "--image",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Look for images like this one.",
)
@lake_option()
@study_option
@click.option(
    "--limit",
    default=10,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="How many samples to show.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
def search(
    text: str | None, image: Path | None, lake: Lake, study_file: Path, limit: int, as_json: bool
) -> None:
    """Find the samples whose images are nearest to a text or to an image.

    \b
    Example:
      memtriggers search "starry night over a village" --limit 5
    """
    from .search import print_search

    if (text is None) == (image is None):
        raise click.UsageError("give one of: a TEXT, --image")
    print_search(load_study(study_file), lake, text, image, limit, as_json)


@cli.command()
@lake_option()
@click.option(
    "--rows",
    default=1_000_000,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many rows to reckon with.",
)
def doctor(lake: Lake, rows: int) -> None:
    """Say what this machine has, and what so many rows will need in time and space.

    \b
    Example:
      memtriggers doctor --lake memtriggers-demo --rows 90000
    """
    from .doctor import print_doctor

    print_doctor(lake, rows)


@cli.command()
@click.argument("what", type=click.Choice(["removal-list", "kept", "weights"]))
@lake_option()
@click.option("--threshold", required=True, type=float, help="Cosine from which two are one.")
@click.option(
    "--keep",
    "keep_rule",
    default="best",
    show_default=True,
    type=click.Choice(["best", "first", "medoid"]),
    help="Which sample of a cluster stays.",
)
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The .parquet or .csv file to write.",
)
def export(what: str, lake: Lake, threshold: float, keep_rule: str, output: Path) -> None:
    """Write what to remove, what to keep, or a weight for each sample, by sample_id.

    \b
    Example:
      memtriggers export removal-list --threshold 0.95 --keep best --output removal.parquet
    """
    from .export import export_samples

    n_rows = export_samples(lake, what, threshold, keep_rule, output)
    click.echo(f"{output}: {n_rows:,} rows")


def main() -> NoReturn:
    """Run the command line; a user's error is one line and exit code 1."""
    try:
        code = cli.main(standalone_mode=False) or 0
    except MemtriggersError as error:
        click.echo(f"Error: {error}", err=True)
        code = 1
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted; what is finished is kept: run the command again", err=True)
        code = 130
    sys.exit(code)
