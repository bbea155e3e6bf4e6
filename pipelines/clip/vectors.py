"""Vectors as they are stored: scaled to norm 1, as float16, with a status each."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...lance.tables import NOT_FINITE, OK
from ...lance.unit import unit_norm


def vector_table(sample_ids: Sequence[str], vectors: NDArray[np.float32]) -> pa.Table:
    """The rows (sample_id, vector, status) of n samples and their (n, d) vectors of any norm.

    The vector is null and the status 'not_finite' where its numbers are not.
    """
    unit = unit_vectors(vectors)
    status = [OK if is_finite.as_py() else NOT_FINITE for is_finite in unit.is_valid()]
    ids = pa.array(sample_ids, pa.string())
    return pa.table({"sample_id": ids, "vector": unit, "status": pa.array(status, pa.string())})


def unit_vectors(vectors: NDArray[np.float32]) -> pa.FixedSizeListArray:
    """(n, d) vectors scaled to norm 1 as float16; null where one has no finite direction."""
    unit = unit_norm(vectors)
    is_broken = ~np.isfinite(unit).all(axis=1)
    unit[is_broken] = 0
    return pa.FixedSizeListArray.from_arrays(
        pa.array(unit.astype(np.float16).ravel()), vectors.shape[1], mask=pa.array(is_broken)
    )
