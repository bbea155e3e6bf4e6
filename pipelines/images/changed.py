"""Stored images whose bytes are others today: they leave, with all that was made of them."""

from collections.abc import Iterator
from itertools import islice

import duckdb
import pyarrow as pa

from ...lance.store import VectorStore, one_of
from ...lance.tables import IMAGES, OK
from ..core.database import count_rows, query
from ..core.errors import StageError
from ..core.lake import Lake
from ..core.origins import Forgetting, show_origins, write_origins
from ..core.stamped_tables import forget_rows
from ..core.study import Study
from .again import forget_vectors
from .compared import tell_changed
from .places import image_places, lie_by_row, samples_of

_AT_ONCE = 10_000  # places in memory
_OUTCOME = ["sample_id", "status", "status_reason", "sha256"]


def forget_changed(
    study: Study, lake: Lake, store: VectorStore, connection: duckdb.DuckDBPyConnection
) -> None:
    """Remove the rows of `images` that a new lake would not have, so that they are fetched again.

    Read are those alone whose file or row is another than what is noted, images and failures. What
    was made of an image leaves before it does: a kill at any time leaves what the next run ends the
    same from.

    Raises:
        StudyError: image_root is no folder.
        SourceError: image_column is no column of bytes.
        StageError: so many files are gone that it looks like a disk which is not there.

    """
    _find_origins(study, lake, connection)
    connection.register("stored_outcomes", store.reader(IMAGES.name, _OUTCOME))
    connection.execute(query("fetch/samples_to_compare"))
    _refuse_to_lose_all(study, store, connection)
    if len(connection.table("samples_to_compare")):

        def remove(ids: list[str]) -> None:
            forget_vectors(store, ids)
            forget_rows(store, IMAGES.name, one_of(ids))

        with Forgetting(remove) as forget:
            tell_changed(study, connection, forget)
    _note(lake, connection)


def _refuse_to_lose_all(
    study: Study, store: VectorStore, connection: duckdb.DuckDBPyConnection
) -> None:
    """Raise StageError where more images are gone at once than may be lost: a disk is not there.

    To fetch and embed them again would cost far more than to look.
    """
    n_gone = count_rows(connection, f"samples_to_compare where status = '{OK}' and is_gone")
    n_stored = store.count(IMAGES.name, f"status = '{OK}'")
    if n_gone > study.fetch.max_lost * n_stored:
        raise StageError(
            f"fetch: the files of {n_gone:,} of {n_stored:,} stored images are gone; nothing was "
            "removed; bring them back (is a disk not mounted?), or let them go with a larger "
            "[fetch] max_lost in the study"
        )


def note_no_doubtful(study: Study, lake: Lake, connection: duckdb.DuckDBPyConnection) -> bool:
    """Take back what is noted of files that changed while images were read; whether there are any.

    The next run compares these images.
    """
    _find_origins(study, lake, connection)
    connection.execute(query("fetch/origins_that_hold"))
    if len(connection.table("origins_that_hold")) == len(connection.table("origins_to_note")):
        return False
    write_origins(connection, lake, IMAGES.name, "origins_that_hold")
    return True


def _find_origins(study: Study, lake: Lake, connection: duckdb.DuckDBPyConnection) -> None:
    """Create the table image_origins, and the view of those noted."""
    connection.execute("create or replace temp table image_places (place varchar, content varchar)")
    places = image_places(study, lake, samples_of(lake))
    for part in _parts(places):
        connection.register("some_places", part)
        connection.execute("insert into image_places from some_places")
    values = {"samples": str(lake.samples), "by_row": lie_by_row(study)}
    connection.execute(query("fetch/origins"), values)
    show_origins(connection, lake, IMAGES.name)


def _note(lake: Lake, connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(query("fetch/origins_to_note"))
    write_origins(connection, lake, IMAGES.name, "origins_to_note")


def _parts(places: Iterator[tuple[str, str]]) -> Iterator[pa.Table]:
    while part := list(islice(places, _AT_ONCE)):
        names, held = zip(*part, strict=True)
        columns = {"place": pa.array(names, pa.string()), "content": pa.array(held, pa.string())}
        yield pa.table(columns)
