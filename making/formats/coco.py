"""A fixture in the format of COCO's captions. A docstring is the fixture's line in RECIPE.md."""

import json
from pathlib import Path
from typing import Any

from pycocotools.coco import COCO

from .world import SIDE, Sample, write_pictures

_FIVE, _NONE = 3, 11  # the ids of the images with five captions and with none
_SHAPES = ("{}", "a picture of {}", "{}, seen from afar", "{} again", "this is {}")


def captions(folder: Path, rows: list[Sample]) -> None:
    """COCO's captions, written by json and read back by `pycocotools.coco.COCO`:
    `annotations/captions_val.json` and 12 pictures in `val/`; image 3 has five captions, image 11
    none, the others two, which stand by annotation and not by image."""
    names = {f"{row.id:012d}.jpg": row for row in rows}
    write_pictures(folder / "val", names)
    images = [_image(name, row) for name, row in names.items()]
    annotations = [
        {"image_id": row.id, "id": 100 * place + row.id, "caption": shape.format(row.caption)}
        for place, shape in enumerate(_SHAPES)
        for row in rows
        if place < _count(row)
    ]
    info = {"description": "twelve drawn pictures", "version": "1.0", "year": 2020}
    licence = {"id": 1, "name": "drawn by making/formats", "url": ""}
    all_of_it = {
        "info": info,
        "licenses": [licence],
        "images": images,
        "annotations": annotations,
    }
    file = folder / "annotations" / "captions_val.json"
    file.parent.mkdir()
    file.write_text(json.dumps(all_of_it), "utf-8")
    read = COCO(str(file))
    assert [len(read.getAnnIds(imgIds=[row.id])) for row in rows] == [_count(r) for r in rows]
    assert len(read.getImgIds()) == len(rows)


def _count(row: Sample) -> int:
    """How many captions an image has."""
    return {_FIVE: 5, _NONE: 0}.get(row.id, 2)


def _image(name: str, row: Sample) -> dict[str, Any]:
    return {
        "license": 1,
        "file_name": name,
        "coco_url": row.url,
        "height": SIDE,
        "width": SIDE,
        "date_captured": "2020-01-01 00:00:00",
        "flickr_url": "",
        "id": row.id,
    }
