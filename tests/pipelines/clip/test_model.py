import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import open_clip
import pytest
import torch
from open_clip.factory import _find_checkpoint_in_dir
from PIL import Image
from safetensors.torch import load_file, save_file

from memtriggers.pipelines.clip.model import _WEIGHTS_NAMES, ClipChoice, find_clip, load_clip
from memtriggers.pipelines.core.errors import ModelError
from memtriggers.pipelines.core.study import Clip, Study

Choose = Callable[..., ClipChoice]


@pytest.fixture
def choose(make_study: Callable[..., Study]) -> Choose:
    """Find the model of a study whose [clip] says this."""

    def find(model: str | Path, pretrained: str | Path | None = None) -> ClipChoice:
        clip = Clip(str(model), None if pretrained is None else str(pretrained))
        return find_clip(dataclasses.replace(make_study(), clip=clip))

    return find


@pytest.fixture
def folder(tiny_clip: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model, to be changed."""
    return Path(shutil.copytree(tiny_clip, tmp_path / "Some Model"))


def test_finding_a_model_imports_no_torch(tiny_clip: Path) -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from memtriggers.pipelines.clip.model import find_clip;"
        "from memtriggers.pipelines.core.study import Clip, Data, Study;"
        "study = lambda *clip: Study(Path(), Data(()), (), clip=Clip(*clip));"
        f"find_clip(study({str(tiny_clip)!r})); find_clip(study('ViT-B-32', 'openai'));"
        "assert not {'torch', 'open_clip', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_bundled_model_loads(choose: Choose) -> None:
    choice = choose("bundled")
    assert choice.clip_id.startswith("bundled-")
    clip = load_clip(choice)
    assert {p.dtype for p in clip.model.parameters()} == {torch.float32}
    with torch.inference_mode():
        image = clip.model.encode_image(clip.preprocess(Image.new("RGB", (90, 128)))[None])
        caption = clip.model.encode_text(clip.tokenizer(["a star"]))
    assert image.shape == caption.shape


def test_a_folder_is_a_model(folder: Path, choose: Choose, tmp_path: Path) -> None:
    choice = choose(folder)
    assert choice.clip_id.startswith("some-model-")
    assert choice == choose("Some Model") == choose("./Some Model") == choose(f"local-dir:{folder}")
    assert not load_clip(choice).model.training


def test_the_id_is_that_of_the_content(folder: Path, choose: Choose, tmp_path: Path) -> None:
    before = choose(folder).clip_id
    moved = tmp_path / "elsewhere" / folder.name
    shutil.copytree(folder, moved)
    assert choose(moved).clip_id == before

    config = json.loads((folder / "open_clip_config.json").read_text())
    config["preprocess_cfg"]["mean"] = [0.1, 0.1, 0.1]
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    assert choose(folder).clip_id != before, "another mean gives other vectors"

    with (moved / "open_clip_model.safetensors").open("ab") as weights:
        weights.write(b" ")
    assert choose(moved).clip_id != before


def test_tags_and_files_are_told_apart(choose: Choose, tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"1")
    ids = {
        choose("ViT-B-32", "openai").clip_id,
        choose("ViT-B-32", "laion2b_s34b_b79k").clip_id,
        choose("ViT-B-16", "openai").clip_id,
        choose("ViT-B-32", file).clip_id,
        choose("ViT-B-16", file).clip_id,
        choose("hf-hub:someone/model").clip_id,
    }
    assert len(ids) == 6
    assert all(set(i) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for i in ids)
    assert choose("ViT-B-32", "openai").clip_id.startswith("vit-b-32-openai-")


@pytest.mark.parametrize(
    ("model", "pretrained", "message"),
    [
        ("ViT-B-23", "openai", "clip: model: 'ViT-B-23': neither a folder nor a model"),
        ("ViT-B-32", None, "clip: pretrained: missing; ViT-B-32 needs an open_clip tag"),
        ("ViT-B-32", "no/such.safetensors", r"clip: pretrained: .*such.safetensors: no such file"),
        ("./nowhere", None, "clip: model: .*nowhere: no such folder"),
        ("local-dir:nowhere", None, "clip: model: .*nowhere: no such folder"),
        ("bundled", "openai", "clip: pretrained: 'openai': leave it out"),
    ],
)
def test_mistakes_are_one_line(
    choose: Choose, model: str, pretrained: str | None, message: str
) -> None:
    with pytest.raises(ModelError, match=message) as error:
        choose(model, pretrained)
    assert "\n" not in str(error.value)


def test_a_folder_without_its_parts(folder: Path, choose: Choose) -> None:
    (folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no weights; expected open_clip_model\.safetensors"):
        choose(folder)
    (folder / "open_clip_config.json").unlink()
    with pytest.raises(ModelError, match=r"open_clip_config\.json: no such file"):
        choose(folder)


def test_an_unknown_tag_is_one_line(choose: Choose) -> None:
    with pytest.raises(ModelError, match="ViT-B-32 nobody: cannot be loaded") as error:
        load_clip(choose("ViT-B-32", "nobody"))
    assert "\n" not in str(error.value)


def test_damaged_weights_are_one_line(folder: Path, choose: Choose) -> None:
    (folder / "open_clip_model.safetensors").write_bytes(b'\x08\0\0\0\0\0\0\0{"a": 1}')
    with pytest.raises(ModelError, match=r"model\.safetensors: cannot be loaded") as error:
        load_clip(choose(folder))
    assert "\n" not in str(error.value)


def test_weights_of_another_model_are_one_line(folder: Path, choose: Choose) -> None:
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["embed_dim"] *= 2
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="cannot be loaded") as error:
        load_clip(choose(folder))
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


@pytest.mark.parametrize("vocabulary", [1000, 60000])
def test_a_text_tower_with_another_vocabulary_is_one_line(
    folder: Path, choose: Choose, vocabulary: int
) -> None:
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["vocab_size"] = vocabulary
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    weights = load_file(folder / "open_clip_model.safetensors")
    for name in [name for name in weights if name.endswith("token_embedding.weight")]:
        weights[name] = torch.zeros(vocabulary, weights[name].shape[1])
    save_file(weights, folder / "open_clip_model.safetensors")
    with pytest.raises(ModelError, match=f"another vocabulary.*{vocabulary:,} tokens") as error:
        load_clip(choose(folder))
    assert "\n" not in str(error.value)


class Command:
    """A pickle that runs something when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return Path.touch, (self.marker,)


def test_pickles_are_not_executed(folder: Path, choose: Choose, tmp_path: Path) -> None:
    weights = load_file(folder / "open_clip_model.safetensors")
    (folder / "open_clip_model.safetensors").unlink()
    marker = tmp_path / "executed"
    torch.save({"state_dict": weights, "extra": Command(marker)}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin.*refuses it; save its state dict"):
        load_clip(choose(folder))
    assert not marker.exists()


def test_plain_torch_weights_load(folder: Path, choose: Choose) -> None:
    safe = load_clip(choose(folder)).model.state_dict()
    weights = load_file(folder / "open_clip_model.safetensors")
    (folder / "open_clip_model.safetensors").unlink()
    torch.save({"state_dict": weights}, folder / "pytorch_model.bin")
    plain = load_clip(choose(folder)).model.state_dict()
    assert all(torch.equal(safe[name], plain[name]) for name in safe)


def test_the_hashed_file_is_the_one_that_open_clip_reads(folder: Path, choose: Choose) -> None:
    (folder / "open_clip_model.safetensors").unlink()
    names = (*_WEIGHTS_NAMES, "other.safetensors", "another.bin")
    for chosen in combinations(names, 2):
        for name in chosen:
            (folder / name).write_text(name)
        assert choose(folder).weights == _find_checkpoint_in_dir(folder), chosen
        for name in chosen:
            (folder / name).unlink()


def test_openai_weights_get_the_activation_that_they_were_trained_with() -> None:
    tag = open_clip.get_pretrained_cfg("ViT-B-32", "openai")
    assert tag["quick_gelu"], "load_clip relies on what open_clip says of a tag"
