"""Fixtures of `datasets`, ImageFolder, and kohya's trainers, which read folders like it.

A docstring is the fixture's line in RECIPE.md.
"""

import contextlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pandas as pd

from .world import Sample, draw, encode, write_pictures


def _with_bytes(rows: list[Sample]) -> datasets.Dataset:
    images = [{"bytes": row.jpeg, "path": f"{row.id}.jpg"} for row in rows]
    captions = [row.caption for row in rows]
    both = datasets.Dataset.from_dict({"image": images, "text": captions})
    return both.cast_column("image", datasets.Image())


def parquet(folder: Path, rows: list[Sample]) -> None:
    """`Dataset.from_dict(…).cast_column("image", Image()).to_parquet(…)`: 12 rows, `image` (a
    struct of `bytes` and `path`, the path a name with no file to it) and `text`, nothing else."""
    _with_bytes(rows).to_parquet(folder / "train-00000-of-00001.parquet")


def saved(folder: Path, rows: list[Sample]) -> None:
    """`Dataset.save_to_disk(…, num_shards=2)`: the same 12 rows in two Arrow streams, with
    `dataset_info.json` and `state.json`."""
    _with_bytes(rows).save_to_disk(folder, num_shards=2)


def paths(folder: Path, rows: list[Sample]) -> None:
    """`Dataset.from_dict({"image": [paths], …}).cast_column("image", Image()).to_parquet(…)` from
    within the folder: 12 rows whose `bytes` are null and whose `path` names a file in `images/`."""
    names = {f"images/{row.id}.jpg": row for row in rows}
    write_pictures(folder, names)
    with contextlib.chdir(folder):
        captions = [row.caption for row in rows]
        both = datasets.Dataset.from_dict({"image": list(names), "text": captions})
        both.cast_column("image", datasets.Image()).to_parquet("train.parquet")


def _some(row: Sample) -> list[str | None]:
    """Two captions, or three for an odd id."""
    said: list[str | None] = [row.caption, f"photo: {row.caption}", f"{row.caption} (detail)"]
    return said[: 2 + row.id % 2]


def caption_lists(folder: Path, rows: list[Sample]) -> None:
    """`Dataset.to_parquet`: 12 rows, `image` as above and `caption`, a list of 2 or 3 strings; the
    list of row 5 is empty, the one of row 7 has a null in the middle."""
    lists = [_some(row) for row in rows]
    lists[5] = []
    lists[7][1] = None
    images = [{"bytes": row.jpeg, "path": f"{row.id}.jpg"} for row in rows]
    both = datasets.Dataset.from_dict({"image": images, "caption": lists})
    both.cast_column("image", datasets.Image()).to_parquet(folder / "captions.parquet")


def _split(rows: list[Sample]) -> dict[str, dict[str, Sample]]:
    """8 and 4 pictures by split and name; 0.jpg and 1.jpg are other pictures in the other split."""
    train = {f"{row.id}.jpg": row for row in rows[:8]}
    test = dict(zip(["0.jpg", "1.jpg", "10.jpg", "11.jpg"], rows[8:], strict=True))
    return {"train": train, "test": test}


def _image_folder(
    folder: Path, rows: list[Sample], write: Callable[[pd.DataFrame, Path], None]
) -> None:
    """Two splits with their metadata, which `datasets` reads with the captions in their places."""
    splits = _split(rows)
    for split, names in splits.items():
        write_pictures(folder / split, names)
        captions = [sample.caption for sample in names.values()]
        write(pd.DataFrame({"file_name": list(names), "text": captions}), folder / split)
    read = _read(folder)
    assert read.keys() == splits.keys()
    for split, names in splits.items():
        found = [(Path(row["image"]["path"]).name, row["text"]) for row in read[split]]
        assert sorted(found) == sorted((name, s.caption) for name, s in names.items())


def _read(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows that `load_dataset("imagefolder")` finds, by split; images are not decoded."""
    with tempfile.TemporaryDirectory() as cache:
        read = datasets.load_dataset("imagefolder", data_dir=str(folder), cache_dir=cache)
        read = read.cast_column("image", datasets.Image(decode=False))
        return {name: list(split) for name, split in read.items()}


def folder_jsonl(folder: Path, rows: list[Sample]) -> None:
    """ImageFolder with `metadata.jsonl` (`file_name`, `text`; json.dumps a line) in `train/`
    (8 pictures) and `test/` (4); both have a `0.jpg` and a `1.jpg`, which are other pictures."""

    def write(frame: pd.DataFrame, split: Path) -> None:
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in frame.to_dict("records")]
        (split / "metadata.jsonl").write_text("".join(lines), "utf-8")

    _image_folder(folder, rows, write)


def folder_csv(folder: Path, rows: list[Sample]) -> None:
    """The same with `metadata.csv`, by pandas' `to_csv(index=False)`."""
    _image_folder(folder, rows, lambda frame, to: frame.to_csv(to / "metadata.csv", index=False))


def folder_parquet(folder: Path, rows: list[Sample]) -> None:
    """The same with `metadata.parquet`, by pandas' `to_parquet(index=False)`."""
    _image_folder(
        folder, rows, lambda frame, to: frame.to_parquet(to / "metadata.parquet", index=False)
    )


def folder_txt(folder: Path, rows: list[Sample]) -> None:
    """Files as kohya's trainers read them: pictures with a `.txt` beside each, in two subfolders
    of 6 named `<repeats>_<name>`; `5_field/11.jpg` has no `.txt`."""
    names = {f"{'10_night' if row.id < 6 else '5_field'}/{row.id}.jpg": row for row in rows}
    write_pictures(folder, names)
    for name, sample in list(names.items())[:-1]:
        (folder / name).with_suffix(".txt").write_text(sample.caption, "utf-8")


def folder_labels(folder: Path, rows: list[Sample]) -> None:
    """ImageFolder with a folder a class and no caption at all: 12 pictures in 4 classes, the last
    one of each a PNG."""
    classes = ("night", "lighthouse", "garden", "field")
    write_pictures(folder, {f"{classes[r.group]}/{r.id}.jpg": r for r in rows if r.id % 3 < 2})
    for row in rows[2::3]:
        (folder / classes[row.group] / f"{row.id}.png").write_bytes(encode(draw(row.id), "PNG"))
    assert sorted(row["label"] for row in _read(folder)["train"]) == sorted(3 * [0, 1, 2, 3])
