"""The generations of a lake, one prompt of one generator at a time, in the order of their seeds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...lance.store import VectorStore
from ...lance.tables import (
    GENERATED_IMAGES,
    OK,
    generated_copy_vectors_name,
    generated_vectors_name,
)
from ..clusters.edges import renormalised
from ..core.database import connect, query
from ..core.lake import Lake
from .compared import IMAGE, Compared, Offsets, Stored, as_matrix
from .metrics import CLIP, COSINES, SSCD, TILES, Models
from .tiles import generated_tiles_name

Seeds = npt.NDArray[np.int64]

_IS_OK = f"status = '{OK}'"


@dataclass(frozen=True)
class Prompted:
    """What a generator made of a prompt."""

    generator_id: str
    prompt_id: str
    seeds: Seeds  # (n,) ascending
    pictures: Compared


@dataclass(frozen=True)
class Generations:
    """The generated images of a lake, and what is compared of them."""

    tables: dict[str, Any]  # by metric and 'image': lance.LanceDataset
    prompts: pa.Table  # generator_id, prompt_id, seeds, and by name of a table the places in it

    def __iter__(self) -> Iterator[Prompted]:
        """Each generator and prompt, that of one cluster after the other."""
        for number in range(self.prompts.num_rows):
            row = {name: self.prompts[name][number] for name in self.prompts.column_names}
            pictures = self._pictures({name: _numbers(row[name]) for name in self.tables})
            seeds = _numbers(row["seeds"])
            yield Prompted(row["generator_id"].as_py(), row["prompt_id"].as_py(), seeds, pictures)

    def __len__(self) -> int:
        return sum(len(seeds) for seeds in self.prompts["seeds"])

    def _pictures(self, offsets: dict[str, Offsets]) -> Compared:
        stored = {
            name: Stored(table, IMAGE if name == IMAGE else "vector", offsets[name])
            for name, table in self.tables.items()
        }
        vectors = {
            metric: renormalised(as_matrix(stored.pop(metric).read()))
            for metric in COSINES
            if metric in stored
        }
        return Compared(vectors, stored)


def find_generations(lake: Lake, models: Models) -> Generations:
    """The generations with an image, what the metrics compare of it, and a prompt of the lake.

    Raises:
        StoreError: nothing was generated yet.

    """
    store = VectorStore(lake.vectors)
    names = {IMAGE: GENERATED_IMAGES.name, CLIP: generated_vectors_name(models.clip.clip_id)}
    if models.copies is not None and SSCD in models.metrics:
        names[SSCD] = generated_copy_vectors_name(models.copies.copy_id)
    names |= {m: generated_tiles_name(models.model_id(m)) for m in models.tile_metrics}
    tables = {name: store.dataset(table) for name, table in names.items()}
    with connect(lake) as connection:
        keys = ["image_id", "generator_id", "prompt_id", "seed", "_rowoffset"]
        images = store.reader(names[IMAGE], keys, _IS_OK, tables[IMAGE].version)
        connection.register("generated_images", images)
        for metric in (*COSINES, *TILES):
            connection.register(metric, _places(store, names.get(metric)))
        values = {"prompts": str(lake.prompts), "metrics": list(names)}
        found = connection.execute(query("score/generations"), values).to_arrow_table()
    return Generations(tables, found)


def _places(store: VectorStore, name: str | None) -> pa.RecordBatchReader:
    """The rows (image_id, _rowoffset) of a table of vectors, none where there is no such table."""
    if name is not None:
        return store.reader(name, ["image_id", "_rowoffset"], _IS_OK)
    schema = pa.schema([("image_id", pa.string()), ("_rowoffset", pa.uint64())])
    return schema.empty_table().to_reader()


def _numbers(of_row: pa.ListScalar) -> Offsets:
    numbers: Offsets = of_row.values.to_numpy()
    return numbers
