"""A pipeline that returns a training image of its prompt with a known probability, else noise."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from memtriggers.pipelines.generation.generate_job import GeneratorChoice


class PlantedPipeline(StableDiffusionPipeline):
    """Each seed's own generator decides whether it copies, which image, and what the noise is.

    `planted` has for each prompt the probability and the image files.
    """

    planted: dict[str, dict[str, Any]]

    def __call__(
        self, prompt: Sequence[str], generator: Sequence[torch.Generator], **settings: Any
    ) -> SimpleNamespace:
        """The images of prompts, one a generator."""
        size = settings["height"], settings["width"]
        pairs = zip(prompt, generator, strict=True)
        return SimpleNamespace(images=[self._image(*pair, size) for pair in pairs])

    def _image(self, prompt: str, generator: torch.Generator, size: tuple[int, int]) -> Image.Image:
        of_prompt = self.planted[prompt]
        if torch.rand(1, generator=generator).item() < of_prompt["probability"]:
            files = of_prompt["files"]
            chosen = int(torch.randint(len(files), (1,), generator=generator))
            with Image.open(files[chosen]) as image:
                return image.convert("RGB")
        pixels = torch.randint(256, (*size, 3), generator=generator, dtype=torch.uint8)
        return Image.fromarray(pixels.numpy())


@dataclass(frozen=True)
class LoadPlanted:
    """Loads the pipeline with what a JSON file says of its prompts: `load` of `generate.run`."""

    file: Path

    def __call__(self, choice: GeneratorChoice, device: str) -> PlantedPipeline:
        """The pipeline on the CPU."""
        pipeline = PlantedPipeline.from_pretrained(choice.folder)
        pipeline.planted = json.loads(self.file.read_text(encoding="utf-8"))
        return pipeline
