"""Open-vocabulary detectors: tiny random ones of transformers through the whole code path."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import IMAGES
from memtriggers.pipelines.core.errors import ModelError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Resources, Study
from memtriggers.pipelines.detection.catalog import objects_of
from memtriggers.pipelines.detection.images import Looked
from memtriggers.pipelines.detection.open_vocabulary import OpenVocabulary, find_detector
from memtriggers.pipelines.detection.seen import Scored, see
from memtriggers.tests.tiny_detectors import save_tiny_dino, save_tiny_owl

SIZES = ((80, 40), (40, 80), (64, 64), (7, 90), (33, 31))  # width, height
OBJECTS = """
[[object]]
name = "US flag"
looks_like = ["us flag", "american flag"]
[[object]]
name = "helmet"
[objects]
detector = "detector"
"""


def png(number: int, size: tuple[int, int]) -> bytes:
    random, buffer = np.random.default_rng(number), io.BytesIO()
    pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def looked(lake: Lake) -> Looked:
    """Pictures of all shapes in the table of images."""
    ids = [f"{number:032x}" for number in range(len(SIZES))]
    rows = [
        {"sample_id": i, "status": "ok", "image": png(n, size)}
        for n, (i, size) in enumerate(zip(ids, SIZES, strict=True))
    ]
    store = VectorStore(lake.vectors)
    store.append(IMAGES, pa.Table.from_pylist(rows, IMAGES.schema))
    return Looked(IMAGES, pa.array(ids), np.arange(len(ids)))


@pytest.fixture
def make_detecting(
    tmp_path: Path,
    write_captions: Callable[..., Path],
    make_study: Callable[..., Study],
    cluster: str,
) -> Callable[..., Study]:
    def make(version: int = 2, sections: str = OBJECTS) -> Study:
        write_captions("a")
        save_tiny_owl(tmp_path / "detector", version)
        return replace(make_study(sections=sections), resources=Resources(scheduler=cluster))

    return make


def detect(study: Study, lake: Lake, looked: Looked) -> Scored:
    return see(OpenVocabulary(study, lake, objects_of(study)), [looked], 2, 2)


@pytest.mark.parametrize("version", [1, 2])
def test_the_best_box_is_that_of_transformers_itself(
    lake: Lake, looked: Looked, make_detecting: Callable[..., Study], version: int
) -> None:
    study = make_detecting(version)
    scored = detect(study, lake, looked)
    assert scored.ids == looked.ids.to_pylist()
    assert ((scored.boxes >= 0) & (scored.boxes <= 1)).all()
    assert (scored.boxes[..., :2] <= scored.boxes[..., 2:]).all()

    folder = study.folder / "detector"
    model = AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval()
    processor = AutoProcessor.from_pretrained(folder)
    for number, (width, height) in enumerate(SIZES):
        with Image.open(io.BytesIO(png(number, (width, height)))) as opened:
            picture = opened.convert("RGB")
        for place, phrases in enumerate([["us flag", "american flag"], ["helmet"]]):
            inputs = processor(text=[phrases], images=[picture], return_tensors="pt")
            with torch.inference_mode():
                output = model(**inputs)
            (found,) = processor.post_process_grounded_object_detection(
                output, threshold=0.0, target_sizes=[(height, width)]
            )
            best = found["scores"].argmax()
            assert scored.scores[number, place] == pytest.approx(
                found["scores"][best].item(), abs=1e-4
            )
            box = found["boxes"][best].numpy() / [width, height, width, height]
            assert scored.boxes[number, place] == pytest.approx(np.clip(box, 0, 1), abs=1e-3)


def test_a_transparent_picture_is_looked_at_on_white(
    lake: Lake, make_detecting: Callable[..., Study]
) -> None:
    red = Image.new("RGBA", (60, 60), (255, 0, 0, 0))
    rows: list[dict[str, Any]] = []
    for number, one in enumerate((red, Image.new("RGB", red.size, "white"), red.convert("RGB"))):
        buffer = io.BytesIO()
        one.save(buffer, "PNG")
        row = {"sample_id": f"{number:032x}", "status": "ok", "image": buffer.getvalue()}
        rows.append(row)
    VectorStore(lake.vectors).append(IMAGES, pa.Table.from_pylist(rows, IMAGES.schema))
    looked = Looked(IMAGES, pa.array([row["sample_id"] for row in rows]), np.arange(3))
    transparent, white, opaque = detect(make_detecting(), lake, looked).scores
    assert np.allclose(transparent, white, atol=1e-6) and not np.allclose(white, opaque, atol=1e-6)


def test_grounding_dino_is_asked_for_one_object_at_a_time(
    tmp_path: Path, lake: Lake, looked: Looked, make_detecting: Callable[..., Study]
) -> None:
    study = make_detecting(sections=OBJECTS.replace('"detector"', '"dino"'))
    folder = save_tiny_dino(tmp_path / "dino")
    scored = detect(study, lake, looked)
    assert ((scored.boxes >= 0) & (scored.boxes <= 1)).all()
    model = AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval()
    processor = AutoProcessor.from_pretrained(folder)
    pictures = []
    for number, size in enumerate(SIZES):
        with Image.open(io.BytesIO(png(number, size))) as opened:
            pictures.append(opened.convert("RGB"))
    for place, said in enumerate(["us flag. american flag.", "helmet."]):
        inputs = processor(text=[said] * len(SIZES), images=pictures, return_tensors="pt")
        with torch.inference_mode():
            output = model(**inputs)
        found = processor.post_process_grounded_object_detection(
            output, inputs["input_ids"], threshold=0.0, text_threshold=0.0
        )
        best = [one["scores"].max().item() for one in found]
        assert scored.scores[:, place] == pytest.approx(best, abs=1e-4)


def test_what_was_seen_is_kept_until_the_texts_or_the_weights_change(
    tmp_path: Path, lake: Lake, looked: Looked, make_detecting: Callable[..., Study]
) -> None:
    study = make_detecting()
    before = detect(study, lake, looked)

    def tables() -> dict[str, int]:
        return {
            p.stem: VectorStore(lake.vectors).version(p.stem)
            for p in lake.vectors.glob("object_boxes*")
        }

    first = tables()
    again = detect(study, lake, looked)
    assert (again.scores == before.scores).all() and tables() == first
    other = make_detecting(sections=OBJECTS.replace("helmet", "moon"))
    changed = detect(other, lake, looked)
    assert (changed.scores[:, 0] == before.scores[:, 0]).all()
    assert len(tables()) == 2
    save_tiny_owl(tmp_path / "detector", seed=1)
    assert not np.allclose(detect(study, lake, looked).scores, before.scores)
    assert len(tables()) == 3


def test_what_cannot_be_a_detector_is_refused_in_one_line(
    tmp_path: Path, lake: Lake, looked: Looked, make_detecting: Callable[..., Study]
) -> None:
    study = make_detecting()
    folder = tmp_path / "detector"
    weights = folder / "model.safetensors"
    weights.rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"no \.safetensors file; pickles are not loaded"):
        find_detector(study)
    (folder / "pytorch_model.bin").rename(weights)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "bert"}), "utf-8")
    with pytest.raises(ModelError, match="is of type 'bert'; known are owlvit, owlv2"):
        find_detector(study)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"detector: cannot be loaded"):
        detect(study, lake, looked)
    nowhere = make_detecting(sections=OBJECTS.replace('"detector"', '"no/where"'))
    with pytest.raises(ModelError, match="'no/where': no such folder, and it does not come from"):
        find_detector(nowhere)


def test_both_detectors_write_the_tables_of_the_stage(
    tmp_path: Path,
    lake: Lake,
    write_laion: Callable[..., Path],
    make_study: Callable[..., Study],
    run_stages: Callable[..., None],
    tiny_clip: Path,
) -> None:
    """The whole stage on pictures of noise: a labelled half of them says what is chance."""
    n = 24
    for number in range(n):
        (tmp_path / f"{number}.png").write_bytes(png(number, (48, 40)))
    write_laion(*({"URL": f"{n}.png", "TEXT": f"astronaut {n}"} for n in range(n)))
    save_tiny_owl(tmp_path / "detector")
    sections = OBJECTS.replace('name = "helmet"', 'name = "helmet"\nlabels = "labels.csv"').replace(
        '"american flag"]', '"american flag"]\nlabels = "labels.csv"'
    )
    sections = f'[clip]\nmodel = "{tiny_clip}"\n{sections}'
    study = make_study(
        data='image_root = "."', sections=sections, astronaut={"include": ["astronaut"]}
    )
    run_stages(study, "filter", "fetch")
    ids = pq.read_table(lake.samples, columns=["sample_id"])["sample_id"].to_pylist()
    with (tmp_path / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        labels = [(i, str(number % 2 == 0)) for number, i in enumerate(ids)]
        csv.writer(file).writerows([("sample_id", "shows"), *labels])
    run_stages(study, "objects")
    rates: list[dict[str, Any]] = pq.read_table(lake.object_rates).to_pylist()
    kinds = {(row["detector_id"].partition("-")[0], row["object"]) for row in rates}
    assert kinds == {(d, o) for d in ("clip_tiles", "owlv2") for o in ("US flag", "helmet")}
    assert all(row["n"] == n for row in rates)
    detections = pq.read_table(lake.object_detections).to_pylist()
    assert len(detections) == 2 * 2 * n
    assert all(0 <= x <= 1 for row in detections for x in row["box"])
