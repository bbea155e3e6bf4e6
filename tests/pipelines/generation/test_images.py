"""A prompt and a seed give one image, whatever they are generated with."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from memtriggers.pipelines.core.errors import ModelError
from memtriggers.pipelines.generation.generate_job import GeneratorChoice
from memtriggers.pipelines.generation.model import find_generator
from memtriggers.pipelines.generation.pipeline import load_pipeline
from memtriggers.pipelines.generation.worker import ImageGenerator


@pytest.fixture
def choose(make_generating: Any) -> Any:
    def choose(batch_size: int, **settings: Any) -> GeneratorChoice:
        return find_generator(make_generating(batch_size=batch_size, **settings))

    return choose


def test_an_image_depends_on_its_prompt_and_seed_alone(choose: Any) -> None:
    seeds = list(range(8))
    prompts = ["a star" if seed % 2 else "van gogh" for seed in seeds]
    made = {}
    for size in (1, 3, 8):
        generator = ImageGenerator(choose(size), load_pipeline, "cpu")
        backwards = generator.images(prompts[::-1], seeds[::-1])
        made[size] = np.stack([np.asarray(image, int) for image in backwards[::-1]])
    assert np.abs(made[1] - made[8]).max() <= 1 and np.abs(made[3] - made[8]).max() <= 1
    assert len({image.tobytes() for image in made[8]}) == 8
    assert choose(1).generator_id == choose(8).generator_id


def limited_to(sizes: list[int], error: Exception) -> Any:
    """Load a pipeline that keeps the sizes of its batches, and has no memory for three images."""

    def load(choice: GeneratorChoice, device: str) -> Any:
        pipeline = load_pipeline(choice, device)

        def run(prompts: list[str], **options: Any) -> Any:
            sizes.append(len(prompts))
            if len(prompts) > 2:
                raise error
            return pipeline(prompts, **options)

        return run

    return load


def out_of_memory_of_the_cpu() -> Exception:
    with pytest.raises(RuntimeError) as error:
        torch.empty(1 << 50)
    return error.value


@pytest.mark.parametrize("error", [torch.OutOfMemoryError(), out_of_memory_of_the_cpu()])
def test_out_of_memory_halves_the_batch(choose: Any, error: Exception) -> None:
    sizes: list[int] = []
    generator = ImageGenerator(choose(8), limited_to(sizes, error), "cpu")
    assert None not in generator.images(["a star"] * 5, [0, 1, 2, 3, 4])
    assert sizes == [5, 4, 2, 2, 1]
    assert None not in generator.images(["a star"] * 3, [5, 6, 7])
    assert sizes[5:] == [2, 1], "the smaller batch stays"


def test_no_memory_for_a_single_image_is_one_line(choose: Any) -> None:
    def ask_for_too_much(prompts: list[str], **options: Any) -> Any:
        return torch.empty(len(prompts), options["width"], options["height"], 1 << 30)

    choice = choose(4, width=32768, height=8192)
    with pytest.raises(ModelError, match="out of memory with a single image of 32768 × 8192"):
        ImageGenerator(choice, lambda *_: ask_for_too_much, "cpu").images(["a star"] * 4, [0] * 4)


@pytest.mark.parametrize(
    "changed",
    [
        {"steps": 3},
        {"guidance_scale": 1.5},
        {"dtype": "bfloat16"},
        {"width": 40},
        {"height": 40},
    ],
)
def test_what_changes_an_image_makes_another_generator(choose: Any, changed: Any) -> None:
    before, after = choose(2), choose(2, **changed)
    assert before.generator_id != after.generator_id
    one, other = (
        np.asarray(ImageGenerator(choice, load_pipeline, "cpu").images(["a star"], [0])[0], int)
        for choice in (before, after)
    )
    assert one.shape != other.shape or np.abs(one - other).max() > 0


def test_where_the_model_lies_and_how_it_is_run_make_no_other_weights(
    choose: Any, tiny_pipeline: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(tiny_pipeline, tmp_path / "moved")
    before = choose(2)
    assert choose(2, model=str(moved)).weights_hash == before.weights_hash
    assert choose(4, n_seeds=99).generator_id == before.generator_id
    config = moved / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text().replace("0.012", "0.013"))
    assert choose(2, model=str(moved)).weights_hash != before.weights_hash
