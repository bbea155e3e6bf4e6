"""A stage that lost everything it was given stops and says why: what was not read is not clean."""

from collections.abc import Sequence
from typing import NamedTuple

from .errors import StageError

_N_REASONS = 3


class Outcome(NamedTuple):
    """How many of a stage's rows ended with one status, and the first of them."""

    status: str
    n: int
    source_file: str
    source_row: int
    tried: str | None
    """The path or address of the first."""
    reason: str | None


def refuse_total_loss(stage: str, what: str, outcomes: Sequence[Outcome], way_out: str) -> None:
    """Raise StageError where there are rows, and not one of them ended well.

    Args:
        stage: its name.
        what: what the rows are to become, as "samples has an image".
        outcomes: all statuses but that of success, the most common first; none where one did.
        way_out: what the user may do.

    """
    if not outcomes:
        return
    total = sum(outcome.n for outcome in outcomes)
    reasons = ", ".join(f"{outcome.status} {outcome.n:,}" for outcome in outcomes[:_N_REASONS])
    first = min(outcomes, key=lambda outcome: (outcome.source_file, outcome.source_row))
    tried = first.tried or f"row {first.source_row} of {first.source_file}"
    said = f" ({first.reason})" if first.reason else ""
    raise StageError(
        f"{stage}: none of {total:,} {what}: {reasons}; the first was {tried}{said}; {way_out}"
    )
