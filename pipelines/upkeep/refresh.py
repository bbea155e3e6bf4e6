"""refresh: run what is stale, in the order of the flow."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from ..core.errors import MemtriggersError
from ..core.lake import Lake
from ..core.runs import Run
from ..core.study import Study
from ..report import note_failure
from ..stages import ORDER, STAGES, Stage

log = logging.getLogger(__name__)


_STAGES = list(STAGES.values())
_UP_TO_CLUSTER = _STAGES[: list(STAGES).index("cluster") + 1]


def refresh_lake(study: Study, lake: Lake, done: Callable[[Run], None]) -> list[Run]:
    """Run every stale stage; `done` is told of each run. The caller holds the lake's lock.

    Staleness is asked of each stage when its turn comes, after those that it reads have run. The
    follow-up sets that `cluster` chooses make those up to it stale again, once: then comes the
    build, so that one refresh publishes once. An earlier report says when a stage has failed.
    """
    runs = []
    try:
        for stage in (*_UP_TO_CLUSTER, *_wanted(study)):
            if reasons := stage.why_stale(study, lake):
                log.info("%s: %s", stage.name, ", ".join(reasons))
                runs.append(stage.run(study, lake))
                done(runs[-1])
    except MemtriggersError as error:
        with suppress(OSError):  # what went wrong first is what is said
            note_failure(lake, str(error))
        raise
    note_failure(lake, None)
    return runs


def stale_stages(study: Study, lake: Lake) -> dict[str, list[str]]:
    """The stages that a refresh would run now and why, in order; nothing is run.

    A stage that reads a stale one counts as stale: what it reads is going to change.
    """
    stale: dict[str, list[str]] = {}
    for stage in _wanted(study):
        waits_for = [f"{name} is stale" for name in stage.inputs if name in stale]
        reasons = waits_for or stage.why_stale(study, lake)
        if reasons:
            stale.setdefault(stage.name, reasons)
    return stale


def _wanted(study: Study) -> list[Stage]:
    """The stages in the order of the flow, without those whose section the study lacks."""
    return [stage for stage in map(STAGES.__getitem__, ORDER) if stage.is_wanted(study)]


def published_since(lake: Lake, moment: datetime) -> bool:
    """Whether the build that is published was begun at this moment or later."""
    from ..build import published_at

    published = published_at(lake)
    return published is not None and published >= moment


def published_build(lake: Lake) -> str | None:
    """The name of the build that is published; None when nothing is."""
    from ..warehouse.previous import published

    kept = published(lake)
    return None if kept is None else kept.build


def summary(lake: Lake, runs: Sequence[Run], seconds: float, before: str | None = None) -> str:
    """What ran, and what the build changed, if there is one, in one line for a scheduler's mail.

    `before` is the build that was published when the refresh began.
    """
    if not runs:
        return "nothing to do: every stage is up to date"
    names = [run.stage for run in runs]
    said = _changes_since(lake, before) if "build" in names else ""
    return f"refreshed {', '.join(names)} in {seconds:.0f} s" + (f": {said}" if said else "")


def _changes_since(lake: Lake, before: str | None) -> str:
    from ..core.database import connect_published, query

    with connect_published(lake) as connection:
        (previous,) = connection.execute("select previous_build from build_info").fetchall()[0]
        counts = connection.execute(query("refresh/change_counts")).fetchall()
    if previous is None:
        what = "this is the first build" if before is None else f"{before} cannot be read"
        return f"nothing to compare with, {what}"
    if previous != before:  # it says again what an earlier refresh changed: samples are the same
        return ""
    return ", ".join(f"{n:,} {_in_words(kind, n)}" for kind, n in counts)


def _in_words(kind: str, n: int) -> str:
    noun, _, what = kind.partition("_")
    return f"{noun}{'' if n == 1 else 's'} {what}"
