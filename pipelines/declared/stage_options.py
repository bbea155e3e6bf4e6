"""The options of each stage's command, and what its command prints: one tuple a stage.

A new option is one more `Option` in the tuple of its stage. Nothing heavy is imported here: what an
option does is imported when it is given.
"""

from datetime import UTC, datetime
from pathlib import Path

import click

from ..core.command_options import (
    Option,
    device_option,
    parse_moment,
    scheduler_option,
    sets,
    workers_option,
)
from ..core.lake import Lake
from ..core.study import Objects, Study


def _forget_failures(study: Study, lake: Lake, given: bool) -> None:
    from ..fetch import forget_passing_failures

    forget_passing_failures(lake)


def _fetch_again(study: Study, lake: Lake, before: datetime) -> None:
    from ..fetch import ask_again

    ask_again(study, lake, before)


def _before_when(ctx: click.Context, param: click.Parameter, again: bool) -> datetime | None:
    """What was fetched before this moment is fetched again; None where nothing is."""
    older_than: datetime | None = ctx.params["older_than"]
    if older_than is not None and not again:
        raise click.UsageError("--older-than says which images --again fetches: add --again", ctx)
    return (older_than or datetime.now(UTC)) if again else None


def _retire_prompts(study: Study, lake: Lake, given: bool) -> None:
    from ..prompts import retire

    retire(lake)


def _write_docs(study: Study, lake: Lake, given: bool) -> str:
    from ..build import write_docs

    return f"documentation: {write_docs(study, lake)}"


def _write_paired_prompts(study: Study, lake: Lake, path: Path) -> str:
    from ..detection.paired import write_paired_prompts

    return f"{write_paired_prompts(lake, path)} prompts: {path}"


def print_objects(study: Study, lake: Lake) -> None:
    """Print what `objects` found."""
    from ..detection.printed import print_objects

    print_objects(study, lake)


def _vectors_option(flag: str, help: str) -> Option:
    """One that names files of vectors which exist already, by a glob: a key of `[data]`."""

    def absolute(ctx: click.Context, param: click.Parameter, pattern: str | None) -> str | None:
        return pattern if pattern is None or "://" in pattern else str(Path(pattern).absolute())

    key = flag.removeprefix("--").replace("-", "_")
    return Option(flag, help, changes=sets("data", key), metavar="GLOB", callback=absolute)


# What several stages have: those whose workers read captions, and those whose workers run a model.
READS_CAPTIONS = (scheduler_option,)
RUNS_A_MODEL = (device_option, workers_option, scheduler_option)

FETCH = (
    Option(
        "--retry",
        "Try again what failed and may pass by now: the network, a busy server, a missing file.",
        before=_forget_failures,
        is_flag=True,
    ),
    Option(
        "--again",
        "Fetch every image again that is on the web: what its address serves now replaces it.",
        before=_fetch_again,
        callback=_before_when,
        is_flag=True,
    ),
    Option(
        "--older-than",
        "With --again: only what was fetched, or refused, longer ago: 20h, 30d, or before a date.",
        callback=parse_moment,
        is_eager=True,  # read before --again, which needs it
        metavar="TIME",
    ),
)

EMBED = (
    _vectors_option(
        "--vectors", "Import clip-retrieval's image embeddings, such as 'img_emb_*.npy'."
    ),
    _vectors_option("--caption-vectors", "Those of the captions, such as 'text_emb_*.npy'."),
    _vectors_option("--metadata", "The parquet files beside them, row by row."),
    *RUNS_A_MODEL,
)

BUILD = (
    Option(
        "--docs",
        "Also write dbt's documentation of the tables, with their lineage, as one page.",
        after=_write_docs,
        is_flag=True,
    ),
)

PROMPTS = (
    Option(
        "--renew",
        "Set the prompts aside that are there, and make new ones.",
        before=_retire_prompts,
        is_flag=True,
    ),
)

OBJECTS = (
    *RUNS_A_MODEL,
    Option(
        "--discover",
        "Also rank objects that nobody asked for; as discover = true in [objects].",
        changes=sets("objects", "discover", Objects()),
        is_flag=True,
    ),
    Option(
        "--paired",
        "Write captions whose images show no object to a CSV file, for [prompts] file.",
        after=_write_paired_prompts,
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
    ),
)
