"""The application: which page is where, and what a page says when it cannot be shown."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ..core.errors import MemtriggersError
from ..page.html import TEMPLATES
from .clusters import mark_cluster, show_cluster, show_clusters
from .generations import store_threshold
from .guard import Guard
from .html import render
from .samples import send_picture, show_sample
from .searching import search_image, show_search
from .sql_box import run_sql, show_sql
from .state import Explorer

_STATIC = Path(__file__).resolve().parent / "static"


def make_app(explorer: Explorer, host: str, token: str | None) -> Guard:
    """The pages of one lake, behind their guard.

    Args:
        explorer: what they work on.
        host: the name or address that the server listens on.
        token: what a browser has to show first; None where only this machine can ask.

    """
    of_cluster = "/clusters/{threshold}/{sample_id}"
    routes = [
        Route("/", show_clusters),
        Route(of_cluster, show_cluster),
        Route(f"{of_cluster}/mark", mark_cluster, methods=["POST"]),
        Route(f"{of_cluster}/threshold", store_threshold, methods=["POST"]),
        Route("/samples/{sample_id}", show_sample),
        Route("/images/{kind}/{picture_id}", send_picture),
        Route("/search", show_search, methods=["GET"]),
        Route("/search", search_image, methods=["POST"]),
        Route("/sql", show_sql, methods=["GET"]),
        Route("/sql", run_sql, methods=["POST"]),
        Route("/static/report.css", _send_report_style),
        Mount("/static", StaticFiles(directory=_STATIC)),
    ]
    handlers = {HTTPException: _show_refused, MemtriggersError: _show_error}
    app = Starlette(routes=routes, exception_handlers=handlers)  # type: ignore[arg-type]
    app.state.explorer = explorer
    return Guard(app, host, token)


def _send_report_style(request: Request) -> Response:
    """The report's style, which the explorer's goes on from."""
    return Response((TEMPLATES / "report.css").read_text("utf-8"), media_type="text/css")


def _show_refused(request: Request, error: HTTPException) -> Response:
    return render(request, "error", error.status_code, why=error.detail)


def _show_error(request: Request, error: MemtriggersError) -> Response:
    return render(request, "error", 503, why=str(error))
