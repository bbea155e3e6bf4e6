"""Pictures that are compared: their vectors in memory, the rest read where it is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...lance.store import VectorStore
from ...lance.tables import OK
from ..clusters.edges import Rows, Vectors, renormalised
from ..clusters.sample_ids import SampleIds, as_bytes, rows_of

IMAGE = "image"  # the encoded picture itself

Offsets = npt.NDArray[np.int64]
Which = npt.NDArray[np.generic]

_OK_ROWS = f"status = '{OK}'"


@dataclass(frozen=True)
class Stored:
    """One column of a Lance table, and where each of n pictures has its value in it."""

    table: Any  # lance.LanceDataset, None where there is none
    column: str
    offsets: Offsets  # (n,), -1 for a picture that has no value

    def take(self, which: Which) -> "Stored":
        """Those of a mask or of a list of positions."""
        return Stored(self.table, self.column, self.offsets[which])

    def read(self, part: slice = slice(None)) -> pa.Array:
        """The values of a part, each of which has one."""
        rows = self.table.take(self.offsets[part], columns=[self.column])
        return rows[self.column].combine_chunks()


@dataclass(frozen=True)
class Compared:
    """n pictures.

    `vectors` are by metric (n, d) float32 of norm 1, zeros for one that has none; `stored` is what
    is large: the `image`, and by metric the vectors of its tiles.
    """

    vectors: dict[str, Vectors]
    stored: dict[str, Stored]

    def __len__(self) -> int:
        return len(self.stored[IMAGE].offsets)

    def take(self, which: Which) -> "Compared":
        """Those of a mask or of a list of positions."""
        return Compared(
            {metric: unit[which] for metric, unit in self.vectors.items()},
            {name: stored.take(which) for name, stored in self.stored.items()},
        )


def concatenated_pictures(parts: Sequence[Compared]) -> Compared:
    """One list of pictures of the same tables after the other."""
    first = parts[0]
    return Compared(
        {name: np.concatenate([part.vectors[name] for part in parts]) for name in first.vectors},
        {
            name: Stored(
                stored.table,
                stored.column,
                np.concatenate([part.stored[name].offsets for part in parts]),
            )
            for name, stored in first.stored.items()
        },
    )


def find_stored(store: VectorStore, name: str, column: str, ids: SampleIds) -> Stored:
    """Where the training images of these ascending ids have their value in a table of the store."""
    offsets = np.full(len(ids), -1, np.int64)
    if not store.exists(name):
        return Stored(None, column, offsets)
    version = store.version(name)
    for batch in store.reader(name, ["sample_id", "_rowoffset"], _OK_ROWS, version):
        is_known, rows = find_rows(as_bytes(batch["sample_id"]), ids)
        offsets[rows] = batch["_rowoffset"].to_numpy()[is_known]
    return Stored(store.dataset(name, version), column, offsets)


def read_unit(store: VectorStore, name: str, ids: SampleIds) -> Vectors:
    """The vectors of the training images of these ascending ids, (n, d); zeros where is none."""
    dimensions = store.dataset(name).schema.field("vector").type.list_size
    unit = np.zeros((len(ids), dimensions), np.float32)
    for batch in store.reader(name, ["sample_id", "vector"], _OK_ROWS):
        is_known, rows = find_rows(as_bytes(batch["sample_id"]), ids)
        unit[rows] = renormalised(as_matrix(batch["vector"])[is_known])
    return unit


def as_matrix(column: pa.FixedSizeListArray) -> npt.NDArray[np.floating]:
    """n vectors of d numbers, (n, d)."""
    matrix: npt.NDArray[np.floating] = column.flatten().to_numpy().reshape(len(column), -1)
    return matrix


def find_rows(wanted: SampleIds, ids: SampleIds) -> tuple[npt.NDArray[np.bool_], Rows]:
    """Which of the wanted ids are among the ascending ones, and where those are."""
    is_known = np.isin(wanted, ids)
    return is_known, rows_of(wanted[is_known], ids)
