"""The search page: the samples nearest to a text or to an uploaded image."""

from pathlib import PurePath
from threading import Lock
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from ..asking.search import check_search, search
from ..core.errors import MemtriggersError, StudyError
from .html import render
from .state import Explorer, explorer_of
from .stored_images import SAMPLE

N_FOUND = 48
NO_STUDY = "no study says which model: start explore with --study FILE"
_one_at_a_time = Lock()  # the model is loaded once, and Pillow's limits are those of the process


def show_search(request: Request) -> Response:
    """The search page: empty, or with what is nearest to the text in its address."""
    text = request.query_params.get("text", "").strip()
    return _show(request, text=text, wanted=text or None)


async def search_image(request: Request) -> Response:
    """The search page with what is nearest to the image that was sent."""
    async with request.form(max_files=1) as form:
        sent = form.get("image")
        if not isinstance(sent, UploadFile) or not sent.filename:
            return _page(request, [], "choose an image first", "", None)
        image, name = await sent.read(), PurePath(sent.filename).name
    return await run_in_threadpool(_show, request, "", image, name)


def _show(request: Request, text: str, wanted: str | bytes | None, name: str = "") -> Response:
    if wanted is None:
        return _page(request, [], _why_not(explorer_of(request)), text, None, 200)
    try:
        rows, why = _search(explorer_of(request), wanted, name), None
    except MemtriggersError as error:
        rows, why = [], str(error)
    return _page(request, rows, why, text, name or None)


def _why_not(explorer: Explorer) -> str | None:
    """Why no search can find anything, before anyone has typed one; loads no model."""
    if explorer.study is None:
        return NO_STUDY
    try:
        check_search(explorer.study, explorer.lake)
    except MemtriggersError as error:
        return str(error)
    return None


def _search(explorer: Explorer, wanted: str | bytes, name: str) -> list[dict[str, Any]]:
    if explorer.study is None:
        raise StudyError(NO_STUDY)
    study, lake = explorer.study, explorer.lake
    with _one_at_a_time:
        if isinstance(wanted, str):
            return search(study, lake, wanted, limit=N_FOUND)
        return search(study, lake, image=wanted, limit=N_FOUND, name=name)


def _page(
    request: Request,
    rows: list[dict[str, Any]],
    why: str | None,
    text: str,
    name: str | None,
    status: int | None = None,
) -> Response:
    pictures = explorer_of(request).pictures.find(SAMPLE, (row["sample_id"] for row in rows))
    values = {"rows": rows, "why": why, "text": text, "name": name, "pictures": pictures}
    return render(request, "search", status or (400 if why else 200), **values)
