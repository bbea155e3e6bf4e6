"""What generating workers are given: prompts and seeds, or images that lack their vectors."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..core.study import Generator


@dataclass(frozen=True)
class GeneratorChoice:
    """A model with its settings, told apart from every other one by `generator_id`.

    `folder` is where its files are, `lora` a file or None; both absolute.
    """

    generator_id: str
    folder: str
    lora: str | None
    weights_hash: str
    scheduler: str  # its class
    settings: Generator


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

    def __len__(self) -> int:
        return len(self.seeds)


@dataclass(frozen=True)
class ImageShard:
    """Generated images that are embedded together; a vector that is there is not made again."""

    image_ids: list[str]
    row_offsets: list[int]
    lacks_vector: list[bool]
    lacks_copy_vector: list[bool]

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def lacks(self) -> tuple[list[bool], list[bool]]:
        """What each image lacks: its CLIP vector, and that of copies."""
        return self.lacks_vector, self.lacks_copy_vector


def image_id(generator_id: str, prompt_id: str, seed: int) -> str:
    """What identifies a generation: md5, in hex, of the three joined by 0x1f."""
    return hashlib.md5(f"{generator_id}\x1f{prompt_id}\x1f{seed}".encode()).hexdigest()
