"""status: each stage, what it last did, and whether it is stale and why."""

import json
from dataclasses import asdict, dataclass
from typing import Any

import click

from .lake import Lake
from .refresh import stale_stages
from .stages import STAGES
from .study import Study
from .terminal import print_table


@dataclass(frozen=True)
class StageStatus:
    """One line of status."""

    stage: str
    state: str
    why: list[str]
    n_in: int | None
    n_out: int | None
    finished_at: str | None


def print_status(study: Study, lake: Lake, as_json: bool) -> None:
    """Print the state of every stage as a table or as one JSON document."""
    rows = stage_statuses(study, lake)
    if as_json:
        stages = [asdict(row) for row in rows]
        click.echo(json.dumps({"lake": str(lake.root), "stages": stages}, indent=2))
        return
    cells = [
        (r.stage, r.state, _count(r.n_in), _count(r.n_out), (r.finished_at or "")[:19], _why(r))
        for r in rows
    ]
    print_table(["stage", "state", "in", "out", "last run (UTC)", "why"], cells)


def stage_statuses(study: Study, lake: Lake) -> list[StageStatus]:
    """The state of every stage, in the order of the flow."""
    stale = stale_stages(study, lake)
    runs = _last_runs(lake)
    return [
        StageStatus(
            name,
            "stale" if name in stale else "fresh",
            stale.get(name, []),
            *(runs.get(name, {}).get(key) for key in ("n_in", "n_out", "finished_at")),
        )
        for name in STAGES
    ]


def _last_runs(lake: Lake) -> dict[str, dict[str, Any]]:
    """The last successful run of each stage; file names sort by time."""
    runs = [json.loads(file.read_text("utf-8")) for file in sorted(lake.runs.glob("*.json"))]
    return {run["stage"]: run for run in runs if run["status"] == "ok"}


def _count(n: int | None) -> str:
    return "" if n is None else f"{n:,}"


def _why(row: StageStatus) -> str:
    return ", ".join(row.why)
