"""The images that objects are looked for in: those of keyword sets, generated ones, background."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...lance.store import VectorStore
from ...lance.tables import BACKGROUND_IMAGES, GENERATED_IMAGES, IMAGES, OK, LanceTable
from ..captions.keyword_sets import declare_keyword_sets
from ..captions.source import define_macros, open_source
from ..captions.unreadable import read_source
from ..clip.thresholds import resolve_thresholds
from ..core.database import connect, query
from ..core.lake import Lake
from ..core.study import Study
from ..images.fetched import fetch_images

TRAIN, GENERATED, BACKGROUND = "train", "generated", "background"

_OK_ROWS = f"status = '{OK}'"
_TABLES = {table.name: table for table in (IMAGES, BACKGROUND_IMAGES, GENERATED_IMAGES)}


@dataclass(frozen=True)
class Looked:
    """Images of one Lance table, n of them, each once."""

    table: LanceTable
    ids: pa.StringArray  # (n,) sample_id or image_id
    offsets: npt.NDArray[np.int64]  # (n,) rows of the table

    @property
    def key(self) -> str:
        """The column of the table that the ids are of."""
        return "image_id" if self.table is GENERATED_IMAGES else "sample_id"

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, which: npt.NDArray[np.int64]) -> "Looked":
        """Those at these places."""
        return Looked(self.table, self.ids.take(pa.array(which)), self.offsets[which])

    def parts(self, size: int) -> Iterator["Looked"]:
        """The same, at most `size` at a time."""
        for start in range(0, len(self), size):
            yield self.take(np.arange(start, min(start + size, len(self))))


def fetch_background(study: Study, lake: Lake, n: int) -> pa.Table:
    """The rows (sample_id, url, source_file, source_row, text) of n samples of the whole dataset.

    Their images are fetched into a table of their own where no keyword set has brought them in.

    Raises:
        SourceError: a file of the study cannot be read.

    """
    store = VectorStore(lake.vectors)
    store.create(BACKGROUND_IMAGES)
    with connect(lake) as connection:
        open_source(connection, study, lake)
        connection.execute(query("filter/rules"))
        values = {"n": n, "addresses": study.data.addresses}
        background_query = query("objects/background")
        read_source(connection, study, lake, lambda: connection.execute(background_query, values))
        background = connection.table("object_background").to_arrow_table()
        connection.register("stored_images", store.sample_ids(IMAGES.name))
        connection.register("stored_background", store.sample_ids(BACKGROUND_IMAGES.name))
        connection.execute(query("objects/background_to_fetch"))
        if len(connection.table("samples_to_fetch")):
            fetch_images(study, lake, partial(store.append, BACKGROUND_IMAGES), connection)
    return background


def choose_images(
    connection: duckdb.DuckDBPyConnection, study: Study, lake: Lake, background: pa.Table, n: int
) -> None:
    """Make the table object_images; at most `n` of each keyword set."""
    store = VectorStore(lake.vectors)
    columns = {
        "stored_images": (IMAGES, ["sample_id"]),
        "stored_background": (BACKGROUND_IMAGES, ["sample_id"]),
        "stored_generations": (
            GENERATED_IMAGES,
            ["image_id", "generator_id", "prompt_id", "seed"],
        ),
    }
    for name, (table, wanted) in columns.items():
        store.create(table)
        connection.register("rows", store.reader(table.name, [*wanted, "_rowoffset"], _OK_ROWS))
        connection.execute(f"create temp table {name} as from rows")  # it may spill
    connection.register("object_background", background)
    _find_asking_prompts(connection, study, lake)
    _read_clusters(connection, lake)
    sets = [one.name for one in study.keyword_set]
    values = {
        "samples": str(lake.samples),
        "keyword_matches": str(lake.keyword_matches),
        "keyword_sets": sets,
        "everything": [one.name for one in study.keyword_set if one.is_everything],
        "n": n,
        "threshold": resolve_thresholds(study, lake).report,
    }
    connection.execute(query("objects/images"), values)


def looked_at(connection: duckdb.DuckDBPyConnection, population: str) -> list[Looked]:
    """The images of a population, each once, by the table that holds them."""
    rows = connection.execute(
        "select stored_in, list(image_id order by image_id), list(row_offset order by image_id) "
        "from (select distinct stored_in, image_id, row_offset from object_images "
        "where population = $population) group by stored_in order by stored_in",
        {"population": population},
    ).fetchall()
    return [
        Looked(_TABLES[name], pa.array(ids, pa.string()), np.array(offsets, np.int64))
        for name, ids, offsets in rows
    ]


def _find_asking_prompts(connection: duckdb.DuckDBPyConnection, study: Study, lake: Lake) -> None:
    """Make the table asking_prompts: by the rule that captions are matched by."""
    define_macros(connection)
    declare_keyword_sets(connection, study)
    connection.execute(query("filter/needles"))
    if lake.prompts.exists():
        connection.execute(query("objects/prompts"), {"prompts": str(lake.prompts)})
    else:
        connection.execute(
            "create temp table kept_rows (source_file varchar, source_row integer, caption_number "
            "bigint, tokens varchar, asked_set varchar, family varchar, text varchar)"
        )
    connection.execute(query("filter/row_matches"))
    connection.execute(query("objects/asking_prompts"))


def _read_clusters(connection: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    if lake.cluster_members.exists():
        members = connection.read_parquet(str(lake.cluster_members))
    else:
        members = connection.sql(
            "select null::double as threshold, null::varchar as sample_id, "
            "null::varchar as cluster_id where false"
        )
    members.create_view("cluster_members")
