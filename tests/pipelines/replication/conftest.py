"""A lake with three clusters whose prompts were answered by a generator that copies as told.

Training images are pictures and vectors made by hand: those of a cluster lie around a centre, those
of no cluster anywhere. A copy is one of the pictures with its vector, anything else is noise.
"""

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import (
    GENERATED_IMAGES,
    IMAGES,
    LanceTable,
    copy_vectors_name,
    generated_copy_vectors_name,
    generated_vectors_name,
)
from memtriggers.pipelines.clip.copy_model import find_copy_model
from memtriggers.pipelines.clip.model import find_clip
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study

Array = npt.NDArray[np.float64]

DIMENSIONS = 32  # the first half is that of the training images, the other that of noise
SIZES = (40, 20, 10)  # of the clusters
N_ALONE = 30
GENERATOR = "planted-0001"


@dataclass(frozen=True)
class Planted:
    """The study, and for each cluster its training samples: ids, pictures and vectors."""

    study: Study
    lake: Lake
    ids: list[str]  # by source row: those of the clusters, then those alone
    vectors: npt.NDArray[np.float64]
    pictures: list[bytes]

    def cluster(self, number: int) -> range:
        """The source rows of a cluster."""
        start = sum(SIZES[:number])
        return range(start, start + SIZES[number])

    def prompt_id(self, number: int, family: str = "keywords") -> str:
        """The prompt of a family for a cluster."""
        return hashlib.md5(f"{family} {number}".encode()).hexdigest()

    def name(self, number: int) -> str:
        """The cluster_id."""
        return min(self.ids[row] for row in self.cluster(number))


