"""The vectors of the embedded samples in memory, in the order of their ids."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from ...lance.store import VectorStore
from ...lance.tables import OK, image_vectors_name
from ..clip.model import find_clip
from ..core.database import connect, query
from ..core.errors import LakeError
from ..core.lake import Lake
from ..core.study import Study
from .edges import Vectors, renormalised
from .sample_ids import as_bytes

_OK_ROWS = f"status = '{OK}'"


def read_vectors(study: Study, lake: Lake) -> tuple[pa.StringArray, Vectors]:
    """The sample ids, sorted, and their vectors renormalised in float32, (n, d).

    Raises:
        LakeError: a vector without a direction, or a sample with two vectors; names the table.

    """
    store, name = VectorStore(lake.vectors), image_vectors_name(find_clip(study).clip_id)
    sample_ids = _read_sample_ids(store, name, lake)
    sorted_ids = as_bytes(sample_ids)
    dimensions = store.dataset(name).schema.field("vector").type.list_size
    unit = np.empty((len(sorted_ids), dimensions), np.float32)
    n_read = 0
    for batch in store.reader(name, ["sample_id", "vector"], _OK_ROWS):
        stored = as_bytes(batch["sample_id"])
        row = np.searchsorted(sorted_ids, stored)
        wanted = np.searchsorted(sorted_ids, stored, side="right") > row
        vectors = batch["vector"].flatten().to_numpy().reshape(-1, dimensions)
        unit[row[wanted]] = renormalised(vectors[wanted])
        n_read += int(wanted.sum())
    _check_vectors(store.path(name), sample_ids, unit, n_read)
    return sample_ids, unit


def _read_sample_ids(store: VectorStore, name: str, lake: Lake) -> pa.StringArray:
    with connect(lake) as connection:
        connection.register("embedded", store.reader(name, ["sample_id"], _OK_ROWS))
        found = connection.execute(query("cluster/samples"), {"samples": str(lake.samples)})
        return found.to_arrow_table()["sample_id"].combine_chunks()


def _check_vectors(table: Path, sample_ids: pa.StringArray, unit: Vectors, n_read: int) -> None:
    way_out = f"remove {table} and run: memtriggers refresh"
    if n_read != len(sample_ids):
        raise LakeError(f"{table}: {n_read} vectors for {len(sample_ids)} samples; {way_out}")
    broken = np.flatnonzero(~np.isfinite(unit).all(axis=1))
    if len(broken):
        sample_id = sample_ids[int(broken[0])]
        raise LakeError(f"{table}: sample {sample_id} has a vector of zeros or NaN; {way_out}")
