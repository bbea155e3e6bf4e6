"""Writes tests/formats and its RECIPE.md: the same pictures as other people's tools write them.

    python -m making.formats

From the root of the repository, in an environment of its own; nothing of the project is imported:

    pip install img2dataset webdataset datasets pandas pyarrow pillow zstandard pycocotools pyspark

Spark needs Java 17. What lies in tests/formats is removed first.
"""

import os
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from .world import samples

OUT = Path(__file__).parents[2] / "tests" / "formats"
TOOLS = (
    *("img2dataset", "webdataset", "datasets", "pyarrow", "pandas", "pyspark"),
    *("pycocotools", "zstandard", "pillow", "numpy"),
)
LIMIT = 400_000  # bytes of all fixtures
_HEAD = """\
# Image-text data as other people's tools write it

`python -m making.formats` made everything here. It draws twelve pictures of 96 × 96 pixels (four
groups of three nearly identical ones: ids 0 to 2, 3 to 5 and so on) from seeded random blocks and
writes them with twelve captions through each tool. Captions have commas, quotation marks, a
semicolon and an é. Pictures and captions are the project's own work, under its licence: nothing
was downloaded, the addresses are of a server that the recipe starts on the loopback interface.
By the bundled CLIP, pictures of a group have a cosine similarity of at least 0.98, those of two
groups one of at most 0.65. "van gogh" stands in the captions of the first group alone.

| fixture | bytes | what it is |
|---|---|---|
"""
_TAIL = """
Made with {tools}.

The pictures are the same bytes in every fixture, but for the PNGs of `imagefolder/labels`. A second
run writes the same bytes except:

- `img2dataset/`: times in `*_stats.json` (and with their digits its size, above) and of the members
  of the tars;
- `webdataset/gz/`: the time in gzip's header;
- `text/spark/`: the names of the part files, which have a UUID.
"""


def fixtures() -> list[tuple[str, Callable[..., None]]]:
    """The folders, and what writes into each."""
    from . import coco, hugging_face, rows, tars

    return [
        ("img2dataset/parquet", tars.downloaded_parquet),
        ("img2dataset/webdataset", tars.downloaded_webdataset),
        ("img2dataset/files", tars.downloaded_files),
        ("webdataset/plain", tars.plain),
        ("webdataset/json_only", tars.json_only),
        ("webdataset/several", tars.several),
        ("webdataset/gz", tars.compressed),
        ("datasets/parquet", hugging_face.parquet),
        ("datasets/saved", hugging_face.saved),
        ("datasets/paths", hugging_face.paths),
        ("datasets/captions", hugging_face.caption_lists),
        ("imagefolder/jsonl", hugging_face.folder_jsonl),
        ("imagefolder/csv", hugging_face.folder_csv),
        ("imagefolder/parquet", hugging_face.folder_parquet),
        ("imagefolder/txt", hugging_face.folder_txt),
        ("imagefolder/labels", hugging_face.folder_labels),
        ("coco", coco.captions),
        ("text", rows.delimited),
        ("text", rows.objects),
        ("text", rows.arrow),
        ("text/spark", rows.spark),
    ]


def size(folder: Path) -> int:
    """Bytes of all files below."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def main() -> None:
    """Write every fixture, then the page that lists them."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "NO_ALBUMENTATIONS_UPDATE": "1"}
    shutil.rmtree(OUT, ignore_errors=True)
    lines = []
    for name, write in fixtures():
        (OUT / name).mkdir(parents=True, exist_ok=True)
        before = size(OUT)
        write(OUT / name, samples())
        said = " ".join((write.__doc__ or "").split())
        lines.append(f"| `{name}/` | {size(OUT) - before:,} | {said} |\n")
    assert size(OUT) <= LIMIT, f"{size(OUT):,} bytes"
    tools = ", ".join(f"{tool} {version(tool)}" for tool in TOOLS)
    page = _HEAD + "".join(lines) + _TAIL.format(tools=tools)
    (OUT / "RECIPE.md").write_text(page, "utf-8")
    print(f"{size(OUT):,} bytes in {OUT}")


if __name__ == "__main__":
    main()
