"""The pages of clusters: all of a keyword set, one with its images, and marking it."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ..core.decisions import MARKS, decide, read_decisions, take_back
from .generations import read_generations
from .html import cluster_path, render
from .state import Explorer, explorer_of, number, page_number
from .stored_images import SAMPLE

N_CLUSTERS = 20  # on a page
N_STRIP = 8  # images of each
N_ORIGINALS = 8  # of one cluster, beside its generations
N_MEMBERS = 48  # images of one cluster on a page

Row = dict[str, Any]


def show_clusters(request: Request) -> Response:
    """A page of the clusters of a keyword set, the largest first."""
    explorer = explorer_of(request)
    sets = explorer.published.ask("choices")
    thresholds = [row["threshold"] for row in explorer.published.ask("thresholds")]
    keyword_set, threshold = _chosen(request, sets, thresholds)
    page, before = page_number(request, N_CLUSTERS)
    chosen: Row = {"keyword_set": keyword_set, "threshold": threshold}
    rows = explorer.published.ask("clusters", **chosen, limit=N_CLUSTERS, offset=before)
    named = {"threshold": threshold, "clusters": [row["cluster_id"] for row in rows]}
    strips = explorer.published.ask("strips", **named, n_images=N_STRIP)
    prompted = explorer.published.ask("prompted", **named)
    return render(
        request,
        "clusters",
        sets=sets,
        thresholds=thresholds,
        **chosen,
        rows=rows,
        images=_by_cluster(strips),
        pictures=explorer.pictures.find(SAMPLE, (row["sample_id"] for row in strips)),
        prompted={row["cluster_id"]: row for row in prompted},
        marks=_marks(explorer, threshold),
        page=page,
        size=N_CLUSTERS,
    )


def show_cluster(request: Request) -> Response:
    """One cluster: its words, a page of its images, and its generations beside them."""
    explorer = explorer_of(request)
    cluster = _find_cluster(request)
    named = {"threshold": cluster["threshold"], "cluster": cluster["cluster_id"]}
    page, before = page_number(request, N_MEMBERS)
    ask = explorer.published.ask
    members = ask("members", **named, limit=N_MEMBERS, offset=before)
    originals = ask("members", **named, limit=N_ORIGINALS, offset=0)
    shown = {row["sample_id"] for row in (*members, *originals)}
    return render(
        request,
        "cluster",
        cluster=cluster,
        path=cluster_path(cluster["threshold"], cluster["cluster_id"]),
        words=ask("cluster_words", **named),
        keyword_sets=ask("cluster_keyword_sets", **named),
        members=members,
        originals=originals,
        pictures=explorer.pictures.find(SAMPLE, shown),
        mark=_marks(explorer, cluster["threshold"]).get(cluster["cluster_id"]),
        generations=read_generations(request, cluster),
        saved=request.query_params.get("saved"),
        page=page,
        size=N_MEMBERS,
    )


async def mark_cluster(request: Request) -> Response:
    """Store what a person says that the images of a cluster are, or that nobody says anything."""
    async with request.form() as form:
        mark = str(form.get("mark", ""))
    if mark not in (*MARKS, "none"):
        raise HTTPException(400, f"a cluster is marked as one of: {', '.join(MARKS)}, none")
    return await run_in_threadpool(_mark, request, mark)


def _mark(request: Request, mark: str) -> Response:
    explorer, cluster = explorer_of(request), _find_cluster(request)
    threshold, cluster_id = cluster["threshold"], cluster["cluster_id"]
    before = _marks(explorer, threshold).get(cluster_id)
    if before is not None:  # maybe under another of its samples
        take_back(explorer.lake, "cluster_marks", before)
    if mark != "none":
        row = {"threshold": threshold, "sample_id": cluster_id, "mark": mark}
        decide(explorer.lake, "cluster_marks", row)
    return RedirectResponse(f"{cluster_path(threshold, cluster_id)}?saved=mark#mark", 303)


def _find_cluster(request: Request) -> Row:
    threshold = number(request.path_params["threshold"])
    sample_id = request.path_params["sample_id"]
    found = explorer_of(request).published.ask("cluster", threshold=threshold, sample=sample_id)
    if not found:
        raise HTTPException(404, f"no cluster at {threshold:g} holds the sample {sample_id[:64]}")
    return found[0]


def _chosen(request: Request, sets: list[Row], thresholds: list[float]) -> tuple[str | None, float]:
    """The keyword set, None for all, and the threshold: by default that at which it is shown."""
    own = {row["keyword_set"]: row["threshold"] for row in sets}
    wanted = request.query_params.get("keyword_set")
    keyword_set = wanted if wanted in own else None
    by_default = own.get(keyword_set or "", next(iter(own.values()), None))
    given = request.query_params.get("threshold")
    threshold = number(given) if given else by_default
    if threshold is None:
        threshold = thresholds[0] if thresholds else 0.0
    return keyword_set, threshold


def _marks(explorer: Explorer, threshold: float) -> dict[str, Row]:
    """The marks that are stored, by the cluster that holds their sample now."""
    marks = {
        row["sample_id"]: row
        for row in read_decisions(explorer.lake, "cluster_marks")
        if row["threshold"] == threshold
    }
    holders = explorer.published.ask("holders", threshold=threshold, samples=list(marks))
    return {row["cluster_id"]: marks[row["sample_id"]] for row in holders}


def _by_cluster(strips: list[Row]) -> dict[str, list[str]]:
    images: dict[str, list[str]] = {}
    for row in strips:
        images.setdefault(row["cluster_id"], []).append(row["sample_id"])
    return images