def picture(seed: int, base: int | None = None) -> bytes:
    """A noisy PNG of 32 × 32 pixels; those with the same base differ by little."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (32, 32, 3))
    if base is not None:
        common = np.random.default_rng(base).integers(0, 256, (32, 32, 3))
        pixels = (31 * common + pixels) // 32
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def random_vectors(n: int, seed: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(n, DIMENSIONS))


def _training_vectors() -> npt.NDArray[np.float64]:
    centres = np.repeat(np.eye(3, DIMENSIONS), SIZES, axis=0)
    around = centres + 0.04 * random_vectors(sum(SIZES), 1)
    every = np.concatenate([around, random_vectors(N_ALONE, 2)])
    every[:, DIMENSIONS // 2 :] = 0
    return every / np.linalg.norm(every, axis=1, keepdims=True)


@pytest.fixture
def make_planted(
    make_embedded_study: Callable[..., Study],
    write_captions: Callable[..., Path],
    store_image_vectors: Callable[..., list[str]],
    run_stages: Callable[..., None],
    lake: Lake,
) -> Callable[..., Planted]:
    """The training images, clustered, and one prompt of each family asked for a cluster."""

    def make(
        sections: str = "",
        families: Sequence[str] = ("keywords",),
        pictures: list[bytes] | None = None,
    ) -> Planted:
        n = sum(SIZES) + N_ALONE
        write_captions(*(f"star {number}" for number in range(n)))
        sections = f"[cluster]\nthresholds = [0.9]\n{sections}"
        study = make_embedded_study(sections, star={"include": ["star"]})
        vectors = _training_vectors()
        ids = store_image_vectors(study, list(vectors))
        bases = np.repeat([1000, 2000, 3000], SIZES).tolist() + [None] * N_ALONE
        pictures = pictures or [picture(number, base) for number, base in enumerate(bases)]
        _store_images(lake, ids, pictures)
        run_stages(study, "cluster")
        planted = Planted(study, lake, ids, vectors, pictures)
        write_prompts(planted, families)
        return planted

    return make


def _store_images(lake: Lake, ids: list[str], pictures: list[bytes]) -> None:
    rows = [
        {"sample_id": sample_id, "status": "ok", "image": image, "width": 32, "height": 32}
        for sample_id, image in zip(ids, pictures, strict=True)
    ]
    VectorStore(lake.vectors).append(IMAGES, pa.Table.from_pylist(rows, IMAGES.schema))


def write_prompts(planted: Planted, families: Sequence[str]) -> None:
    rows = [
        {
            "prompt_id": planted.prompt_id(number, family),
            "keyword_set": "star",
            "threshold": 0.9,
            "cluster_id": planted.name(number),
            "family": family,
            "prompt": f"{family} {number}",
            "source": "template",
            "clip_tokens": 4,
            "status": "ok",
            "status_reason": None,
            "caption_similarity": None,
            "nearest_sample_id": None,
        }
        for number in range(len(SIZES))
        for family in families
    ]
    planted.lake.prompts.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), planted.lake.prompts)


@pytest.fixture
def generate() -> Callable[..., None]:
    """Store generations: for each prompt the source rows that its seeds copy, None for noise.

    Other pictures of noise are given by prompt and seed.
    """

    def store(
        planted: Planted,
        copied: dict[str, Sequence[int | None]],
        pictures: dict[tuple[str, int], bytes] | None = None,
        generator: str = GENERATOR,
    ) -> None:
        images, vectors = [], []
        for prompt, rows in copied.items():
            for seed, row in enumerate(rows):
                key = f"{generator}\x1f{prompt}\x1f{seed}"
                image_id = hashlib.md5(key.encode()).hexdigest()
                images.append(_generated(image_id, prompt, seed, planted, row))
                images[-1]["generator_id"] = generator
                if pictures and (prompt, seed) in pictures:
                    images[-1]["image"] = pictures[prompt, seed]
                noise = random_vectors(1, int(image_id[:8], 16))[0]
                noise[: DIMENSIONS // 2] = 0
                vector = noise if row is None else planted.vectors[row]
                vectors.append((image_id, vector / np.linalg.norm(vector)))
        _store_generated(planted, images, vectors)
        _write_generator(planted.lake)

    return store


def _write_generator(lake: Lake) -> None:
    row = {"generator_id": GENERATOR, "model": "planted", "scheduler": "none", "dtype": "none"}
    row |= dict.fromkeys(("revision", "lora"))
    row |= {"weights_hash": "0", "steps": 1, "guidance_scale": 1.0, "width": 32, "height": 32}
    lake.generators.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([row]), lake.generators)


@pytest.fixture
def store_copies() -> Callable[[Planted, Array, Array], None]:
    """Store what a descriptor of copies would make: of the training images by source row, and of
    the generations in their order."""

    def store(planted: Planted, training: Array, generated: Array) -> None:
        copies = find_copy_model(planted.study)
        assert copies is not None
        lance = VectorStore(planted.lake.vectors)
        image_ids = lance.dataset(GENERATED_IMAGES.name).to_table()["image_id"].to_pylist()
        for name, key, ids, values in (
            (copy_vectors_name(copies.copy_id), "sample_id", planted.ids, training),
            (generated_copy_vectors_name(copies.copy_id), "image_id", image_ids, generated),
        ):
            rows = vector_rows(key, ids, values)
            lance.append(LanceTable(name, rows.schema), rows)

    return store


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Keep torch to one thread: with networks so small, more would wait for each other."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_diffusion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random pipeline of Stable Diffusion."""
    from memtriggers.tests.tiny_diffusion import save_tiny_pipeline  # imports torch

    return save_tiny_pipeline(tmp_path_factory.mktemp("diffusion"))


def _generated(
    image_id: str, prompt: str, seed: int, planted: Planted, row: int | None
) -> dict[str, Any]:
    image = picture(int(image_id[:8], 16)) if row is None else planted.pictures[row]
    return {
        "image_id": image_id,
        "generator_id": GENERATOR,
        "prompt_id": prompt,
        "seed": seed,
        "status": "ok",
        "image": image,
        "width": 32,
        "height": 32,
        "generated_at": datetime.now(UTC),
    }


def _store_generated(
    planted: Planted,
    images: list[dict[str, Any]],
    unit: list[tuple[str, npt.NDArray[np.float64]]],
) -> None:
    store = VectorStore(planted.lake.vectors)
    store.append(GENERATED_IMAGES, pa.Table.from_pylist(images, GENERATED_IMAGES.schema))
    name = generated_vectors_name(find_clip(planted.study).clip_id)
    image_ids, values = zip(*unit, strict=True)
    rows = vector_rows("image_id", image_ids, np.stack(values))
    store.append(LanceTable(name, rows.schema), rows)


def vector_rows(key: str, ids: Sequence[str], values: Array) -> pa.Table:
    """The rows of a table of vectors: (n, d) of any norm, stored with norm 1."""
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    kind = pa.list_(pa.float16(), values.shape[1])
    column = pa.array(list(unit.astype(np.float16)), kind)
    return pa.table({key: list(ids), "vector": column, "status": ["ok"] * len(ids)})
