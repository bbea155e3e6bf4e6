"""What was lost: a stage that lost everything stops, and one that lost too much warns everywhere.

What was not read is not clean. The limits are keys of the study, and change nothing that a stage
writes: `refresh`, `status` and the report hold the last run of each stage against them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .errors import StageError
from .lake import Lake
from .runs import Standing, reasons
from .study import Study

OK = "ok"


class Outcome(NamedTuple):
    """How many of a stage's rows ended with one status, and the first of them."""

    status: str
    n: int
    source_file: str
    source_row: int
    tried: str | None
    """The path or address of the first."""
    reason: str | None


class _Limit(NamedTuple):
    """The largest share that a stage may lose without a warning, and what it is a share of."""

    section: str
    key: str
    items: str
    lack: str


_LIMITS = {
    "filter": _Limit("data", "max_rejected", "matching samples", "are rejected"),
    "words": _Limit("data", "max_rejected", "rows", "cannot be read"),
    "fetch": _Limit("fetch", "max_lost", "samples", "have no image"),
    "embed": _Limit("fetch", "max_lost", "samples", "have no vector"),
    "generate": _Limit("generator", "max_lost", "generations", "have no image"),
    "score": _Limit("generator", "max_lost", "generations", "have no score"),
}


def standing(outcomes: Iterable[Outcome]) -> Standing:
    """All of a stage's rows, and those that did not end well."""
    by_status = {outcome.status: outcome.n for outcome in outcomes}
    lost = {status: n for status, n in by_status.items() if status != OK}
    return Standing(sum(by_status.values()), lost)


def refuse_total_loss(stage: str, what: str, outcomes: Sequence[Outcome], way_out: str) -> None:
    """Raise StageError where there are rows, and not one of them ended well.

    Args:
        stage: its name.
        what: what the rows are to become, as "samples has an image".
        outcomes: by status.
        way_out: what the user may do.

    """
    if not outcomes or any(outcome.status == OK for outcome in outcomes):
        return
    total = standing(outcomes)
    first = min(outcomes, key=lambda outcome: (outcome.source_file, outcome.source_row))
    tried = first.tried or f"row {first.source_row} of {first.source_file}"
    said = f" ({first.reason})" if first.reason else ""
    raise StageError(
        f"{stage}: none of {total.n_asked:,} {what}: {reasons(total.missing)}; "
        f"the first was {tried}{said}; {way_out}"
    )


def loss_warnings(study: Study, runs: Iterable[Mapping[str, Any]]) -> list[str]:
    """One line for each stage that lost a larger share than the study allows, in their order.

    Args:
        study: holds the limits.
        runs: the last successful run of each stage, with its columns `stage`, `n_asked`,
            `n_missing` and `missing`; null in a run of an earlier version, which counted nothing.

    """
    of_stages = {run["stage"]: run for run in runs}
    found = (_warning(study, of_stages[stage]) for stage in _LIMITS if stage in of_stages)
    return [line for line in found if line is not None]


def last_good_runs(runs: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The last successful one of each stage, of runs in the order of their time."""
    return {run["stage"]: run for run in runs if run["status"] == "ok"}


def standing_warnings(study: Study, lake: Lake) -> list[str]:
    """What a refresh and `status` warn of now; the report does so of the runs that it knows."""
    return loss_warnings(study, last_good_runs(lake.recorded_runs()).values())


def limits(study: Study) -> str:
    """The limits of the study, as text."""
    keys = dict.fromkeys((limit.section, limit.key) for limit in _LIMITS.values())
    return " ".join(str(getattr(getattr(study, section), key, None)) for section, key in keys)


def _warning(study: Study, run: Mapping[str, Any]) -> str | None:
    limit, n_missing = _LIMITS.get(run["stage"]), run.get("n_missing")
    section = None if limit is None else getattr(study, limit.section)
    if limit is None or section is None or not n_missing:
        return None
    allowed: float = getattr(section, limit.key)
    if n_missing / run["n_asked"] <= allowed:
        return None
    return (
        f"{run['stage']}: {n_missing:,} of {run['n_asked']:,} {limit.items} {limit.lack} "
        f"({reasons(run['missing'])}): more than [{limit.section}] {limit.key} = {allowed:g}"
    )
