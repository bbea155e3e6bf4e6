"""What is generated is embedded by the models of the training images, each vector made once."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import GENERATED_IMAGES, MADE_BY
from memtriggers.pipelines.clip.batches import Batches
from memtriggers.pipelines.clip.copy_model import choose_copy_model
from memtriggers.pipelines.clip.encoder import Encoder
from memtriggers.pipelines.clip.model import find_clip
from memtriggers.pipelines.clip.tower import load_copy_model
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Resources, Study
from memtriggers.pipelines.generation.embedding import embed_generated, generated_tables

pytestmark = pytest.mark.filterwarnings(  # all of TorchScript, by torch
    "ignore:.*deprecated.*:FutureWarning", "ignore:.*deprecated.*:DeprecationWarning"
)


@pytest.fixture
def make_describing(
    make_study: Callable[..., Study], tiny_clip: Path, descriptor: Path, cluster: str
) -> Callable[[bool], Study]:
    """A study with a descriptor of copies, or without."""

    def make(has_copies: bool) -> Study:
        section = f'[clip]\nmodel = "{tiny_clip}"\n'
        if has_copies:
            sha256 = hashlib.sha256(descriptor.read_bytes()).hexdigest()
            section += f'[copy_model]\npath = "{descriptor}"\nsha256 = "{sha256}"\n'
        return replace(make_study(sections=section), resources=Resources(scheduler=cluster))

    return make


def store_generations(lake: Lake, images: dict[str, bytes | None]) -> None:
    rows = [
        {"image_id": name, "status": "ok" if image else "blocked", "image": image}
        for name, image in images.items()
    ]
    table = pa.Table.from_pylist(rows, GENERATED_IMAGES.schema)
    VectorStore(lake.vectors).append(GENERATED_IMAGES, table)


def read_vectors(lake: Lake, name: str) -> dict[str, npt.NDArray[np.float32]]:
    rows = VectorStore(lake.vectors).dataset(name).to_table().to_pylist()
    assert all(row["status"] == "ok" for row in rows)
    found = {row["image_id"]: np.array(row["vector"], np.float32) for row in rows}
    assert len(found) == len(rows), "each once"
    return found


def unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    scaled: npt.NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


def test_each_image_has_the_vectors_of_both_models(
    make_describing: Any, lake: Lake, draw: Callable[..., bytes], descriptor: Path, tiny_clip: Path
) -> None:
    images = {f"image {number}": draw(number, side=32) for number in range(3)}
    store_generations(lake, {"refused": None, **images})
    study = make_describing(True)
    embed_generated(study, lake)
    of_clip, of_copies = generated_tables(study)
    assert of_copies.startswith("generated_copy_vectors-sscd320-")
    encoder = Encoder(find_clip(study), "cpu", 16, 1)
    tower = load_copy_model(choose_copy_model(descriptor), Batches("cpu", 16, 1))
    for name, encode in ((of_clip, encoder.images), (of_copies, tower.images)):
        found, expected = read_vectors(lake, name), unit(encode(list(images.values())))
        assert list(found) == list(images)
        assert np.stack(list(found.values())) == pytest.approx(expected, abs=1e-3)
    schema = VectorStore(lake.vectors).dataset(of_copies).schema
    assert json.loads(schema.metadata[MADE_BY])["model"] == descriptor.name


def test_only_what_is_missing_is_embedded(
    make_describing: Any, lake: Lake, draw: Callable[..., bytes]
) -> None:
    store = VectorStore(lake.vectors)
    store_generations(lake, {"first": draw(1, side=32)})
    embed_generated(make_describing(False), lake)
    study = make_describing(True)
    of_clip, of_copies = generated_tables(study)
    before = store.dataset(of_clip).to_table()
    embed_generated(study, lake)
    assert store.dataset(of_clip).to_table() == before and len(read_vectors(lake, of_copies)) == 1
    store_generations(lake, {"second": draw(2, side=32)})
    embed_generated(study, lake)
    assert store.dataset(of_clip).to_table().slice(0, 1) == before
    assert list(read_vectors(lake, of_clip)) == list(read_vectors(lake, of_copies))
    versions = [store.version(name) for name in (of_clip, of_copies)]
    embed_generated(study, lake)
    assert versions == [store.version(name) for name in (of_clip, of_copies)]


def test_the_tables_are_there_also_where_nothing_is_generated(
    make_describing: Any, lake: Lake
) -> None:
    store_generations(lake, {"refused": None})
    embed_generated(make_describing(False), lake)
    study = make_describing(True)
    embed_generated(study, lake)
    assert [len(read_vectors(lake, name)) for name in generated_tables(study)] == [0, 0]
