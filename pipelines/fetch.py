"""fetch: the image of every sample, or the reason why there is none.

What is imported at the top is light: `recorded` answers `status` in a base install too.
"""

import json
from collections import Counter
from dataclasses import asdict

import duckdb

from ..lance.store import VectorStore
from ..lance.tables import IMAGE_ROWS_PER_FILE, IMAGES, OK
from .core.database import connect, query
from .core.errors import LakeError
from .core.lake import Lake
from .core.losses import Outcome, refuse_total_loss, standing
from .core.runs import Counts, Standing
from .core.stamp import Stamp
from .core.stamped_tables import read_recorded, write_mark, write_stamp
from .core.study import Study
from .images.fetched import fetch_images

_CAN_PASS = (
    "status in ('connection', 'dns', 'http_408', 'http_429', 'not_found', 'timeout',"
    " 'too_large_for_memory', 'unexpected', 'unreadable') or status like 'http_5%'"
)
_SETTINGS = "memtriggers_fetch_settings"


def run(study: Study, lake: Lake, stamp: Stamp) -> Counts:
    """Commit a row to `images` for every sample that has none; none where vectors are imported.

    Returns:
        Samples without a row before, and those that have an image now; of all samples, those that
        have none.

    Raises:
        StudyError: image_root is no folder.
        SourceError: image_column is no column of bytes.
        StageError: no sample has an image.

    """
    store = VectorStore(lake.vectors)
    store.create(IMAGES)
    _forget_failures(store, study)
    with connect(lake) as connection:
        connection.register("stored_images", store.sample_ids(IMAGES.name))
        connection.execute(query("fetch/samples"), {"samples": str(lake.samples)})
        is_imported = study.data.vectors is not None
        n_in = 0 if is_imported else len(connection.table("samples_to_fetch"))
        n_before = store.count(IMAGES.name)
        ended = fetch_images(study, store, IMAGES, connection) if n_in else Counter[str]()
        every = Standing() if is_imported else _count_images(connection, store, lake)
    n_rows, n_out = store.count(IMAGES.name) - n_before, ended.pop(OK, 0)
    if n_in != n_rows:
        raise LakeError(
            f"{store.path(IMAGES.name)}: {n_in} samples went in, {n_rows} rows came out"
        )
    store.compact(IMAGES.name, IMAGE_ROWS_PER_FILE)
    write_stamp(store, IMAGES.name, stamp)
    return Counts(n_in, n_out, ended, every)


def recorded(lake: Lake) -> tuple[Stamp, str] | None:
    """The stamp and the fingerprint of the table `images`; None before the first full run."""
    return read_recorded(VectorStore(lake.vectors), IMAGES.name)


def forget_passing_failures(lake: Lake) -> None:
    """Remove the rows of failures that another try may mend, so that the next run makes it."""
    store = VectorStore(lake.vectors)
    if store.exists(IMAGES.name):
        store.delete(IMAGES.name, _CAN_PASS)


def _count_images(
    connection: duckdb.DuckDBPyConnection, store: VectorStore, lake: Lake
) -> Standing:
    """The samples that have an image and those that have none, from whichever run.

    Raises:
        StageError: there are samples, and not one has an image.

    """
    columns = ["sample_id", "status", "status_reason"]
    connection.register("stored_images", store.reader(IMAGES.name, columns))
    found = connection.execute(query("fetch/outcomes"), {"samples": str(lake.samples)}).fetchall()
    outcomes = [Outcome(*row) for row in found]
    refuse_total_loss(
        "fetch",
        "samples has an image",
        outcomes,
        "mend where [data] in the study says the images are, or the network, and run: "
        "memtriggers fetch --retry",
    )
    return standing(outcomes)


def _forget_failures(store: VectorStore, study: Study) -> None:
    """Remove the rows without an image when the study's way to the images has changed.

    A mended image_root or a larger max_bytes may bring them; with the same settings they would
    fail again.
    """
    limits = ("max_bytes", "max_pixels", "timeout", "opt_out", "allow_private_hosts")
    settings = {key: value for key, value in asdict(study.fetch).items() if key in limits}
    settings |= {
        key: getattr(study.data, key) for key in ("image_column", "image_root", "image_tars")
    }
    text = json.dumps(settings, sort_keys=True)
    if store.read_metadata(IMAGES.name, _SETTINGS) != text:
        store.delete(IMAGES.name, f"status != '{OK}'")
        write_mark(store, IMAGES.name, _SETTINGS, text)
