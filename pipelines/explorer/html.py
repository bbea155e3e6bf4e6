"""The explorer's pages from the templates beside: whatever goes into one is escaped."""

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse

from ..page.answers import percent, shown
from ..page.html import templates_of
from .state import explorer_of

_KEPT = "\n\t\u200c\u200d"  # joiners are a part of Persian, and of emoji
_FOLDER = Path(__file__).resolve().parent / "templates"


def render(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """The page that a template makes of the values; raises for one that it lacks."""
    document = _environment().get_template(f"{template}.html.jinja")
    problem = explorer_of(request).pictures.problem
    return HTMLResponse(document.render(request=request, problem=problem, **values), status)


@cache
def _environment() -> Environment:
    filters = {"shown": shown, "percent": percent, "cleaned": cleaned}
    environment = templates_of(_FOLDER, filters)
    environment.globals |= {"query_with": query_with, "cluster_path": cluster_path}
    return environment


def cleaned(text: object) -> str:
    """A text of any length as it is, but for characters that are invisible or turn it around."""
    return "".join(c if c.isprintable() or c in _KEPT else " " for c in str(text))


def query_with(request: Request, **changes: object) -> str:
    """The query of this page's address with some of its values changed; None takes one out."""
    values = dict(request.query_params) | changes
    return "?" + urlencode({k: v for k, v in values.items() if v is not None and k != "saved"})


def cluster_path(threshold: float, sample_id: str) -> str:
    """Where the page of a cluster is."""
    return f"/clusters/{threshold!r}/{quote(sample_id, safe='')}"
