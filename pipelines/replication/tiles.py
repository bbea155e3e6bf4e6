"""The vectors of the tiles of pictures, made on the workers and kept: each costs a forward pass."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...lance.store import VectorStore
from ...lance.tables import GENERATED_IMAGES, IMAGES, OK, LanceTable
from ..clip.copy_model import CopyChoice
from ..clip.model import ClipChoice
from ..clusters.edges import Rows
from ..clusters.sample_ids import as_bytes
from ..core.lake import Lake
from ..core.pinned import pin_images
from ..core.stored_work import StoredWork
from ..core.study import Study
from ..images.tiles import Scale, n_tiles
from .compared import IMAGE, Compared, find_stored
from .metrics import Models
from .partial import GRID, SCALES
from .references import Training
from .tile_job import TileJob, TileShard

_TILES = 576  # in one task and one transaction


def add_training_tiles(
    study: Study, lake: Lake, models: Models, training: Training, rows: Iterable[Rows]
) -> Training:
    """The training images with the tiles of these rows, for every metric of tiles in the study."""
    store, pictures = VectorStore(lake.vectors), training.pictures
    stored = dict(pictures.stored)
    for metric in models.tile_metrics:
        name = tiles_name(models.model_id(metric))
        wanted = np.unique(np.concatenate([*rows, np.empty(0, np.int32)]))
        wanted = wanted[pictures.stored[IMAGE].offsets[wanted] >= 0]
        there = find_stored(store, name, "vector", as_bytes(training.sample_ids))
        missing = wanted[there.offsets[wanted] < 0]
        ids = training.sample_ids.take(pa.array(missing))
        offsets = pictures.stored[IMAGE].offsets[missing]
        store_tiles(study, lake, tile_job(study, store, models.choice(metric)), name, ids, offsets)
        stored[metric] = find_stored(store, name, "vector", as_bytes(training.sample_ids))
    return replace(training, pictures=Compared(pictures.vectors, stored))


def add_generated_tiles(study: Study, lake: Lake, models: Models) -> None:
    """Store the tiles of the generated images that lack them, for every metric of tiles."""
    store = VectorStore(lake.vectors)
    for metric in models.tile_metrics:
        name = generated_tiles_name(models.model_id(metric))
        columns, is_ok = ["image_id", "_rowoffset"], f"status = '{OK}'"
        images = store.reader(GENERATED_IMAGES.name, columns, is_ok).read_all()
        there = store.ids(name, "image_id").read_all()
        missing = images.join(there, "image_id", join_type="left anti").sort_by("_rowoffset")
        job = tile_job(study, store, models.choice(metric), GENERATED_IMAGES, "image_id")
        offsets = missing["_rowoffset"].to_numpy()
        store_tiles(study, lake, job, name, missing["image_id"].combine_chunks(), offsets)


def tiles_name(model_id: str) -> str:
    """The name of the table of what a model makes of the tiles of training images."""
    return f"tile_vectors-{GRID}x{GRID}-{model_id}"


def generated_tiles_name(model_id: str) -> str:
    """The name of the table of what a model makes of the tiles of generated images."""
    return f"generated_tile_vectors-{GRID}x{GRID}-{model_id}"


def tile_job(
    study: Study,
    store: VectorStore,
    choice: ClipChoice | CopyChoice,
    images: LanceTable = IMAGES,
    key: str = "sample_id",
    scales: tuple[Scale, ...] = SCALES,
) -> TileJob:
    """What workers are told that cut the pictures of a table of the store."""
    pinned = pin_images(store, images.name, key)
    return TileJob(pinned, choice, study.clip.batch_size, study.resources.device, scales)


def store_tiles(
    study: Study,
    lake: Lake,
    job: TileJob,
    name: str,
    ids: pa.Array,
    offsets: npt.NDArray[np.integer],
    stage: str = "score",
) -> None:
    """Commit the tiles of these images to the table `name`, a shard a transaction, in their order.

    Args:
        study: its resources are used.
        lake: holds the store.
        job: says which images, which model and which tiles.
        name: the table that they go to.
        ids: (n,) what the rows are known by.
        offsets: (n,) the rows of the table of images.
        stage: who asks, for the message of an error.

    """
    if len(ids) == 0:
        return
    size = max(1, _TILES // n_tiles(job.scales))
    StoredWork(stage, "embed tiles", _encode, job, [name]).run(
        study, lake, len(ids), lambda _: _shards(ids, offsets, size)
    )


def _shards(ids: pa.Array, offsets: npt.NDArray[np.integer], size: int) -> Iterator[TileShard]:
    for start in range(0, len(ids), size):
        part = slice(start, start + size)
        yield TileShard(ids[part].to_pylist(), offsets[part].tolist())


def _encode(shard: TileShard, job: TileJob) -> list[pa.Table]:
    from .tile_worker import encode_tiles  # in the worker: it imports torch

    return [encode_tiles(shard.ids, shard.row_offsets, job)]
