"""refresh: run what is stale, in the order of the flow."""

import logging
from collections.abc import Callable

from .lake import Lake, Run
from .stages import STAGES
from .study import Study

log = logging.getLogger(__name__)


def refresh_lake(study: Study, lake: Lake, done: Callable[[Run], None]) -> list[Run]:
    """Run every stale stage; `done` is told of each run. The caller holds the lake's lock.

    Staleness is asked of each stage when its turn comes, after those that it reads have run.
    """
    runs = []
    for stage in STAGES.values():
        if reasons := stage.why_stale(study, lake):
            log.info("%s: %s", stage.name, ", ".join(reasons))
            runs.append(stage.run(study, lake))
            done(runs[-1])
    return runs


def stale_stages(study: Study, lake: Lake) -> dict[str, list[str]]:
    """The stages that a refresh would run now and why, in order; nothing is run.

    A stage that reads a stale one counts as stale: what it reads is going to change.
    """
    stale: dict[str, list[str]] = {}
    for stage in STAGES.values():
        waits_for = [f"{name} is stale" for name in stage.inputs if name in stale]
        reasons = waits_for or stage.why_stale(study, lake)
        if reasons:
            stale[stage.name] = reasons
    return stale
