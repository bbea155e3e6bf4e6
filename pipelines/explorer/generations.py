"""One cluster beside its generations: their scores, the threshold that tells copies, storing it."""

import math
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ..core.decisions import decide, read_decisions, take_back
from .html import cluster_path
from .state import explorer_of, number, page_number
from .stored_images import GENERATION

N_GENERATIONS = 48  # images on a page
_MOST_BANDS = 9

Row = dict[str, Any]


@dataclass(frozen=True)
class Shown:
    """What the page of a cluster shows of one generator under one metric and reference."""

    generators: dict[str, str]
    """By generator_id, its model."""
    by: list[tuple[str, str]]
    """The pairs of metric and reference that there are scores by."""
    generator_id: str
    metric: str
    reference: str
    is_distance: bool
    prompts: list[Row]
    scores: dict[str, str]
    """By prompt_id, the score of each of its images, as numbers between blanks."""
    prompt: Row
    images: list[Row]
    pictures: set[str]
    in_force: Row
    """The threshold that is published, with what is said of it; nulls where there is none."""
    decided: Row | None
    highest: float
    page: int
    size: int


def read_generations(request: Request, cluster: Row) -> Shown | None:
    """What is to be seen of a cluster's generations; None where it has none."""
    explorer = explorer_of(request)
    named = {"threshold": cluster["threshold"], "cluster": cluster["cluster_id"]}
    every = explorer.published.ask("prompts", **named)
    if not every:
        return None
    generator_id, by = _chosen(request, every)
    rows = _of(every, generator_id, by)
    prompt = next(
        (r for r in rows if r["prompt_id"] == request.query_params.get("prompt")), rows[0]
    )
    scored = {"generator": generator_id, "metric": by[0], "reference": by[1]}
    scores = explorer.published.ask("scores", **scored, prompts=[row["prompt_id"] for row in rows])
    page, before = page_number(request, N_GENERATIONS, "seeds")
    images = explorer.published.ask(
        "generations",
        **scored,
        prompt=prompt["prompt_id"],
        direction=-1 if rows[0]["is_distance"] else 1,
        limit=N_GENERATIONS,
        offset=before,
    )
    return Shown(
        generators={row["generator_id"]: row["model"] for row in every},
        by=list(dict.fromkeys((row["metric"], row["reference"]) for row in every)),
        generator_id=generator_id,
        metric=by[0],
        reference=by[1],
        is_distance=rows[0]["is_distance"],
        prompts=rows,
        scores={row["prompt_id"]: " ".join(map(repr, row["scores"])) for row in scores},
        prompt=prompt,
        images=images,
        pictures=explorer.pictures.find(GENERATION, (row["image_id"] for row in images)),
        in_force=rows[0],
        decided=_decided(request, cluster, by),
        highest=_highest(rows[0]["is_distance"], scores),
        page=page,
        size=N_GENERATIONS,
    )


async def store_threshold(request: Request) -> Response:
    """Store the replication threshold and the bands that a person chose, or take them back."""
    async with request.form() as form:
        given = {name: str(value) for name, value in form.items()}
    return await run_in_threadpool(_store, request, given)


def _store(request: Request, given: dict[str, str]) -> Response:
    explorer = explorer_of(request)
    threshold = number(request.path_params["threshold"])
    sample_id = request.path_params["sample_id"]
    found = explorer.published.ask("cluster", threshold=threshold, sample=sample_id)
    if not found:
        raise HTTPException(404, "there is no such cluster")
    cluster = found[0]
    by = (given.get("metric", ""), given.get("reference", ""))
    named = {"threshold": threshold, "cluster": cluster["cluster_id"]}
    rows = _of(explorer.published.ask("prompts", **named), given.get("generator", ""), by)
    if not rows:
        raise HTTPException(400, f"no generation of this cluster has a score by {' · '.join(by)}")
    before, row = _decided(request, cluster, by), None
    if given.get("action") != "take back":
        row = {"threshold": threshold, "sample_id": cluster["cluster_id"], "metric": by[0]}
        row |= {"reference": by[1], "is_distance": rows[0]["is_distance"]}
        row["replication_threshold"] = _finite(given.get("replication_threshold", ""))
        row["bands"] = _bands(given.get("bands", ""), rows[0]["is_distance"])
        row["n_generations"] = sum(row["n_generations"] for row in rows)
    if before is not None:  # maybe under another of its samples
        take_back(explorer.lake, "decided_thresholds", before)
    if row is not None:  # and nothing is wrong with it: what was decided before would be lost
        decide(explorer.lake, "decided_thresholds", row)
    path = cluster_path(threshold, cluster["cluster_id"])
    chosen = {"by": "/".join(by), "generator": given.get("generator", "")}
    chosen |= {"prompt": given.get("prompt", ""), "saved": "threshold"}
    return RedirectResponse(f"{path}?{urlencode(chosen)}#generations", 303)


def _chosen(request: Request, every: list[Row]) -> tuple[str, tuple[str, str]]:
    """The generator, and the metric with its reference: by default the primary one."""
    generators = [row["generator_id"] for row in every]
    wanted = request.query_params.get("generator", "")
    generator_id = wanted if wanted in generators else generators[0]
    by = [(r["metric"], r["reference"]) for r in every if r["generator_id"] == generator_id]
    metric, _, reference = request.query_params.get("by", "").partition("/")
    primary = [(name, "representatives") for name in ("l2_relative", "clip")]
    return generator_id, next(one for one in ((metric, reference), *primary, by[0]) if one in by)


def _of(every: list[Row], generator_id: str, by: tuple[str, str]) -> list[Row]:
    key = (generator_id, *by)
    return [r for r in every if (r["generator_id"], r["metric"], r["reference"]) == key]


def _decided(request: Request, cluster: Row, by: tuple[str, str]) -> Row | None:
    """The decision that is stored, whichever of the cluster's samples it names; the latest."""
    explorer, threshold = explorer_of(request), cluster["threshold"]
    stored = {
        row["sample_id"]: row
        for row in read_decisions(explorer.lake, "decided_thresholds")
        if (row["threshold"], row["metric"], row["reference"]) == (threshold, *by)
    }
    holders = explorer.published.ask("holders", threshold=threshold, samples=list(stored))
    own = {row["sample_id"] for row in holders if row["cluster_id"] == cluster["cluster_id"]}
    return next((row for name, row in reversed(stored.items()) if name in own), None)


def _highest(is_distance: bool, scores: list[Row]) -> float:
    """The right end of the slider: 1 for a cosine."""
    largest = max((score for row in scores for score in row["scores"]), default=1.0)
    return max(1.0, math.ceil(largest * 10) / 10) if is_distance else 1.0


def _bands(text: str, is_distance: bool) -> list[float]:
    """The scores that part the bands, the nearest copies first."""
    numbers = {_finite(part) for part in text.replace(";", ",").split(",") if part.strip()}
    if len(numbers) > _MOST_BANDS:
        raise HTTPException(400, f"bands: at most {_MOST_BANDS} scores")
    return sorted(numbers, reverse=not is_distance)


def _finite(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise HTTPException(400, f"{text[:50]!r} is not a number") from None
    if not math.isfinite(value):
        raise HTTPException(400, f"{text!r} is not a number that a score could reach")
    return value
