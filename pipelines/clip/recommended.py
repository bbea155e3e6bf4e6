"""The threshold that is recommended for a model, and the evaluation that says so."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import LakeError, ModelError
from ..core.lake import Lake
from .model import ClipChoice

SUMMARY = "summary.json"  # of an evaluation
BESIDE_WEIGHTS = "recommended_threshold.json"
UNKNOWN = 0.9

# The best first: people's labels before copies of our making, this lake before another one.
_IN_LAKE = (("labelled", "labelled"), ("lake", "copies"), ("labelled", "copies"))
_ON_SAMPLE = (("sample", "copies"),)


@dataclass(frozen=True)
class Recommendation:
    """A cosine from which two images count as nearly identical, and why that one."""

    threshold: float
    reason: str


def recommended_threshold(choice: ClipChoice, lake: Lake) -> Recommendation:
    """What is recommended for a model: by this lake's evaluations, else by its own folder.

    Raises:
        LakeError, ModelError: a file that recommends cannot be read; names it.

    """
    for found in _known(choice, lake):
        return found
    return Recommendation(UNKNOWN, "not evaluated; run: memtriggers evaluate")


def write_beside_weights(choice: ClipChoice, found: Recommendation, figures: Any) -> Path:
    """Let the recommendation travel with the model; returns the file.

    Raises:
        ModelError: the model comes from a hub, so that there is no folder to write to.

    """
    file = choice.beside_weights(BESIDE_WEIGHTS)
    if file is None:
        raise ModelError(
            f"{choice.model}: comes from a hub: no folder to write {BESIDE_WEIGHTS} to"
        )
    document = {
        "clip_id": choice.clip_id,
        "threshold": found.threshold,
        "reason": found.reason,
        "figures": figures,
    }
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return file


def _known(choice: ClipChoice, lake: Lake) -> Iterator[Recommendation]:
    yield from _from_evaluations(choice, lake, _IN_LAKE)
    file = choice.beside_weights(BESIDE_WEIGHTS)
    if file is not None and file.is_file():
        try:
            document = json.loads(file.read_text("utf-8"))
            # Of other weights, or of another configuration, it would say nothing.
            if _digest(document["clip_id"]) == _digest(choice.clip_id):
                yield Recommendation(float(document["threshold"]), str(document["reason"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{file}: cannot be read ({error}); remove it") from None
    yield from _from_evaluations(choice, lake, _ON_SAMPLE)


def _from_evaluations(
    choice: ClipChoice, lake: Lake, wanted: tuple[tuple[str, str], ...]
) -> Iterator[Recommendation]:
    for on, pairs in wanted:
        file = lake.evaluation(choice.clip_id, on) / SUMMARY
        if file.is_file():
            try:
                found = json.loads(file.read_text("utf-8"))["recommended"].get(pairs)
            except (ValueError, KeyError) as error:
                raise LakeError(f"{file}: cannot be read ({error}); remove it") from None
            if found is not None:
                yield Recommendation(**found)


def _digest(clip_id: str) -> str:
    return clip_id.rpartition("-")[2]
