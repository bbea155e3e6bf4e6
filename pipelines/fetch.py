"""fetch: the image of every sample, or the reason why there is none.

What is imported at the top is light: `recorded` answers `status` in a base install too.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import duckdb
import pyarrow as pa

from ..lance.store import VectorStore
from ..lance.tables import IMAGE_ROWS_PER_FILE, IMAGES, OK
from .core.database import connect, define_addresses, query
from .core.errors import LakeError, StudyError
from .core.lake import Lake
from .core.losses import Outcome, refuse_total_loss, standing
from .core.runs import Counts, Standing
from .core.stamp import Stamp
from .core.stamped_tables import forget_rows, read_recorded, write_mark, write_stamp
from .core.study import Study, deciding
from .images.again import CAN_PASS, Replacing
from .images.changed import forget_changed, note_no_doubtful
from .images.fetched import fetch_images
from .images.places import are_local

_SETTINGS = "memtriggers_fetch_settings"
_AGAIN = "memtriggers_fetch_again"  # what was fetched before this moment is fetched again
_IN_CHANGE = "changed while they were read"  # in the place of a fingerprint: the stage is stale
_LIMITS = (  # keys of [fetch] by which an image may be refused
    *("max_bytes", "max_pixels", "decode_memory", "decode_timeout", "timeout", "row_timeout"),
    *("opt_out", "tdm_reservation", "content_usage", "robots_txt"),
    *("insecure_redirects", "allow_private_hosts"),
)
_LOCAL = (
    "image_column",
    "image_tars",
    "image_folders",
    "image_root",
)  # keys of [data] that say where images lie


def run(study: Study, lake: Lake, stamp: Stamp) -> Counts:
    """Commit a row to `images` for every sample that has none; none where vectors are imported.

    Where images lie on this machine, the rows of those that changed are removed first. After
    `ask_again`, the images that it asked for are fetched again as well.

    Returns:
        Samples that were tried, and those whose image came; of all samples, those that have none.

    Raises:
        StudyError: image_root is no folder.
        SourceError: image_column is no column of bytes.
        StageError: no sample has an image.

    """
    store = VectorStore(lake.vectors)
    store.create(IMAGES)
    _forget_failures(store, study)
    is_imported = study.data.vectors is not None
    with connect(lake) as connection:
        define_addresses(connection)
        if is_local := are_local(study) and not is_imported:
            forget_changed(study, lake, store, connection)
        ended = Counter[str]()
        if n_in := 0 if is_imported else _find_work(connection, store, lake):
            ended = _fetch(study, lake, store, connection, n_in)
            if is_local and note_no_doubtful(study, lake, connection):
                stamp = replace(stamp, inputs=stamp.inputs | {"image_files": _IN_CHANGE})
        every = Standing() if is_imported else _count_images(connection, store, lake)
    write_mark(store, IMAGES.name, _AGAIN, "")
    store.compact(IMAGES.name, IMAGE_ROWS_PER_FILE)
    write_stamp(store, IMAGES.name, stamp)
    return Counts(n_in, ended.pop(OK, 0), ended, every)


def ask_again(study: Study, lake: Lake, before: datetime) -> None:
    """Have the next run fetch again what was fetched, or refused, before a moment.

    The lake holds what was asked for until a run has come to its end: after a kill, the next one
    goes on where it stood.

    Raises:
        StudyError: the images of the study are not on the web.

    """
    key = next((key for key in _LOCAL if getattr(study.data, key)), None)
    if key or study.data.vectors:
        raise StudyError(
            f"data: {key or 'vectors'}: nothing comes from the web in this study, and --again "
            "fetches from there alone; leave it out"
        )
    store = VectorStore(lake.vectors)
    if store.exists(IMAGES.name):
        write_mark(store, IMAGES.name, _AGAIN, before.astimezone(UTC).isoformat())


def recorded(lake: Lake) -> tuple[Stamp, str] | None:
    """The stamp and the fingerprint of the table `images`; None before the first full run."""
    return read_recorded(VectorStore(lake.vectors), IMAGES.name)


def forget_passing_failures(lake: Lake) -> None:
    """Remove the rows of failures that another try may mend, so that the next run makes it."""
    store = VectorStore(lake.vectors)
    if store.exists(IMAGES.name):
        forget_rows(store, IMAGES.name, CAN_PASS)


def _find_work(connection: duckdb.DuckDBPyConnection, store: VectorStore, lake: Lake) -> int:
    """Create the table samples_to_fetch; returns its number of rows."""
    stored = store.reader(IMAGES.name, ["sample_id", "fetched_at"])
    connection.register("stored_images", stored)
    again = store.read_metadata(IMAGES.name, _AGAIN) or None
    values = {"samples": str(lake.samples), "again": again}
    connection.execute(query("fetch/samples"), values)
    return len(connection.table("samples_to_fetch"))


def _fetch(
    study: Study, lake: Lake, store: VectorStore, connection: duckdb.DuckDBPyConnection, n_in: int
) -> Counter[str]:
    """Fetch what samples_to_fetch names; returns how many ended with each status."""
    n_new = len(connection.table("samples_to_fetch").filter("not is_again"))
    n_before, replacing = store.count(IMAGES.name), Replacing(store)
    commit: Callable[[pa.Table], None] = partial(store.append, IMAGES)
    ended = fetch_images(study, lake, commit if n_new == n_in else replacing.commit, connection)
    replacing.report()
    n_rows = store.count(IMAGES.name) - n_before
    if (n_in, n_new) != (ended.total(), n_rows):
        raise LakeError(
            f"{store.path(IMAGES.name)}: {n_in} samples went in, {n_new} of them new; "
            f"{ended.total()} came out, {n_rows} of them new"
        )
    return ended


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
    # A key that came late is there where it says something: an upgrade forgets nothing by it.
    fetch, data = deciding(study.fetch), deciding(study.data)
    settings = {key: fetch[key] for key in _LIMITS if key in fetch}
    settings |= {key: data[key] for key in _LOCAL if key in data}
    if not are_local(study):
        settings["urls"] = "as written"  # 0.2 read their escapes, and was refused for that
    text = json.dumps(settings, sort_keys=True)
    if store.read_metadata(IMAGES.name, _SETTINGS) != text:
        forget_rows(store, IMAGES.name, f"status != '{OK}'")
        write_mark(store, IMAGES.name, _SETTINGS, text)
