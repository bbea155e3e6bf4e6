"""The bundled sample is what SOURCE.md says, and the bundled CLIP tells copies from pictures."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

SAMPLE = Path(__file__).resolve().parents[2] / "sample"
CLIP = SAMPLE / "clip"
MEGABYTE = 1_000_000

torch = pytest.importorskip("torch", reason="needs memtriggers[embed]")
open_clip = pytest.importorskip("open_clip", reason="needs memtriggers[embed]")


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return pq.read_table(SAMPLE / "openclipart.parquet")


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
    urls = table["URL"].to_pylist()[:: table.num_rows // 32][:32]
    return [Image.open(SAMPLE / "images" / url).convert("RGB") for url in urls]


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


def test_schema_is_laion_400m(table: pa.Table) -> None:
    assert [(field.name, str(field.type)) for field in table.schema] == [
        ("SAMPLE_ID", "int64"),
        ("URL", "string"),
        ("TEXT", "string"),
        ("HEIGHT", "int32"),
        ("WIDTH", "int32"),
        ("LICENSE", "string"),
        ("NSFW", "string"),
        ("similarity", "double"),
    ]


def test_rows(table: pa.Table) -> None:
    assert table.num_rows == 4283
    assert len(set(table["SAMPLE_ID"].to_pylist())) == table.num_rows
    assert set(table["LICENSE"].to_pylist()) == {"public domain"}
    assert table["TEXT"].null_count == 0
    assert table["NSFW"].null_count == table["similarity"].null_count == table.num_rows


def test_every_url_is_an_image_and_every_image_a_url(table: pa.Table) -> None:
    assert {path.name for path in (SAMPLE / "images").iterdir()} == set(table["URL"].to_pylist())


def test_sizes_are_those_of_the_images(table: pa.Table) -> None:
    for row in table.to_pylist()[::60]:
        with Image.open(SAMPLE / "images" / row["URL"]) as image:
            assert image.size == (row["WIDTH"], row["HEIGHT"])


def test_images_and_parquet_take_at_most_10_megabytes() -> None:
    files = [SAMPLE / "openclipart.parquet", *(SAMPLE / "images").iterdir()]
    assert sum(path.stat().st_size for path in files) <= 10 * MEGABYTE


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
    images = [Image.open(SAMPLE / "images" / row["URL"]).convert("RGB") for row in rows]
    is_flag = np.array([", flag" in row["TEXT"] for row in rows])
    tokens = open_clip.get_tokenizer(f"local-dir:{CLIP}")(["flag"])
    with torch.inference_mode():
        text = clip[0].encode_text(tokens).numpy()[0]
    best = np.argsort(-embed(clip, images) @ text)[: is_flag.sum()]
    assert is_flag[best].mean() > 3 * is_flag.mean()
