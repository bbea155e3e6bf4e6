"""What is wrong with a generator is one line that names the file or the key, and the way out."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from memtriggers.pipelines.core.errors import ModelError
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.study import Study
from memtriggers.pipelines.generation.model import find_generator
from memtriggers.pipelines.generation.pipeline import load_pipeline
from memtriggers.tests import warm
from memtriggers.tests.generations import write_prompts
from memtriggers.tests.tiny_diffusion import save_tiny_lora


@pytest.fixture
def copied(tiny_pipeline: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_pipeline, tmp_path / "copy")


def change_index(folder: Path, **parts: Any) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | parts))


def refuse_to_start(study: Study, lake: Lake, run_stages: Callable[..., None]) -> str:
    """The one line with which the stage ends before it starts a worker or writes anything."""
    write_prompts(lake, "a star")
    with pytest.raises(ModelError) as error:
        run_stages(study, "generate")
    assert "\n" not in str(error.value) and not lake.vectors.exists()
    assert not lake.generators.exists()
    return str(error.value)


def test_a_model_that_is_not_there(
    make_generating: Any, lake: Lake, run_stages: Callable[..., None], tmp_path: Path
) -> None:
    said = refuse_to_start(make_generating(model="models/none/such"), lake, run_stages)
    assert said.startswith(f"generator: model: {tmp_path}/models/none/such: no such folder")
    assert "owner/name" in said


def test_a_folder_that_is_no_pipeline(
    make_generating: Any, lake: Lake, run_stages: Callable[..., None], copied: Path
) -> None:
    index = copied / "model_index.json"
    for text in ("[]", "{", '{"unet": [1]}', '{"unet": [null, "UNet"]}'):
        index.write_text(text)
        said = refuse_to_start(make_generating(model=str(copied)), lake, run_stages)
        assert said.startswith(f"generator: model: {copied}")
    index.unlink()
    said = refuse_to_start(make_generating(model=str(copied)), lake, run_stages)
    assert "model_index.json: cannot be read; a folder that diffusers saved has one" in said


def test_a_model_without_a_text_encoder(
    make_generating: Any, lake: Lake, run_stages: Callable[..., None], copied: Path
) -> None:
    change_index(copied, text_encoder=[None, None])
    said = refuse_to_start(make_generating(model=str(copied)), lake, run_stages)
    assert "has no text encoder" in said and "name a text-to-image model" in said


def test_a_model_with_code_of_its_own(
    make_generating: Any, lake: Lake, run_stages: Callable[..., None], copied: Path
) -> None:
    (copied / "pipeline.py").write_text("raise SystemExit('executed')")
    said = refuse_to_start(make_generating(model=str(copied)), lake, run_stages)
    assert "brings code of its own, which is never executed" in said


def test_pickled_weights(
    make_generating: Any, lake: Lake, run_stages: Callable[..., None], copied: Path
) -> None:
    weights = copied / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(weights), weights.with_suffix(".bin"))
    assert find_generator(make_generating(model=str(copied))).weights_hash
    weights.unlink()
    said = refuse_to_start(make_generating(model=str(copied)), lake, run_stages)
    assert f"{copied}/unet: pickled weights" in said and "safe_serialization=True" in said


def test_a_lora_that_is_not_there_or_is_pickled(
    make_generating: Any, lake: Lake, run_stages: Callable[..., None], tmp_path: Path
) -> None:
    said = refuse_to_start(make_generating(lora="none.safetensors"), lake, run_stages)
    assert said == f"generator: lora: {tmp_path}/none.safetensors: no such file"
    (tmp_path / "lora.bin").write_bytes(b"")
    said = refuse_to_start(make_generating(lora="lora.bin"), lake, run_stages)
    assert said.startswith(f"generator: lora: {tmp_path}/lora.bin: not a .safetensors file")


def refuse_to_load(study: Study) -> str:
    with pytest.raises(ModelError) as error:
        load_pipeline(find_generator(study), "cpu")
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name.replace("unet.", "transformer."),
        lambda name: name.replace("mid_block", "down_blocks.7"),  # the rest of it would fit
        lambda name: name.replace("block", "layer"),
    ],
)
def test_a_lora_of_another_model(
    make_generating: Any, tiny_pipeline: Path, tmp_path: Path, rename: Callable[[str], str]
) -> None:
    lora = save_tiny_lora(tiny_pipeline, tmp_path / "lora")
    save_file({rename(name): w for name, w in load_file(lora).items()}, lora)
    said = refuse_to_load(make_generating(lora=str(lora)))
    assert said.startswith(f"generator: lora: {lora}: ")


def test_a_lora_of_a_wider_model(make_generating: Any, tiny_pipeline: Path, tmp_path: Path) -> None:
    lora = save_tiny_lora(tiny_pipeline, tmp_path / "lora")
    wider = {n: w if ".up." in n else torch.cat([w, w], 1) for n, w in load_file(lora).items()}
    save_file(wider, lora)
    said = refuse_to_load(make_generating(lora=str(lora)))
    assert said.startswith(f"generator: lora: {lora}: cannot be loaded") and "size mismatch" in said


def test_a_scheduler_that_diffusers_has_not(make_generating: Any) -> None:
    said = refuse_to_load(make_generating(scheduler="FastScheduler"))
    assert said.startswith("generator: scheduler: 'FastScheduler': no scheduler of diffusers")
    assert "EulerDiscreteScheduler" in said


def generate(study: Study, lake: Lake, **environment: str) -> "subprocess.CompletedProcess[str]":
    there = ("--lake", lake.root, "--study", study.folder / "study.toml")
    command = warm.command("memtriggers", "generate", *there)
    if study.resources.scheduler is not None:
        command += ["--scheduler", study.resources.scheduler]
    environment = dict(os.environ) | environment
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_what_a_worker_refuses_is_one_line_and_leaves_no_generator(
    make_generating: Any, lake: Lake
) -> None:
    write_prompts(lake, "a star")
    refused = generate(make_generating(width=36), lake)
    assert refused.returncode == 1 and len(refused.stderr.splitlines()) == 1
    assert refused.stderr.startswith("Error: generator: ") and "divisible by 8" in refused.stderr
    assert refused.stderr.endswith("guidance_scale and lora of [generator]\n")
    assert not lake.generators.exists()


def test_a_name_on_a_hub_that_cannot_be_reached(make_generating: Any, lake: Lake) -> None:
    write_prompts(lake, "a star")
    nobody = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}
    refused = generate(make_generating(model="owner/name"), lake, **nobody)
    assert refused.returncode == 1 and len(refused.stderr.splitlines()) == 1
    assert "generator: model: 'owner/name': no such folder" in refused.stderr


def test_no_generator_and_no_prompts(make_generating: Any, make_study: Any, lake: Lake) -> None:
    refused = generate(make_generating(), lake)
    assert refused.stderr.endswith("prompts.parquet: no prompts yet; run: memtriggers prompts\n")
    write_prompts(lake, "a star")
    refused = generate(make_study(), lake)
    assert refused.stderr.startswith("Error: generator: missing; write [generator] and model")
    assert refused.returncode == 1 and len(refused.stderr.splitlines()) == 1
