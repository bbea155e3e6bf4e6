"""The descriptor of copies is run only as the study vouches for it, and beside the model."""

import hashlib
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import MADE_BY, image_vectors_name
from memtriggers.pipelines.clip.batches import Batches
from memtriggers.pipelines.clip.copy_model import CopyChoice, choose_copy_model, find_copy_model
from memtriggers.pipelines.clip.model import find_clip
from memtriggers.pipelines.clip.tower import PREPROCESSINGS, load_copy_model
from memtriggers.pipelines.core.errors import ModelError, StudyError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study
from memtriggers.pipelines.embed import recorded

pytestmark = pytest.mark.filterwarnings(  # all of TorchScript, by torch
    "ignore:.*deprecated.*:FutureWarning", "ignore:.*deprecated.*:DeprecationWarning"
)


@pytest.fixture
def make_copies(
    tmp_path: Path, tiny_clip: Path, make_study: Callable[..., Study]
) -> Callable[..., Study]:
    """A study of images in a folder, with these keys of `[copy_model]`; none: without the table."""

    def make(**keys: str) -> Study:
        lines = [f'[clip]\nmodel = "{tiny_clip}"', "[copy_model]" if keys else ""]
        lines += [f'{key} = "{value}"' for key, value in keys.items()]
        return make_study(data='image_root = "images"', sections="\n".join(lines))

    return make


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def encoded(width: int, height: int, seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("preprocessing", "shape"),
    [("sscd320", (320, 320)), ("sscd288", (288, 576)), ("dcr224", (224, 224))],
)
def test_the_preprocessing_is_the_one_that_is_named(
    descriptor: Path, preprocessing: str, shape: tuple[int, int]
) -> None:
    tower = load_copy_model(choose_copy_model(descriptor, preprocessing), Batches("cpu", 16, 2))
    vectors = tower.images([encoded(80, 40), encoded(80, 40, 1)])
    assert vectors.shape == (2, 14)
    assert vectors[:, 12:] * 1000 == pytest.approx(np.array([shape] * 2), abs=0.1)
    buffer = BytesIO()
    Image.new("RGB", (50, 50), (255, 0, 0)).save(buffer, "PNG")
    chosen = PREPROCESSINGS[preprocessing]
    red = [(level - m) / s for level, m, s in zip((1, 0, 0), chosen.mean, chosen.std, strict=True)]
    assert tower.images([buffer.getvalue()])[0, :12] == pytest.approx(np.repeat(red, 4), abs=1e-3)
    assert tower.images([]).shape == (0, 14)


def test_images_of_several_shapes_keep_theirs(descriptor: Path) -> None:
    tower = load_copy_model(choose_copy_model(descriptor, "sscd288"), Batches("cpu", 16, 2))
    shapes = tower.images([encoded(80, 40), encoded(40, 60)])[:, 12:] * 1000
    assert shapes == pytest.approx(np.array([(288, 576), (432, 288)]), abs=0.1)


def test_the_study_vouches_for_the_file(descriptor: Path, make_copies: Any) -> None:
    digest = sha256_of(descriptor)
    assert find_copy_model(make_copies()) is None
    choice = find_copy_model(make_copies(path=descriptor.name, sha256=digest.upper()))
    assert choice == CopyChoice(str(descriptor), digest, "sscd320")
    assert choice.copy_id == f"sscd320-{digest[:8]}"
    with pytest.raises(StudyError, match=f'sha256: missing.*write sha256 = "{digest}"'):
        find_copy_model(make_copies(path=descriptor.name))
    with pytest.raises(ModelError, match=f"its sha256 is {digest}, copy_model.sha256 says 00ff"):
        find_copy_model(make_copies(path=descriptor.name, sha256="00ff"))
    with pytest.raises(ModelError, match=r"gone\.pt: no such file"):
        find_copy_model(make_copies(path="gone.pt", sha256=digest))
    with pytest.raises(StudyError, match="preprocessing: 'sscd' is unknown"):
        make_copies(path=descriptor.name, sha256=digest, preprocessing="sscd")


def test_a_file_that_is_another_one_by_now_is_not_run(descriptor: Path) -> None:
    choice = choose_copy_model(descriptor)
    descriptor.write_bytes(b"something else")
    with pytest.raises(ModelError, match="another file here: its sha256 is not"):
        load_copy_model(choice, Batches("cpu", 16, 1))


def test_imported_vectors_have_no_images_to_describe(
    descriptor: Path, make_study: Callable[..., Study]
) -> None:
    study = make_study(data='vectors = "*.npy"', sections='[copy_model]\npath = "x.pt"')
    with pytest.raises(StudyError, match=r"with data\.vectors none are fetched"):
        find_copy_model(study)


def test_copies_are_described_in_a_table_of_their_own_also_later(
    make_copies: Any,
    descriptor: Path,
    tmp_path: Path,
    lake: Lake,
    draw: Callable[..., bytes],
    write_samples: Callable[..., list[str]],
    run_stages: Callable[..., None],
) -> None:
    (tmp_path / "images").mkdir()
    for number in range(5):
        (tmp_path / "images" / f"{number}.png").write_bytes(draw(number, side=40))
    ids, before = write_samples(*({} for _ in range(6))), make_copies()
    run_stages(before, "fetch", "embed")
    store, clip = VectorStore(lake.vectors), image_vectors_name(find_clip(before).clip_id)
    first, first_version = recorded(lake, before), store.dataset(clip).to_table()

    study = make_copies(path=descriptor.name, sha256=sha256_of(descriptor))
    assert recorded(lake, study) is None
    run_stages(study, "embed")
    table = store.dataset(f"copy_vectors-sscd320-{sha256_of(descriptor)[:8]}")
    rows = {row["sample_id"]: row for row in table.to_table().to_pylist()}
    assert rows.keys() == set(ids[:5]) and {row["status"] for row in rows.values()} == {"ok"}
    tower = load_copy_model(choose_copy_model(descriptor), Batches("cpu", 16, 1))
    expected = tower.images([draw(3, side=40)])[0]
    unit = np.array(rows[ids[3]]["vector"], np.float32)
    assert unit == pytest.approx(expected / np.linalg.norm(expected), abs=1e-3)
    assert store.dataset(clip).to_table() == first_version, "and CLIP's are not made again"
    assert recorded(lake, study) != first

    said = json.loads(table.schema.metadata[MADE_BY])
    assert said["model"] == descriptor.name and said["sha256"] == sha256_of(descriptor)
    assert said["preprocessing"]["name"] == "sscd320"
    of_clip = json.loads(store.dataset(clip).schema.metadata[MADE_BY])
    assert of_clip["clip_id"] == find_clip(study).clip_id
    assert of_clip["preprocessing"]["mean"] == [0.5, 0.5, 0.5]
