"""The commands `init` and `doctor`: before the first run."""

from pathlib import Path
from typing import Any

import click

from ..core.command_options import lake_option
from ..core.lake import Lake


@click.command()
@click.argument("rows", metavar="DATA...", nargs=-1, required=True)
@click.option("--keyword", "keywords", multiple=True, help="Words to look for; may be repeated.")
@click.option("--caption-column", help="The column of the captions, when it cannot be told.")
@click.option("--url-column", help="The column of the urls or paths, when it cannot be told.")
@click.option(
    "--key-column", help='What tells rows apart in place of a url; "bytes": their images.'
)
@click.option(
    "--column", "columns", multiple=True, help="A further column for samples; may be repeated."
)
@click.option("--image-root", help="The folder of local images: urls are paths below it.")
@click.option("--image-column", help="A column that holds the encoded images themselves.")
@click.option("--image-tars", is_flag=True, help="The images are in tars: the data, or beside it.")
@click.option("--image-folders", is_flag=True, help="They are in img2dataset's folders beside it.")
@click.option(
    "--output",
    default="study.toml",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The study file to write.",
)
@click.option("--force", is_flag=True, help="Write over a study file that exists.")
def init(rows: tuple[str, ...], output: Path, force: bool, **options: Any) -> None:
    """Write a commented study file for what you have: files, folders or globs.

    Rows come from parquet, csv, tsv, jsonl, Arrow, tars and folders of pictures. It looks for the
    images of the first rows, on this machine alone: in columns, in tars, in folders near them.
    Where you name no place and exactly one has some, it is used.

    \b
    Example:
      memtriggers init 'laion400m/*.parquet' --keyword 'van gogh' --keyword astronaut
    """
    from ..upkeep.init import write_study

    for line in write_study(rows, output, force, **options):
        click.echo(line)


@click.command()
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
    from ..upkeep.doctor import print_doctor

    print_doctor(lake, rows)
