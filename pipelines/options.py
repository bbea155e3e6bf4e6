"""The options that several commands share."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .lake import Lake
from .masking import mask

Command = Callable[..., Any]


def lake_option(default: str = "lake") -> Callable[[Command], Command]:
    """The lake to work on."""
    return click.option(
        "--lake",
        envvar="MEMTRIGGERS_LAKE",
        default=default,
        show_default=True,
        type=click.Path(file_okay=False, path_type=Path),
        callback=lambda ctx, param, value: Lake(value),
        help="The folder of the lake.",
    )


study_option = click.option(
    "--study",
    "study_file",
    envvar="MEMTRIGGERS_STUDY",
    default="study.toml",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The study file.",
)


def _set_up_logging(ctx: click.Context, param: click.Parameter, verbose: bool) -> None:
    if verbose or ctx.parent is None:
        level = logging.INFO if verbose else logging.WARNING
        logging.basicConfig(level=level, force=True)
        # The root's level alone would let pass what a library logs at a level of its own.
        logging.root.handlers[0].setLevel(level)
        logging.root.handlers[0].setFormatter(_Masked("%(levelname)s: %(message)s"))


class _Masked(logging.Formatter):
    """Masks the passwords of addresses, also where a traceback shows them."""

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))


verbose_option = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    expose_value=False,
    callback=_set_up_logging,
    help="Say what is done as it is done.",
)

retry_option = click.option(
    "--retry",
    is_flag=True,
    help="Try again what failed and may pass by now: the network, a busy server, a missing file.",
)

renew_option = click.option(
    "--renew",
    is_flag=True,
    help="Set the prompts aside that are there, and make new ones.",
)

docs_option = click.option(
    "--docs",
    is_flag=True,
    help="Also write dbt's documentation of the tables, with their lineage, as one page.",
)

discover_option = click.option(
    "--discover",
    is_flag=True,
    help="Also rank objects that nobody asked for; as discover = true in [objects].",
)

paired_option = click.option(
    "--paired",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write captions whose images show no object to a CSV file, for [prompts] file.",
)

device_option = click.option(
    "--device",
    envvar="MEMTRIGGERS_DEVICE",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "cpu", "cuda"]),
    help="Where models run; auto: on every GPU, else on the CPU.",
)

workers_option = click.option(
    "--workers",
    envvar="MEMTRIGGERS_WORKERS",
    type=click.IntRange(min=1),
    help="Worker processes on this machine; one, or one a GPU, if left out.",
)

scheduler_option = click.option(
    "--scheduler",
    envvar="MEMTRIGGERS_SCHEDULER",
    metavar="ADDRESS",
    help="Work on the Dask cluster at tcp://host:port, which must see the lake as you do.",
)


def vector_options(command: Command) -> Command:
    """Vectors that exist already: `vectors`, the keys of `[data]` that were given, as a dict."""

    def collect(ctx: click.Context, param: click.Parameter, pattern: str | None) -> None:
        if pattern is not None:
            absolute = pattern if "://" in pattern else str(Path(pattern).absolute())
            ctx.params.setdefault("vectors", {})[str(param.name)] = absolute

    for name, text in (
        ("metadata", "The parquet files beside them, row by row."),
        ("caption-vectors", "Those of the captions, such as 'text_emb_*.npy'."),
        ("vectors", "Import clip-retrieval's image embeddings, such as 'img_emb_*.npy'."),
    ):
        key = name.replace("-", "_")
        command = click.option(
            f"--{name}", key, metavar="GLOB", expose_value=False, callback=collect, help=text
        )(command)
    return command
