"""Sample ids as bytes, which NumPy can search."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .edges import Rows

SampleIds = npt.NDArray[np.bytes_]  # 32 hex digits each


def as_bytes(sample_ids: pa.Array | pa.ChunkedArray) -> SampleIds:
    """The ids of a column, (n,)."""
    return np.asarray(sample_ids.to_numpy(zero_copy_only=False), "S32")


def rows_of(wanted: SampleIds, sample_ids: SampleIds) -> Rows:
    """Where the wanted ids are among ascending ones that hold them all."""
    return np.searchsorted(sample_ids, wanted).astype(np.int32)
