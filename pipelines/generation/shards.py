"""What generating workers are given: prompts and seeds, and the models that they need."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..clip.model import ClipChoice
from .model import GeneratorChoice

Load = Callable[[GeneratorChoice, str], Any]


@dataclass(frozen=True)
class GenerateJob:
    """What is the same for every shard; `load` makes the pipeline of a choice on a device."""

    choice: GeneratorChoice
    load: Load
    device: str
    workers_per_host: int = 1  # that share its cores


@dataclass(frozen=True)
class SeedShard:
    """Prompts and seeds, n of each, whose images are generated together."""

    prompt_ids: list[str]
    prompts: list[str]
    seeds: list[int]


@dataclass(frozen=True)
class EmbedJob:
    """The pinned table of generated images, the model that embeds them, and its device."""

    images: str
    version: int
    choice: ClipChoice
    batch_size: int
    device: str
    workers_per_host: int = 1


@dataclass(frozen=True)
class ImageShard:
    """Generated images that are embedded together, by their rows in the table."""

    image_ids: list[str]
    row_offsets: list[int]


def image_id(generator_id: str, prompt_id: str, seed: int) -> str:
    """What identifies a generation: md5, in hex, of the three joined by 0x1f."""
    return hashlib.md5(f"{generator_id}\x1f{prompt_id}\x1f{seed}".encode()).hexdigest()
