"""COCO's captions: one JSON object with `images` and `annotations`; a row an annotation."""

import json
from typing import Any

from ..core.errors import SourceError
from .rows import Lost, Rows, batches, types_of
from .streams import open_bytes

_OF_IMAGES = ("file_name", "coco_url", "flickr_url", "width", "height", "license")
_KEYS = (b'"images"', b'"annotations"')


def is_coco(head: bytes) -> bool:
    """Whether the first bytes of an object look like COCO's."""
    return head.lstrip()[:1] == b"{" and any(key in head for key in _KEYS)


def open_rows(path: str) -> Rows:
    """A row for each annotation with the columns of its image; one without a caption per image
    that no annotation names.

    COCO's files are read whole: they are no larger than some hundred megabytes.

    Raises:
        SourceError: it is no JSON, or not COCO's.

    """
    try:
        with open_bytes(path) as stream:
            document = json.load(stream)
        images = {image["id"]: image for image in document["images"]}
        annotations = document["annotations"]
        found = [_row(one, images.get(one["image_id"])) for one in annotations]
        named = {one["image_id"] for one in annotations}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SourceError(
            f"{path}: not readable as COCO's captions ({type(error).__name__}: {error}); take it "
            "out of [data] rows"
        ) from None
    found += [_row({}, image) for number, image in images.items() if number not in named]
    types = types_of([row for row in found if isinstance(row, dict)])
    return Rows(types, lambda fields: batches(found, fields, types), len(found))


def _row(annotation: dict[str, Any], image: dict[str, Any] | None) -> dict[str, Any] | Lost:
    if image is None:
        return Lost(f"annotation {annotation.get('id')}: no image {annotation['image_id']}")
    return {"caption": annotation.get("caption")} | {
        name: image[name] for name in _OF_IMAGES if name in image
    }
