"""A study whose captions and names do what they can to break a page."""

import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from memtriggers.making.bundled import read_images
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study
from memtriggers.pipelines.core.study_file import load_study
from memtriggers.pipelines.stages import STAGES

HOSTILE = (
    "<script>alert(1)</script> star",
    "star </title><img src=x onerror=alert(2)> \"'& &lt;b&gt;",
    "star ‮ مرحبا بالعالم שלום ⁦",
    "star 👩‍👩‍👧‍👦 e" + "\u0301" * 20,
    "star " + "unbreakable" * 20,
)


def write_study(folder: Path) -> Study:
    """Clusters of real images under hostile captions, and keyword sets that have no cluster."""
    rows, images = [], list(read_images().values())

    def add(caption: str, image: bytes | None) -> None:
        name = f"{len(rows)}.webp"
        if image is not None:
            (folder / name).write_bytes(image)
        rows.append({"URL": name, "TEXT": caption})

    for image, caption in zip(images[::500], HOSTILE, strict=False):
        add(caption, image)
        add(caption, image)
    for number in range(12):
        add(f"star shines in the night {number}", images[-1])
    add("star " + "x" * 61_192, images[0])
    add("star that is gone", None)
    add("", images[0])
    add("lost moon", None)
    add("single sun", images[2])
    pq.write_table(pa.Table.from_pylist(rows), folder / "rows.parquet")
    sets = {
        "star": "star",
        'Vincent\'s "set" <b>': "night",
        "moon": "moon",
        "sun": "sun",
        "0": "zz",
    }
    lines = ['[data]\nparquet = "rows.parquet"\nimage_root = "."\n[report]\nclusters = 6']
    lines.append("[cluster]\nthresholds = [0.9, 0.9999]  # the report shows copies only")
    for name, word in sets.items():
        lines.append(f"[[keyword_set]]\nname = {json.dumps(name)}\ninclude = [{json.dumps(word)}]")
    (folder / "study.toml").write_text("\n".join(lines), encoding="utf-8")
    return load_study(folder / "study.toml")


@dataclass(frozen=True)
class Scanned:
    """A study and the lake that it filled."""

    study: Study
    lake: Lake


def scan(study: Study, lake: Lake, *names: str) -> None:
    """Run stages in the lake."""
    with lake.lock():
        for name in names:
            STAGES[name].run(study, lake)
