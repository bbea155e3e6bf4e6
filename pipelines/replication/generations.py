"""The generations of a lake, one prompt of one generator at a time, in the order of their seeds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...lance.store import VectorStore
from ...lance.tables import GENERATED_IMAGES, OK, generated_vectors_name
from ..clusters.edges import Vectors, renormalised
from ..database import connect, query
from ..lake import Lake
from .references import Pictures

Seeds = npt.NDArray[np.int64]

_IS_OK = f"status = '{OK}'"


@dataclass(frozen=True)
class Prompted:
    """What a generator made of a prompt."""

    generator_id: str
    prompt_id: str
    seeds: Seeds  # (n,) ascending
    pictures: Pictures


@dataclass(frozen=True)
class Generations:
    """The generated images of a lake, and their embeddings of one model."""

    images: Any  # lance.LanceDataset
    vectors: Any  # lance.LanceDataset
    prompts: list[tuple[str, str, list[int], list[int], list[int]]]

    def __iter__(self) -> Iterator[Prompted]:
        """Each generator and prompt, that of one cluster after the other."""
        for generator_id, prompt_id, seeds, image_offsets, vector_offsets in self.prompts:
            pictures = Pictures(
                self._read_vectors(vector_offsets), self.images, np.array(image_offsets)
            )
            yield Prompted(generator_id, prompt_id, np.array(seeds), pictures)

    def __len__(self) -> int:
        return sum(len(seeds) for _, _, seeds, _, _ in self.prompts)

    def _read_vectors(self, offsets: list[int]) -> Vectors:
        column = self.vectors.take(offsets, columns=["vector"])["vector"].combine_chunks()
        return renormalised(column.flatten().to_numpy().reshape(len(offsets), -1))


def find_generations(lake: Lake, clip_id: str) -> Generations:
    """The generations that have an image and an embedding of the model, and a prompt of the lake.

    Raises:
        LakeError: nothing was generated yet.

    """
    store = VectorStore(lake.vectors)
    names = (GENERATED_IMAGES.name, generated_vectors_name(clip_id))
    images, vectors = (store.dataset(name) for name in names)
    keys = ["image_id", "generator_id", "prompt_id", "seed", "_rowoffset"]
    with connect(lake) as connection:
        connection.register(
            "generated_images", store.reader(names[0], keys, _IS_OK, images.version)
        )
        connection.register(
            "generated_vectors",
            store.reader(names[1], ["image_id", "_rowoffset"], _IS_OK, vectors.version),
        )
        values = {"prompts": str(lake.prompts)}
        prompts = connection.execute(query("generations_to_score"), values).fetchall()
    return Generations(images, vectors, prompts)
