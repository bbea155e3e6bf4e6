"""The page of one sample, with its whole caption, and the images themselves."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from .html import render
from .state import explorer_of
from .stored_images import GENERATION, SAMPLE


def show_sample(request: Request) -> Response:
    """One sample: its image, everything that its caption says, and its clusters."""
    explorer, sample_id = explorer_of(request), request.path_params["sample_id"]
    found = explorer.published.ask("sample", sample=sample_id)
    if not found:
        raise HTTPException(404, f"there is no sample {sample_id[:64]}")
    return render(
        request,
        "sample",
        sample=found[0],
        clusters=explorer.published.ask("sample_clusters", sample=sample_id),
        pictures=explorer.pictures.find(SAMPLE, [sample_id]),
    )


def send_picture(request: Request) -> Response:
    """The stored image of a sample or of a generation, as it is."""
    kind, picture_id = request.path_params["kind"], request.path_params["picture_id"]
    if kind not in (SAMPLE, GENERATION):
        raise HTTPException(404, "there is no such image")
    found = explorer_of(request).pictures.read(kind, picture_id)
    if found is None:
        raise HTTPException(404, "there is no such image")
    image, media_type = found
    # An id names one image for good: what it shows need not be asked for again.
    return Response(image, media_type=media_type, headers={"Cache-Control": "private, max-age=600"})
