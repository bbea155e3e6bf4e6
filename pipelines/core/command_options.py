"""The options that several commands share, and what an option of a stage is."""

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from .errors import DONE_WITH_WARNING
from .find_lake import LAKE, STUDY, STUDY_FILE, FoundLake, find_lake
from .lake import Lake
from .masking import mask
from .study import Study

Command = Callable[..., Any]


_LAKE_WHY = "memtriggers.lake_why"  # of a click context's `meta`


def lake_option(default: str | None = None) -> Callable[[Command], Command]:
    """The lake to work on; without a default of its own, the one beside the study."""
    return click.option(
        "--lake",
        envvar=LAKE,
        default=default,
        show_default=True,
        type=click.Path(file_okay=False, path_type=Path),
        callback=_open_lake,
        help="The folder of the lake."
        + ("" if default else " If left out, the folder `lake` beside the study."),
    )


def _open_lake(ctx: click.Context, param: click.Parameter, value: Path | None) -> Lake:
    if value is None:
        found = find_lake(ctx.params.get("study_file"))
    else:
        is_typed = ctx.get_parameter_source("lake") is ParameterSource.COMMANDLINE
        found = FoundLake(value, f"named by {'--lake' if is_typed else LAKE}")
    ctx.meta[_LAKE_WHY] = found.why
    return Lake(found.root)


def warn(warnings: Sequence[str]) -> None:
    """End the command that runs with the exit code of a warning, where there is one."""
    if warnings:
        click.get_current_context().exit(DONE_WITH_WARNING)


def lake_why() -> str:
    """Why the command that runs works on its lake and on no other."""
    why: str = click.get_current_context().meta[_LAKE_WHY]
    return why


study_option = click.option(
    "--study",
    "study_file",
    envvar=STUDY,
    default=STUDY_FILE,
    show_default=True,
    is_eager=True,  # read before --lake, which is beside it
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


_AGO = re.compile(r"(\d+)([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def parse_moment(ctx: click.Context, param: click.Parameter, text: str | None) -> datetime | None:
    """The moment that an option names: a time ago, such as 7d, or a date and time, of UTC."""
    if text is None:
        return None
    try:
        if ago := _AGO.fullmatch(text):
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is neither a time ago (90m, 20h, 7d) nor a date and time", ctx, param
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Option:
    """An option of a stage's command: how it is written, and what it does when it is given.

    It decorates a command as click's own options do.

    Args:
        flag: its name, such as "--retry".
        help: one line.
        changes: the study with which the stage runs, from the study and the value.
        before: what is done before the stage runs, with study, lake and value.
        after: what is done after it, with the same; returns the line that is printed.
        click_arguments: further ones of `click.option`.

    """

    def __init__(
        self,
        flag: str,
        help: str,
        *,
        changes: Callable[[Study, Any], Study] | None = None,
        before: Callable[[Study, Lake, Any], None] | None = None,
        after: Callable[[Study, Lake, Any], str] | None = None,
        **click_arguments: Any,
    ) -> None:
        self.name = flag.removeprefix("--").replace("-", "_")
        self.changes, self.before, self.after = changes, before, after
        self._declare = click.option(flag, self.name, help=help, **click_arguments)

    def __call__(self, command: Command) -> Command:
        """Give the option to a command."""
        return self._declare(command)


def sets(section: str, name: str, default: Any = None) -> Callable[[Study, Any], Study]:
    """The change that puts the value into a key of the study; `default` is a section it lacks."""

    def changed(study: Study, value: Any) -> Study:
        part = replace(getattr(study, section) or default, **{name: value})
        return replace(study, **{section: part})

    return changed


device_option = Option(
    "--device",
    "Where models run; auto: on every GPU (or Apple's, mps), else on the CPU.",
    changes=sets("resources", "device"),
    envvar="MEMTRIGGERS_DEVICE",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
)

workers_option = Option(
    "--workers",
    "Worker processes on this machine; one, or one a GPU, if left out.",
    changes=sets("resources", "workers"),
    envvar="MEMTRIGGERS_WORKERS",
    type=click.IntRange(min=1),
)

scheduler_option = Option(
    "--scheduler",
    "Work on the Dask cluster at tcp://host:port, which must see the lake as you do.",
    changes=sets("resources", "scheduler"),
    envvar="MEMTRIGGERS_SCHEDULER",
    metavar="ADDRESS",
)
