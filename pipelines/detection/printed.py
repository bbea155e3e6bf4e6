"""What `objects` found, on the terminal."""

from typing import Any

import click
import duckdb

from ..core.database import query
from ..core.lake import Lake
from ..core.study import Study
from ..core.terminal import print_table
from .catalog import known_vocabulary, read_vocabulary

_SHOWN = 5  # candidates of a keyword set


def print_objects(study: Study, lake: Lake) -> None:
    """Print how each detector errs, how often objects come unnamed, and what was discovered."""
    if study.object:
        _print("detectors_shown", {"detectors": str(lake.object_detectors)})
        _print("rates_shown", {"rates": str(lake.object_rates)})
    if study.objects is not None and study.objects.discover:
        values = {"candidates": str(lake.object_candidates), "n": _SHOWN}
        n_known, n = len(known_vocabulary(study)), len(read_vocabulary(study))
        if n_known < n:
            said = f"{study.clip.model} has read of {n_known} of the {n} objects"
            click.echo(f"candidates: {said}, and looks for no others")
        _print("candidates_shown", values)


def _print(name: str, values: dict[str, Any]) -> None:
    with duckdb.connect() as connection:
        result = connection.execute(query(f"objects/{name}"), values)
        columns = [column[0] for column in result.description or ()]
        rows = [["" if cell is None else cell for cell in row] for row in result.fetchall()]
    print_table(columns, rows)
    click.echo("")
