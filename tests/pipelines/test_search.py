"""search finds what is there: a copy of an image first, and what the model says of a text."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from memtriggers.lance.tables import image_vectors_name
from memtriggers.pipelines.asking.search import search
from memtriggers.pipelines.clip.model import find_clip, load_clip
from memtriggers.pipelines.core.errors import LakeError, SourceError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study
from memtriggers.tests import warm


@pytest.fixture
def embedded(
    tmp_path: Path,
    lake: Lake,
    tiny_clip: Path,
    draw: Callable[..., bytes],
    make_study: Callable[..., Study],
    write_samples: Callable[..., list[str]],
    run_stages: Callable[..., None],
) -> tuple[Study, list[str]]:
    """Twenty embedded samples; the last leaves the study afterwards."""
    (tmp_path / "images").mkdir()
    for number in range(20):
        (tmp_path / "images" / f"{number}.png").write_bytes(draw(number, side=40))
    ids = write_samples(*({} for _ in range(20)))
    study = make_study(data='image_root = "images"', sections=f'[clip]\nmodel = "{tiny_clip}"')
    run_stages(study, "fetch", "embed")
    write_samples(*({} for _ in range(19)))
    return study, ids


def test_an_image_finds_its_copy_first(
    embedded: tuple[Study, list[str]], lake: Lake, tmp_path: Path
) -> None:
    study, ids = embedded
    rows = search(study, lake, image=tmp_path / "images" / "7.png", limit=3)
    assert len(rows) == 3
    assert (rows[0]["sample_id"], rows[0]["caption"], rows[0]["url"]) == (
        *(ids[7], "picture 7", "7.png"),
    )
    assert rows[0]["cosine"] == pytest.approx(1, abs=1e-3)
    assert [row["cosine"] for row in rows] == sorted((r["cosine"] for r in rows), reverse=True)


def test_a_palette_finds_its_twin(
    embedded: tuple[Study, list[str]], lake: Lake, tmp_path: Path
) -> None:
    from PIL import Image

    study, ids = embedded
    palette = tmp_path / "palette.png"
    with Image.open(tmp_path / "images" / "7.png") as picture:
        picture.quantize(256).save(palette)
    (row,) = search(study, lake, image=palette, limit=1)
    assert row["sample_id"] == ids[7] and row["cosine"] > 0.99


def test_a_sample_that_left_the_study_is_not_found(
    embedded: tuple[Study, list[str]], lake: Lake, tmp_path: Path
) -> None:
    study, ids = embedded
    rows = search(study, lake, image=tmp_path / "images" / "19.png", limit=19)
    assert {row["sample_id"] for row in rows} == set(ids[:19])


def test_a_text_finds_what_the_model_says(
    embedded: tuple[Study, list[str]], lake: Lake, draw: Callable[..., bytes]
) -> None:
    from io import BytesIO

    from PIL import Image

    study, ids = embedded
    clip = load_clip(find_clip(study))
    images = [clip.preprocess(Image.open(BytesIO(draw(n, side=40)))) for n in range(19)]
    with torch.inference_mode():
        image = clip.model.encode_image(torch.stack(images), normalize=True)
        text = clip.model.encode_text(clip.tokenizer(["a picture"]), normalize=True)
    expected = (image @ text[0]).numpy()
    rows = search(study, lake, "a picture", limit=19)
    found = {row["sample_id"]: row["cosine"] for row in rows}
    assert np.allclose([found[sample_id] for sample_id in ids[:19]], expected, atol=1e-3)


def test_the_command_prints_a_table_or_json(
    embedded: tuple[Study, list[str]], lake: Lake, tmp_path: Path
) -> None:
    command = warm.command("memtriggers", "search", "--lake", lake.root)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *arguments], cwd=tmp_path, capture_output=True, text=True)

    table = run("a picture", "--limit", "2")
    assert table.stdout.split()[:4] == ["cosine", "sample_id", "caption", "url"]
    assert len(table.stdout.splitlines()) == 3 and table.stderr == ""
    rows = json.loads(run("--image", "images/3.png", "--json", "--limit", "1").stdout)
    assert rows[0]["caption"] == "picture 3"
    assert run().returncode == run("a", "--image", "images/3.png").returncode == 2


def test_the_readme_opens_the_store_with_lancedb_and_searches(
    embedded: tuple[Study, list[str]], lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, ids = embedded
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8")
    (shown,) = re.findall(r"```python\n(import lancedb\n.*?)```", readme, re.DOTALL)
    name = image_vectors_name(find_clip(study).clip_id)
    code, n_names = re.subn(r'"image_vectors-[^"]+"', f'"{name}"', shown)
    assert n_names == 1 and lake.root.name == "lake"
    monkeypatch.chdir(lake.root.parent)
    names: dict[str, Any] = {}
    exec(code, names)
    found = names["nearest"].to_pylist()
    assert {row["sample_id"] for row in found} < set(ids) and len(found) == 10
    assert found[0]["sample_id"] == names["table"].head(1)["sample_id"][0].as_py()
    unit = np.array([row["vector"] for row in found], np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    distances = [row["_distance"] for row in found]
    assert np.allclose(1 - unit @ unit[0], distances, atol=1e-3) and distances == sorted(distances)


def test_what_cannot_be_searched_is_one_line(
    embedded: tuple[Study, list[str]], lake: Lake, tmp_path: Path
) -> None:
    study, _ = embedded
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(SourceError, match=r"text\.png: not_an_image"):
        search(study, lake, image=tmp_path / "text.png")
    bomb = Path(__file__).parents[1] / "cases" / "images" / "webp_10000.webp"
    with pytest.raises(SourceError, match=r"10000\.webp: too_large_for_memory: .*decode_memory"):
        search(study, lake, image=bomb)
    shutil.rmtree(lake.vectors)
    with pytest.raises(LakeError, match="no such table; run: memtriggers refresh"):
        search(study, lake, "a picture")
