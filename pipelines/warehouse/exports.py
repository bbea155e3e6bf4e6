"""The scalar columns of the Lance tables as parquet: DuckDB cannot read the float16 vectors."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ...lance.store import VectorStore
from ...lance.tables import GENERATED_IMAGES, IMAGES, image_vectors_name
from ..core.errors import store_errors
from ..core.lake import Lake, replacing
from ..core.study import Study
from ..replication.decided import decided_thresholds

IMAGE_COLUMNS = [name for name in IMAGES.schema.names if name != "image"]
GENERATED_COLUMNS = [name for name in GENERATED_IMAGES.schema.names if name != "image"]
VECTOR_COLUMNS = ["sample_id", "status"]


@store_errors()
def export_tables(study: Study, lake: Lake) -> None:
    """Stream the images, those generated, and the vectors of the study's model to `lake/exports/`.

    A table that does not exist takes its export with it: what dbt reads is what Lance holds.

    Raises:
        MissingExtra: there are Lance tables but no package to read them.
        ModelError: there are vectors, but the study's CLIP model cannot be told.

    """
    store = VectorStore(lake.vectors)
    exports = lake.exports
    _export(store, "images", IMAGE_COLUMNS, exports / "images.parquet", {})
    _export_decided(lake)
    generations = exports / "generations.parquet"
    _export(store, GENERATED_IMAGES.name, GENERATED_COLUMNS, generations, {})
    clip_id = _clip_id(study, lake)
    _export(
        store,
        image_vectors_name(clip_id),
        VECTOR_COLUMNS,
        exports / "image_vectors.parquet",
        {"clip_id": clip_id},
    )


def _export_decided(lake: Lake) -> None:
    path, rows = lake.decided_thresholds, decided_thresholds(lake)
    if rows is None:
        path.unlink(missing_ok=True)
        return
    with replacing(path) as unfinished:
        pq.write_table(rows, unfinished)


def _clip_id(study: Study, lake: Lake) -> str:
    # A lake without vectors is built where no model can be loaded.
    if not any(lake.vectors.glob(f"{image_vectors_name('*')}.lance")):
        return ""
    from ..clip.model import find_clip

    return find_clip(study).clip_id


def _export(
    store: VectorStore, name: str, columns: list[str], path: Path, constants: dict[str, str]
) -> None:
    if not store.exists(name):
        path.unlink(missing_ok=True)
        return
    batches = store.reader(name, columns)
    shown = pa.schema([_shown(field) for field in batches.schema])
    schema = pa.schema([*shown, *((key, pa.string()) for key in constants)])
    with replacing(path) as unfinished, pq.ParquetWriter(unfinished, schema) as writer:
        for batch in batches:
            filled = [pa.repeat(value, batch.num_rows) for value in constants.values()]
            columns = [*batch.cast(shown).columns, *filled]
            writer.write_batch(pa.record_batch(columns, schema=schema))


def _shown(field: pa.Field) -> pa.Field:
    """The field as it is published: a time is in UTC and has no zone.

    In Python, DuckDB needs pytz to read a time with a zone, and ICU to print one.
    """
    is_time = pa.types.is_timestamp(field.type)
    return field.with_type(pa.timestamp(field.type.unit)) if is_time else field
