"""status: each stage, what it last did, and whether it is stale and why."""

import json
from dataclasses import asdict, dataclass
from typing import Any

import click
from rich.console import Console

from ..clip.model import find_clip
from ..clip.recommended import recommended_threshold
from ..clip.thresholds import resolve_thresholds
from ..core.lake import Lake
from ..core.losses import last_good_runs, standing_warnings
from ..core.study import Study
from ..core.terminal import print_table, printable
from ..stages import STAGES, Stage
from .refresh import stale_stages
from .status_drawing import StageStatus, draw_flow

_OF_A_RUN = (
    *("n_in", "n_out", "finished_at"),
    *("n_lost", "lost", "n_asked", "n_missing", "missing"),
)


@dataclass(frozen=True)
class ThresholdStatus:
    """The thresholds in use, and the one that is recommended for the model."""

    used: tuple[float, ...]
    report: float
    named_by_study: bool
    clip_id: str
    recommended: float
    reason: str


def print_status(study: Study, lake: Lake, lake_why: str, as_json: bool) -> None:
    """Print the state of every stage, which lake it is and why, and the thresholds.

    On a terminal as a drawing of the flow, in a pipe as a table, or as one JSON document.

    Raises:
        LakeError: the lake is of an older format.

    """
    lake.require_today()
    rows, thresholds = stage_statuses(study, lake), threshold_status(study, lake)
    warnings = standing_warnings(study, lake)
    if as_json:
        stages = [asdict(row) for row in rows]
        document = {
            "lake": str(lake.root),
            "lake_why": lake_why,
            "stages": stages,
            "warnings": warnings,
            "thresholds": asdict(thresholds),
        }
        click.echo(json.dumps(document, indent=2))
        return
    console = Console()
    if console.is_terminal:
        draw_flow(console, rows)
    else:
        _print_rows(rows)
    for line in (*_failures(rows), *(f"warning: {warning}" for warning in warnings)):
        click.echo(printable(line))
    click.echo(f"\nlake: {lake.root} ({lake_why})\n{_threshold_line(thresholds)}")


def _print_rows(rows: list[StageStatus]) -> None:
    cells = [
        (
            *(r.stage, r.state, _count(r.n_in), _count(r.n_out), _count(r.n_lost)),
            *((r.finished_at or "")[:19], _why(r)),
        )
        for r in rows
    ]
    print_table(["stage", "state", "in", "out", "lost", "last run (UTC)", "why"], cells)


def _failures(rows: list[StageStatus]) -> list[str]:
    return [
        f"failed: {row.stage}, {(row.failed_at or '')[:16].replace('T', ' ')} UTC: {row.error}"
        for row in rows
        if row.error is not None
    ]


def threshold_status(study: Study, lake: Lake) -> ThresholdStatus:
    """The thresholds of the study in this lake, beside what is recommended for its model."""
    thresholds, choice = resolve_thresholds(study, lake), find_clip(study)
    found = recommended_threshold(choice, lake)
    return ThresholdStatus(
        thresholds.computed,
        thresholds.report,
        study.cluster.thresholds is not None,
        choice.clip_id,
        found.threshold,
        found.reason,
    )


def stage_statuses(study: Study, lake: Lake) -> list[StageStatus]:
    """The state of every stage, in the order of the flow."""
    stale = stale_stages(study, lake)
    runs = lake.recorded_runs()
    good, last = last_good_runs(runs), {run["stage"]: run for run in runs}
    statuses = []
    for name, stage in STAGES.items():
        state, why = _state(stage, study, stale)
        of_runs: dict[str, Any] = {key: good.get(name, {}).get(key) for key in _OF_A_RUN}
        if state == "stale":  # what is up to date is so without the run that failed
            of_runs |= _failure(last.get(name))
        statuses.append(StageStatus(stage=name, state=state, why=why, **of_runs))
    return statuses


def _failure(run: dict[str, Any] | None) -> dict[str, Any]:
    """When the last run of a stage ended and why, where it did not end well."""
    if run is None or run["status"] in ("ok", "running"):
        return {}
    failed_at, error = run["finished_at"] or run["started_at"], run["error"] or run["status"]
    return {"failed_at": failed_at, "error": error}


def _state(stage: Stage, study: Study, stale: dict[str, list[str]]) -> tuple[str, list[str]]:
    if not stage.is_wanted(study):
        return "skipped", [f"the study has no [{stage.sections[0]}]"]
    return "stale" if stage.name in stale else "fresh", stale.get(stage.name, [])


def _threshold_line(status: ThresholdStatus) -> str:
    used = ", ".join(map(str, status.used))
    source = "named by the study" if status.named_by_study else "around the recommended one"
    return (
        f"thresholds: {used} ({source}); the report shows {status.report}\n"
        f"recommended for {status.clip_id}: {status.recommended} ({status.reason})"
    )


def _count(n: int | None) -> str:
    return "" if n is None else f"{n:,}"


def _why(row: StageStatus) -> str:
    return ", ".join(row.why)
