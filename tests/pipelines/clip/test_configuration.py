"""What a model's folder says is checked before open_clip makes it: no code of it ever runs."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
from open_clip.coca_model import CoCa, MultimodalCfg
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg, CustomTextCLIP
from open_clip.transform import PreprocessCfg

from memtriggers.making.diffusion_model import new_tokenizer
from memtriggers.pipelines.clip.configuration import ALLOWED, check_configuration
from memtriggers.pipelines.clip.model import ClipChoice, find_clip, load_clip
from memtriggers.pipelines.core.errors import ModelError
from memtriggers.pipelines.core.study import Clip, Study

CONFIG = "open_clip_config.json"
CODE = """
from pathlib import Path
from transformers import PreTrainedTokenizerFast

Path({marker!r}).touch()


class Own(PreTrainedTokenizerFast):
    pass
"""


@pytest.fixture
def folder(tiny_clip: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model, to be changed."""
    return Path(shutil.copytree(tiny_clip, tmp_path / "model"))


@pytest.fixture
def choose(make_study: Callable[..., Study]) -> Callable[[str | Path], ClipChoice]:
    return lambda model: find_clip(dataclasses.replace(make_study(), clip=Clip(str(model))))


def change(folder: Path, **sections: dict[str, Any]) -> None:
    """Add keys to sections of the configuration: vision_cfg, text_cfg, model_cfg, …"""
    said = json.loads((folder / CONFIG).read_text())
    for name, keys in sections.items():
        section = said["model_cfg"] if name == "model_cfg" else said["model_cfg"].get(name)
        (said["preprocess_cfg"] if section is None else section).update(keys)
    (folder / CONFIG).write_text(json.dumps(said))


def add_code(folder: Path, marker: Path) -> None:
    """Give the folder a tokenizer whose class is in a Python file beside it."""
    new_tokenizer(77).save_pretrained(folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config |= {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", "own.Own"]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(CODE.format(marker=str(marker)))


@pytest.mark.parametrize("asks", [True, False])
def test_a_python_file_of_a_folder_is_not_executed(
    folder: Path,
    choose: Callable[..., ClipChoice],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asks: bool,
) -> None:
    marker = tmp_path / "executed"
    add_code(folder, marker)
    asked = {"tokenizer_kwargs": {"trust_remote_code": True}} if asks else {}
    change(folder, text_cfg={"hf_tokenizer_name": "tokenizer", **asked})
    monkeypatch.setattr("builtins.input", lambda _: "y")  # where transformers asks a person
    message = rf"{CONFIG}: model_cfg\.text_cfg\.tokenizer_kwargs\.trust_remote_code: code of a"
    with pytest.raises(ModelError, match=message if asks else "cannot be loaded") as error:
        load_clip(choose(folder))
    assert "\n" not in str(error.value) and not marker.exists()


def test_a_text_tower_that_brings_code_is_refused(
    folder: Path,
    choose: Callable[..., ClipChoice],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    marker, tower = tmp_path / "executed", tmp_path / "tower"
    tower.mkdir()
    config = {"model_type": "own", "auto_map": {"AutoConfig": "own.Own"}}
    (tower / "config.json").write_text(json.dumps(config))
    (tower / "own.py").write_text(CODE.format(marker=str(marker)))
    change(folder, text_cfg={"hf_model_name": str(tower)})
    monkeypatch.setattr("builtins.input", lambda _: "y")
    with pytest.raises(ModelError, match=r"hf_model_name: .*tower' brings code of its own"):
        load_clip(choose(folder))
    assert not marker.exists()


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"text_cfg": {"own": 1}}, r"model_cfg\.text_cfg\.own: not a key that is known"),
        ({"model_cfg": {"own": 1}}, r"model_cfg\.own: not a key"),
        ({"preprocess_cfg": {"own": 1}}, r"preprocess_cfg\.own: not a key"),
        ({"text_cfg": {"tokenizer_kwargs": {"bpe_path": "/x"}}}, r"tokenizer_kwargs\.bpe_path"),
        ({"vision_cfg": {"act_kwargs": {"own": 1}}}, r"vision_cfg\.act_kwargs\.own"),
        ({"text_cfg": {"norm_kwargs": [1]}}, r"text_cfg\.norm_kwargs: not a table"),
        ({"vision_cfg": {"timm_model_name": "hf-hub:a/b"}}, "'hf-hub:a/b': not the name"),
        ({"vision_cfg": {"timm_model_name": "local-dir:/a"}}, "'local-dir:/a': not the name"),
    ],
)
def test_what_is_not_known_is_one_line(
    folder: Path, choose: Callable[..., ClipChoice], sections: dict[str, Any], message: str
) -> None:
    change(folder, **sections)
    with pytest.raises(ModelError, match=message) as error:
        load_clip(choose(folder))
    assert "\n" not in str(error.value) and str(folder / CONFIG) in str(error.value)


def test_every_model_that_open_clip_knows_is_allowed(tmp_path: Path) -> None:
    names = open_clip.list_models()
    assert len(names) > 100
    for name in names:
        model_cfg = open_clip.get_model_config(name)
        tower = model_cfg["text_cfg"].pop("hf_model_name", None)  # is looked up on the hub
        assert tower is None or "/" in tower or "roberta" in tower
        whole = {"model_cfg": model_cfg, "preprocess_cfg": dataclasses.asdict(PreprocessCfg())}
        (tmp_path / CONFIG).write_text(json.dumps(whole))
        assert check_configuration(tmp_path / CONFIG) == model_cfg["text_cfg"], name


def test_the_keys_are_those_of_open_clip() -> None:
    fields = {
        section: {field.name for field in dataclasses.fields(kind)}
        for section, kind in (
            ("model_cfg.vision_cfg", CLIPVisionCfg),
            ("model_cfg.text_cfg", CLIPTextCfg),
            ("model_cfg.multimodal_cfg", MultimodalCfg),
            ("preprocess_cfg", PreprocessCfg),
        )
    }
    taken = {
        name
        for kind in (CLIP, CustomTextCLIP, CoCa)
        for name in kind.__init__.__code__.co_varnames[1 : kind.__init__.__code__.co_argcount]
    }
    fields["model_cfg"] = taken - {"cast_dtype"} | {"custom_text"}
    assert fields == {section: ALLOWED[section] for section in fields}


def test_a_configuration_of_the_hub_is_checked_before_anything_is_made_of_it(
    folder: Path,
    choose: Callable[..., ClipChoice],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    marker = tmp_path / "executed"
    add_code(folder, marker)
    asked = {"hf_tokenizer_name": str(folder), "tokenizer_kwargs": {"trust_remote_code": True}}
    change(folder, text_cfg=asked)
    fill_cache(tmp_path / "hub", folder)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"tokenizer_kwargs\.trust_remote_code: code of a model"):
        load_clip(choose("hf-hub:someone/model"))
    assert not marker.exists()
    change(folder, text_cfg={"hf_tokenizer_name": None, "tokenizer_kwargs": {}})
    fill_cache(tmp_path / "hub", folder)
    assert load_clip(choose("hf-hub:someone/model")).model.vocab_size == 49408


def fill_cache(cache: Path, folder: Path) -> None:
    """Put a folder where the hub's client keeps what it has downloaded of someone/model."""
    repository = cache / "models--someone--model"
    shutil.rmtree(repository, ignore_errors=True)
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    shutil.copytree(folder, repository / "snapshots" / ("0" * 40))
