"""Lakes as `filter` and `embed` leave them, made by hand, and a model small enough for tests."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import image_vectors
from memtriggers.pipelines.clip.model import find_clip
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Resources, Study
from memtriggers.tests.hostile import Scanned, scan, write_study
from memtriggers.tests.web_server import Routes, serving

SAMPLES_SCHEMA = pa.schema(
    {
        "sample_id": pa.string(),
        "url": pa.string(),
        "caption": pa.string(),
        "status": pa.string(),
        "source_file": pa.string(),
        "source_row": pa.int64(),
    }
)
TINY_CLIP = {
    "model_cfg": {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": 32,
            "layers": 1,
            "width": 32,
            "head_width": 16,
            "patch_size": 8,
        },
        "text_cfg": {
            "context_length": 77,
            "vocab_size": 49408,
            "width": 16,
            "heads": 2,
            "layers": 1,
        },
    },
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "resize_mode": "squash"},
}
CLIP = '[clip]\nmodel = "ViT-B-32"\npretrained = "openai"\n'


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory, cluster: str) -> Scanned:
    """Clusters of real images under hostile captions, and their report."""
    study = write_study(tmp_path_factory.mktemp("hostile"))
    lake = Lake(study.folder / "lake")
    scan(study, lake, "filter", "words", "fetch")
    scan(replace(study, resources=Resources(scheduler=cluster)), lake, "embed")
    scan(study, lake, "cluster", "build", "report")
    return Scanned(study, lake)


@pytest.fixture
def make_embedded_study(make_study: Callable[..., Study]) -> Callable[..., Study]:
    """A study with a CLIP model that can be named without being loaded."""

    def make(sections: str = "", **sets: dict[str, object]) -> Study:
        return make_study(sections=CLIP + sections, **sets)

    return make


@pytest.fixture
def store_image_vectors(
    lake: Lake, run_stages: Callable[..., None]
) -> Callable[[Study, Sequence[Sequence[float] | None]], list[str]]:
    """Run filter, and store a vector for each sample: that of its row in the source.

    None stands for a vector that is not finite. Returns the sample ids, by source row.
    """

    def store(study: Study, vectors: Sequence[Sequence[float] | None]) -> list[str]:
        run_stages(study, "filter")
        samples = pq.read_table(lake.samples).sort_by("source_row")
        chosen = [vectors[row] for row in samples["source_row"].to_pylist()]
        _append(study, lake, samples["sample_id"].to_pylist(), chosen)
        sample_ids: list[str] = samples["sample_id"].to_pylist()
        return sample_ids

    return store


def _append(
    study: Study, lake: Lake, sample_ids: list[str], vectors: list[Sequence[float] | None]
) -> None:
    dimensions = len(next(vector for vector in vectors if vector is not None))
    table = image_vectors(find_clip(study).clip_id, dimensions)
    halves = [None if v is None else np.asarray(v, np.float16) for v in vectors]
    rows = {
        "sample_id": sample_ids,
        "vector": pa.array(halves, pa.list_(pa.float16(), dimensions)),
        "status": ["not_finite" if v is None else "ok" for v in vectors],
    }
    VectorStore(lake.vectors).append(table, pa.table(rows))


@pytest.fixture
def near() -> Callable[[int, float], npt.NDArray[np.float64]]:
    """A vector whose cosine to the axis `place` is given, and to those of other places 0."""

    def vector(place: int, cosine: float) -> npt.NDArray[np.float64]:
        result = np.zeros(16)
        result[place], result[place + 8] = cosine, np.sqrt(1 - cosine**2)
        return result

    return vector


@pytest.fixture
def serve() -> Iterator[Callable[[Routes], str]]:
    """Serve routes on 127.0.0.1, which may change meanwhile; returns the address."""
    with ExitStack() as servers:
        yield lambda routes: servers.enter_context(serving(routes))


@pytest.fixture
def write_samples(lake: Lake) -> Callable[..., list[str]]:
    """Write samples as `filter` leaves them, each given by its url and its caption, for example.

    Returns the sample ids.
    """

    def write(*rows: dict[str, Any]) -> list[str]:
        full = [_sample(number, row) for number, row in enumerate(rows)]
        table = pa.Table.from_pylist(full, SAMPLES_SCHEMA)
        lake.samples.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.replace_schema_metadata(), lake.samples)
        return [row["sample_id"] for row in full]

    return write


def _sample(number: int, row: dict[str, Any]) -> dict[str, Any]:
    defaults = {"url": f"{number}.png", "caption": f"picture {number}", "status": "ok"}
    sample = {"source_file": "source.parquet", "source_row": number, **defaults, **row}
    key = f"{sample['url']}\x1f{sample['caption']}"
    return {"sample_id": hashlib.md5(key.encode()).hexdigest(), **sample}


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random CLIP model of 16 dimensions for images of 32 × 32 pixels."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("models") / "tiny"
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps(TINY_CLIP))
    torch.manual_seed(0)
    model = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture
def descriptor(tmp_path: Path) -> Path:
    """A descriptor of copies: a TorchScript file of 14 dimensions."""
    from memtriggers.tests.corners import save_corners  # imports torch

    return save_corners(tmp_path / "tiny.torchscript.pt")


@pytest.fixture(scope="session")
def draw() -> Callable[..., bytes]:
    """An encoded image of random pixels; another number gives other pixels."""

    def encode(number: int, side: int = 8, kind: str = "PNG") -> bytes:
        pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind)
        return buffer.getvalue()

    return encode


@pytest.fixture
def read_images(lake: Lake) -> Callable[[], dict[str, dict[str, Any]]]:
    """The rows of the Lance table `images` by sample id; each sample is there once."""

    def read() -> dict[str, dict[str, Any]]:
        rows = VectorStore(lake.vectors).dataset("images").to_table().to_pylist()
        by_id = {row["sample_id"]: row for row in rows}
        assert len(by_id) == len(rows)
        return by_id

    return read
