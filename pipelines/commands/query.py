"""The commands `sql`, `search`, `explore`, `probe` and `export`: asking tables and models."""

from pathlib import Path

import click
from click.core import ParameterSource

from ..core.command_options import lake_option, study_option
from ..core.lake import Lake
from ..core.study_file import load_study


def _values(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    for text in given:
        if not text.partition("=")[1]:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE", ctx, param)
    return {name: value for name, _, value in (text.partition("=") for text in given)}


@click.command()
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
@click.option("--examples", is_flag=True, help="List the example queries and what they answer.")
@click.option("--example", metavar="NAME", help="Run an example query.")
@click.option(
    "--set",
    "values",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_values,
    help="The value of $NAME in the query or the example; may be repeated.",
)
def sql(
    query: str | None,
    lake: Lake,
    file: Path | None,
    form: str,
    output: Path | None,
    tables: bool,
    examples: bool,
    example: str | None,
    values: dict[str, str],
) -> None:
    """Query the published tables, read-only; without a query, open a shell on them.

    \b
    Example:
      memtriggers sql "from duplicates_of('star', 0.9) limit 5" --format csv
    """
    from ..asking.examples import bind_example, print_examples, tables_query
    from ..asking.shell import open_shell
    from ..asking.sql import print_query

    given = [query, file, tables or None, examples or None, example]
    if sum(item is not None for item in given) > 1:
        raise click.UsageError("give one of: a QUERY, --file, --tables, --examples, --example")
    if examples:
        print_examples(form, output)
    elif example:
        print_query(lake, *bind_example(example, values), form, output)
    elif tables or file or query is not None:
        text = tables_query() if tables else file.read_text("utf-8") if file else query or ""
        print_query(lake, text, values, form, output)
    else:
        open_shell(lake)


@click.command()
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
    from ..asking.search import print_search

    if (text is None) == (image is None):
        raise click.UsageError("give one of: a TEXT, --image")
    print_search(load_study(study_file), lake, text, image, limit, as_json)


@click.command()
@lake_option()
@study_option
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on; any other than this machine's own asks for a token.",
)
@click.option(
    "--port",
    default=8642,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="The port to listen on; 0: one that is free.",
)
@click.pass_context
def explore(ctx: click.Context, lake: Lake, study_file: Path, host: str, port: int) -> None:
    """Look at clusters and generations in a browser, and decide about them.

    \b
    Example:
      memtriggers explore --study study.toml
    """
    from ..explorer.explore import explore as serve

    # Only the search needs a study: without the one by default, everything else is there.
    is_given = ctx.get_parameter_source("study_file") is not ParameterSource.DEFAULT
    serve(lake, study_file if is_given or study_file.exists() else None, host, port)


@click.command()
@click.argument("prompt")
@study_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of two tables.")
def probe(prompt: str, study_file: Path, as_json: bool) -> None:
    """Show which words of a prompt make the study's generator bring an image back.

    \b
    Example:
      memtriggers probe "starry night van gogh"
    """
    from ..asking.probe import print_probe

    print_probe(load_study(study_file), prompt, as_json)


@click.command()
@click.argument("what", type=click.Choice(["removal-list", "kept", "not-judged", "weights"]))
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
    "--rule",
    default="all",
    show_default=True,
    type=click.Choice(["all", "trigger"]),
    help="Remove all superfluous copies, or only those whose captions say a word set of theirs.",
)
@click.option(
    "--max-rows",
    type=click.IntRange(min=0),
    help="With --rule trigger: remove at most so many, whole clusters, where each row takes the "
    "most risk with it.",
)
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The .parquet or .csv file to write; or .npy, DataComp's subset format.",
)
def export(
    what: str,
    lake: Lake,
    threshold: float,
    keep_rule: str,
    rule: str,
    max_rows: int | None,
    output: Path,
) -> None:
    """Write what to remove, what to keep, what was not judged, or a weight for each sample.

    All are of the samples that a keyword set matches: rows that none matches are in no file. A
    sample without an image or an embedding is not judged: it is neither to be removed nor kept.

    \b
    Example:
      memtriggers export removal-list --threshold 0.95 --keep best --output removal.parquet
    """
    from ..asking.export import export_samples

    if max_rows is not None and rule != "trigger":
        raise click.UsageError("--max-rows needs --rule trigger: other copies have no order")
    n_rows, n_not_judged = export_samples(lake, what, threshold, keep_rule, output, rule, max_rows)
    what_of = "source rows" if output.suffix == ".npy" else "rows"
    line = f"{output}: {n_rows:,} {what_of} of matched samples"
    if n_not_judged and what in ("removal-list", "kept"):
        line += f"; {n_not_judged:,} samples are in neither list, they were not judged"
    click.echo(line)
