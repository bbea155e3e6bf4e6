"""The paired design: captions whose own images show no object, as prompts of a generator."""

import csv
from pathlib import Path

import duckdb

from ..core.database import query
from ..core.lake import Lake, replacing
from ..generation.texts import one_line


def write_paired_prompts(lake: Lake, path: Path) -> int:
    """Write a CSV file for `[prompts] file`; returns the number of prompts in it.

    Each asks for the image of its caption, which is without the object: an object that comes along
    comes from elsewhere in the training data.
    """
    values = {
        "detections": str(lake.object_detections),
        "keyword_matches": str(lake.keyword_matches),
        "samples": str(lake.samples),
    }
    with duckdb.connect() as connection:
        rows = connection.execute(query("objects/paired_prompts"), values).fetchall()
    texts = {one_line(row[-1]): row for row in reversed(rows)}  # a text is generated once
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("keyword_set", "cluster", "family", "prompt"))
        writer.writerows((*row[:3], text) for text, row in reversed(texts.items()))
    return len(texts)
