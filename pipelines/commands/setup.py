"""The commands `init` and `doctor`: before the first run."""

from pathlib import Path
from typing import Any

import click

from ..core.command_options import lake_option
from ..core.lake import Lake


@click.command()
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

    It looks for the images of the first rows, on this machine alone: in columns, in tars beside the
    parquet, in folders near it. Where you name no place and exactly one has some, it is used.

    \b
    Example:
      memtriggers init 'laion400m/*.parquet' --keyword 'van gogh' --keyword astronaut
    """
    from ..upkeep.init import write_study

    for line in write_study(parquet, output, force, **options):
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
