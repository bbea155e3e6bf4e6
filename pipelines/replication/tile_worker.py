"""What a worker does with tiles: those of each picture of a shard become unit vectors."""

from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from dask.system import CPU_COUNT

from ...lance.tables import MADE_BY, OK
from ...lance.unit import unit_norm
from ..clip.copy_model import CopyChoice
from ..clip.encoder import load_encoder, load_tower
from ..clip.tower import describe_copy_model
from ..core.gpus import gpu_of_worker
from ..images.tiles import cut_tiles, encoded, n_tiles, shows_something
from .tile_job import TileJob

Encode = Callable[[list[bytes]], npt.NDArray[np.float32]]

_one_shard_at_a_time = Lock()  # a worker of someone else's cluster may run several tasks at once


def encode_tiles(ids: list[str], row_offsets: list[int], job: TileJob) -> pa.Table:
    """The rows (key, vector, status) of n pictures: the vectors of their tiles, end to end.

    A tile is zeros where it shows nothing, or where the model's numbers are not finite.

    Raises:
        ModelError: the model cannot be loaded.
        LakeError: this worker cannot read the lake.

    """
    with _one_shard_at_a_time:
        encode, made_by = _load(job)
        images = job.images.read(row_offsets, ids)
        tiles = [tile for image in images for tile in cut_tiles(image, job.scales)]
        vectors = encode([encoded(tile) for tile in tiles])  # (n * tiles, d)
    vectors[[not shows_something(tile) for tile in tiles]] = 0
    unit = np.nan_to_num(unit_norm(vectors), posinf=0)
    columns = {
        job.images.key: pa.array(ids, pa.string()),
        "vector": pa.FixedSizeListArray.from_arrays(
            pa.array(unit.astype(np.float16).ravel()), n_tiles(job.scales) * unit.shape[1]
        ),
        "status": pa.repeat(OK, len(ids)),
    }
    return pa.table(columns).replace_schema_metadata({MADE_BY: made_by})


def _load(job: TileJob) -> tuple[Encode, str]:
    """The model of the job, and what it says that it is."""
    threads = max(1, CPU_COUNT // job.workers_per_host)
    placed: tuple[Any, ...] = (gpu_of_worker(job.device) or "cpu", job.batch_size, threads)
    if isinstance(job.choice, CopyChoice):
        return load_tower(job.choice, *placed).images, describe_copy_model(job.choice)
    encoder = load_encoder(job.choice, *placed)
    return encoder.images, encoder.description
