"""The same pictures and captions, as whatever format: the same samples, images and clusters."""

import csv
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Cluster
from memtriggers.pipelines.core.study_file import load_study
from memtriggers.pipelines.upkeep.init import write_study

SAMPLE = Path(__file__).parents[3] / "sample" / "openclipart.parquet"
N_PICTURES, N_COPIED, N_COPIES = 12, 4, 3  # of the first four, three more
THRESHOLD = 0.7  # the bundled model: copies 0.90 and more, others 0.28 and less
STUDY = Path("study.toml")


class Picture(NamedTuple):
    """A picture with its caption."""

    caption: str
    jpeg: bytes


@cache
def pictures() -> list[Picture]:
    """Twelve of the sample, the first four of them also of other qualities."""
    table = pq.read_table(SAMPLE, columns=["TEXT", "jpg"])
    rows = table.take(list(range(0, table.num_rows, table.num_rows // N_PICTURES))[:N_PICTURES])
    found = [Picture(row["TEXT"].strip(), row["jpg"]) for row in rows.to_pylist()]
    return found + [
        Picture(f"{one.caption}, copy {n}", encoded_again(one.jpeg, 105 - 10 * n))
        for one in found[:N_COPIED]
        for n in range(1, N_COPIES + 1)
    ]


def encoded_again(jpeg: bytes, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(jpeg)).convert("RGB").save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def named() -> list[tuple[str, Picture]]:
    return [(f"{number:03}.jpg", picture) for number, picture in enumerate(pictures())]


def write_pictures(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in named():
        (folder / name).write_bytes(picture.jpeg)


def rows_of_bytes() -> pa.Table:
    return pa.table(
        {
            "url": [f"https://host.example/{name}" for name, _ in named()],
            "caption": [picture.caption for picture in pictures()],
            "jpg": [picture.jpeg for picture in pictures()],
        }
    )


def structs() -> pa.Table:
    images = [{"bytes": picture.jpeg, "path": name} for name, picture in named()]
    return pa.table({"image": images, "text": [picture.caption for picture in pictures()]})


def parquet(folder: Path) -> str:
    pq.write_table(rows_of_bytes(), folder / "rows.parquet", row_group_size=7)
    return "*.parquet"


def hugging_face(folder: Path) -> str:
    pq.write_table(structs(), folder / "train.parquet")
    return "train.parquet"


def arrow_stream(folder: Path) -> str:
    with pa.ipc.new_stream(folder / "data.arrow", structs().schema) as stream:
        stream.write_table(structs(), max_chunksize=5)
    return "data.arrow"


def tars(folder: Path) -> str:
    for part in range(2):
        with tarfile.open(folder / f"{part}.tar", "w") as tar:
            for name, picture in named()[part::2]:
                text = picture.caption.encode()
                for member, data in ((name, picture.jpeg), (f"{Path(name).stem}.txt", text)):
                    info = tarfile.TarInfo(member)
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    return "*.tar"


def image_folder(folder: Path) -> str:
    write_pictures(folder / "train")
    rows = [{"file_name": name, "text": picture.caption} for name, picture in named()]
    (folder / "train" / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return "train"


def captions_beside(folder: Path) -> str:
    write_pictures(folder / "pictures")
    for name, picture in named():
        (folder / "pictures" / name).with_suffix(".txt").write_text(picture.caption, "utf-8")
    return "pictures"


def csv_of_paths(folder: Path) -> str:
    write_pictures(folder / "images")
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "caption"])
        writer.writerows((f"images/{name}", picture.caption) for name, picture in named())
    return "rows.csv"


def jsonl_of_absolute_paths(folder: Path) -> str:
    write_pictures(folder / "images")
    rows = [
        {"url": os.fspath(folder / "images" / name), "caption": picture.caption}
        for name, picture in named()
    ]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return "rows.jsonl"


def coco(folder: Path) -> str:
    write_pictures(folder / "val")
    (folder / "annotations").mkdir()
    images = [{"id": n, "file_name": name} for n, (name, _) in enumerate(named())]
    annotations = [
        {"id": 100 + n, "image_id": n, "caption": picture.caption}
        for n, picture in enumerate(pictures())
    ]
    file = folder / "annotations" / "captions.json"
    file.write_text(json.dumps({"images": images, "annotations": annotations}), "utf-8")
    return "annotations/captions.json"


WRITERS = (
    *(parquet, hugging_face, arrow_stream, tars, image_folder, captions_beside),
    *(csv_of_paths, jsonl_of_absolute_paths, coco),
)


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_the_same_pictures_give_the_same_samples_and_clusters(
    write: Callable[[Path], str],
    run_stages: Callable[..., None],
    read_images: Callable[[], dict[str, dict[str, Any]]],
    lake: Lake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    given = write(tmp_path)
    write_study((given,), STUDY, True, **({"url_column": "path"} if given == "rows.csv" else {}))
    study = replace(load_study(STUDY), cluster=Cluster(thresholds=(THRESHOLD,)))
    run_stages(study, "filter", "words", "fetch", "embed", "cluster")

    images = read_images()
    captions = {row["sample_id"]: row["caption"] for row in pq.read_table(lake.samples).to_pylist()}
    found = {(captions[one], sha256(row["image"])) for one, row in images.items()}
    assert found == {(picture.caption, sha256(picture.jpeg)) for picture in pictures()}
    assert len(captions) == len(images) == len(pictures()) == 24

    members: dict[str, set[str]] = {}
    for row in pq.read_table(lake.cluster_members).to_pylist():
        if row["cluster_id"] is not None:
            members.setdefault(row["cluster_id"], set()).add(captions[row["sample_id"]])
    assert sorted(map(sorted, members.values())) == sorted(map(sorted, copies()))


def copies() -> list[set[str]]:
    """The captions of each picture that there are copies of."""
    originals = [picture.caption for picture in pictures()[:N_COPIED]]
    return [{one, *(f"{one}, copy {n}" for n in range(1, N_COPIES + 1))} for one in originals]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
