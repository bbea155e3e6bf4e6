"""A prompt and a seed give one image, whatever they are generated with."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from memtriggers.pipelines.generation.model import GeneratorChoice, find_generator
from memtriggers.pipelines.generation.pipeline import load_pipeline
from memtriggers.pipelines.generation.worker import ImageGenerator
from memtriggers.tests.tiny_diffusion import save_tiny_pipeline


@pytest.fixture
def choose(tmp_path: Path, make_study: Any) -> Any:
    def choose(batch_size: int) -> GeneratorChoice:
        model = tmp_path / "tiny"
        if not model.exists():
            save_tiny_pipeline(model)
        section = f'[generator]\nmodel = "{model}"\nwidth = 32\nheight = 32\nsteps = 2\n'
        return find_generator(make_study(sections=f"{section}batch_size = {batch_size}"))

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


def test_out_of_memory_halves_the_batch(choose: Any) -> None:
    sizes = []

    def load(choice: GeneratorChoice, device: str) -> Any:
        pipeline = load_pipeline(choice, device)

        def run(prompts: list[str], **options: Any) -> Any:
            sizes.append(len(prompts))
            if len(prompts) > 2:
                raise torch.OutOfMemoryError("too many")
            return pipeline(prompts, **options)

        return run

    images = ImageGenerator(choose(8), load, "cpu").images(["a star"] * 5, [0, 1, 2, 3, 4])
    assert sizes == [5, 4, 2, 2, 1] and None not in images
