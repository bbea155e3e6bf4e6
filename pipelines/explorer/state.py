"""What every page of the explorer works on, and how a page is asked for."""

from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request

from ..core.lake import Lake
from ..core.study import Study
from .published import Published
from .stored_images import StoredImages


@dataclass(frozen=True)
class Explorer:
    """One lake, its published build and its images; the study where there is one."""

    lake: Lake
    study: Study | None
    published: Published
    pictures: StoredImages


def explorer_of(request: Request) -> Explorer:
    """What the application was made with."""
    explorer: Explorer = request.app.state.explorer
    return explorer


def page_number(request: Request, size: int, name: str = "page") -> tuple[int, int]:
    """The page that is asked for, from 1 on, and how many rows come before it."""
    text = request.query_params.get(name, "1")
    page = max(1, int(text)) if text.isascii() and text.isdecimal() and len(text) < 9 else 1
    return page, (page - 1) * size


def number(text: str) -> float:
    """A number of an address.

    Raises:
        HTTPException: it is none; there is no such page.

    """
    try:
        return float(text)
    except ValueError:
        raise HTTPException(404, f"{text[:50]!r} is not a number") from None
