"""The bundled sample is what SOURCE.md says, and the bundled CLIP tells copies from pictures."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from memtriggers.making.bundled import ROWS, SAMPLE, read_images
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study_file import load_study

STUDY = SAMPLE.parent / "studies" / "openclipart.toml"
CLIP = SAMPLE / "clip"
MEGABYTE = 1_000_000

torch = pytest.importorskip("torch", reason="needs memtriggers[embed]")
open_clip = pytest.importorskip("open_clip", reason="needs memtriggers[embed]")


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return pq.read_table(ROWS)


@pytest.fixture(scope="module")
def clip() -> Iterator[tuple[Any, Any]]:
    """One thread: two that wait for each other on a busy machine are ten times slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{CLIP}")
    yield model.eval().to(memory_format=torch.channels_last), preprocess
    torch.set_num_threads(threads)


def some_images(table: pa.Table) -> list[Image.Image]:
    """32 images from the whole sample, stars and playing cards among them."""
    return [opened(image) for image in table["jpg"].to_pylist()[:: table.num_rows // 32][:32]]


def opened(encoded: bytes) -> Image.Image:
    return Image.open(io.BytesIO(encoded)).convert("RGB")


def as_copy(image: Image.Image, quality: int = 40) -> Image.Image:
    """Cropped by 5 % a side, darker, a little smaller, and through JPEG."""
    width, height = image.size
    box = (0.05 * width, 0.05 * height, 0.95 * width, 0.95 * height)
    small = image.resize((int(width * 0.8), int(height * 0.8)), Image.Resampling.BICUBIC, box=box)
    buffer = io.BytesIO()
    small.point(lambda value: value * 0.9).save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def embed(clip: tuple[Any, Any], images: list[Image.Image]) -> np.ndarray[Any, Any]:
    model, preprocess = clip
    with torch.inference_mode():
        vectors = model.encode_image(torch.stack([preprocess(image) for image in images]))
    return np.asarray(torch.nn.functional.normalize(vectors.float(), dim=-1).numpy())


def test_schema_is_that_of_laion_400m_and_the_images(table: pa.Table) -> None:
    assert [(field.name, str(field.type)) for field in table.schema] == [
        ("SAMPLE_ID", "int64"),
        ("URL", "string"),
        ("TEXT", "string"),
        ("HEIGHT", "int32"),
        ("WIDTH", "int32"),
        ("LICENSE", "string"),
        ("NSFW", "string"),
        ("similarity", "double"),
        ("jpg", "binary"),
    ]


def test_rows(table: pa.Table) -> None:
    assert table.num_rows == 4283
    assert len(set(table["SAMPLE_ID"].to_pylist())) == table.num_rows
    assert set(table["LICENSE"].to_pylist()) == {"public domain"}
    assert table["TEXT"].null_count == 0
    assert table["NSFW"].null_count == table["similarity"].null_count == table.num_rows


def test_every_row_has_an_image_and_a_url_of_its_own(table: pa.Table) -> None:
    assert table["jpg"].null_count == 0
    assert list(read_images()) == table["URL"].to_pylist()


def test_images_are_the_bytes_that_lay_in_files_of_their_own() -> None:
    """4,283 WebP files in `sample/images`, one after the other in the order of the rows."""
    whole = hashlib.sha256(b"".join(read_images().values()))
    assert whole.hexdigest() == "5b2c9cca4521294253430a310d4a4463c23f7bf64515c960fc2b1ddd49caa88a"


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        ("star", "98631bfb3d86c706d211f25998e44824783c7314fdb00ded765b62393431caa7"),
        ("*", "79644e35eb33148148bb03adba37af50f21b3650bc2e50d4e9bc46290c4d5e8e"),  # every row
    ],
)
def test_samples_are_those_of_when_images_lay_in_files(
    include: str, expected: str, tmp_path: Path, lake: Lake, run_stages: Callable[..., None]
) -> None:
    """Every `sample_id` and its status, by the code of then: labels and results name them."""
    text = STUDY.read_text("utf-8").replace("../sample", str(SAMPLE))
    file = tmp_path / "study.toml"
    file.write_text(text.replace('["star"]', f'["{include}"]'), "utf-8")
    run_stages(load_study(file), "filter")
    found = pq.read_table(lake.samples, columns=["sample_id", "status", "status_reason"])
    lines = sorted(" ".join(map(str, row.values())) for row in found.to_pylist())
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == expected


def test_a_reader_of_one_image_holds_few_others() -> None:
    layout = pq.read_metadata(ROWS)
    groups = [layout.row_group(number) for number in range(layout.num_row_groups)]
    assert max(group.num_rows for group in groups) <= 500
    assert max(group.total_byte_size for group in groups) <= 1.5 * MEGABYTE


def test_sizes_are_those_of_the_images(table: pa.Table) -> None:
    for row in table.to_pylist()[::60]:
        assert opened(row["jpg"]).size == (row["WIDTH"], row["HEIGHT"])


def test_rows_and_images_take_at_most_10_megabytes() -> None:
    assert ROWS.stat().st_size <= 10 * MEGABYTE


def test_clip_takes_at_most_16_megabytes() -> None:
    assert sum(path.stat().st_size for path in CLIP.iterdir()) <= 16 * MEGABYTE


def test_clip_carries_its_own_preprocessing(clip: tuple[Any, Any]) -> None:
    config = json.loads((CLIP / "open_clip_config.json").read_text())["preprocess_cfg"]
    used = clip[0].visual.preprocess_cfg
    assert tuple(used["mean"]) == tuple(used["std"]) == (0.5, 0.5, 0.5)
    assert (used["resize_mode"], used["interpolation"]) == ("squash", "bicubic")
    assert config["resize_mode"] == "squash"


def test_vectors_are_finite_and_can_be_normalised(clip: tuple[Any, Any], table: pa.Table) -> None:
    images = [*some_images(table)[:4], Image.new("RGB", (300, 20), "white")]
    tokens = open_clip.get_tokenizer(f"local-dir:{CLIP}")(["a star", "", "flag of France " * 40])
    with torch.inference_mode():
        texts = clip[0].encode_text(tokens).numpy()
    for vectors in (embed(clip, images), texts):
        assert vectors.shape[1] == 512
        assert np.isfinite(vectors).all()
        assert (np.linalg.norm(vectors, axis=1) > 1e-3).all()


def test_a_copy_is_closest_to_its_original(clip: tuple[Any, Any], table: pa.Table) -> None:
    originals = some_images(table)
    copies = [as_copy(image) for image in originals]
    cosine = embed(clip, copies) @ embed(clip, originals).T
    closest = cosine.argmax(axis=1) == np.arange(len(originals))
    assert closest.mean() >= 0.9


def test_captions_find_their_kind(clip: tuple[Any, Any], table: pa.Table) -> None:
    """A word that hundreds of captions share ranks its own images above the others."""
    rows = table.to_pylist()[::80]
    images = [opened(row["jpg"]) for row in rows]
    is_flag = np.array([", flag" in row["TEXT"] for row in rows])
    tokens = open_clip.get_tokenizer(f"local-dir:{CLIP}")(["flag"])
    with torch.inference_mode():
        text = clip[0].encode_text(tokens).numpy()[0]
    best = np.argsort(-embed(clip, images) @ text)[: is_flag.sum()]
    assert is_flag[best].mean() > 3 * is_flag.mean()
