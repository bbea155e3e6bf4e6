"""What generating workers are given: prompts and seeds, and the models that they need."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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


def image_id(generator_id: str, prompt_id: str, seed: int) -> str:
    """What identifies a generation: md5, in hex, of the three joined by 0x1f."""
    return hashlib.md5(f"{generator_id}\x1f{prompt_id}\x1f{seed}".encode()).hexdigest()
