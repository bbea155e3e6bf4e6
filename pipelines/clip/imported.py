"""Vectors that exist already, in clip-retrieval's layout: .npy files with parquet beside them.

Row n of `img_emb_7.npy` belongs to row n of `metadata_7.parquet`; no image is needed.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from glob import glob
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from ...lance.store import VectorStore
from ...lance.tables import LanceTable, caption_vectors, image_vectors
from ..captions.source import open_source
from ..captions.source_file import SourceFile
from ..captions.unreadable import read_source
from ..core.contents import contents
from ..core.database import connect, query
from ..core.errors import LakeError, SourceError, StudyError
from ..core.lake import Lake
from ..core.progress import progress
from ..core.runs import Counts
from ..core.study import BUNDLED_CLIP, Data, Study
from .imported_changes import forget_changed
from .model import ClipChoice, describe_clip
from .vectors import vector_table

_ROWS = 10_000  # vectors in one transaction


def import_vectors(study: Study, lake: Lake, choice: ClipChoice) -> Counts:
    """Commit the vectors that samples lack, found by the url and the caption of the metadata.

    Those that other files or rows have by now are removed first, and so are those of files that are
    gone: what is stored is what a new lake would have.

    Returns:
        Samples that lacked a vector which the files have, and samples that have got theirs.

    Raises:
        StudyError: there is no metadata, or the model that made the vectors is not named.
        SourceError: files that do not belong together; names them.

    """
    _check(study)
    store = VectorStore(lake.vectors)
    with connect(lake) as connection:
        of_metadata = _study_of_metadata(study)
        metadata = _open_metadata(of_metadata, lake, connection)
        images = _open_arrays(study, study.data.vectors, metadata)
        captions = _open_arrays(study, study.data.caption_vectors, metadata)
        dimensions, made_by = next(iter(images.values())).shape[1], describe_clip(choice)
        tables = (
            image_vectors(choice.clip_id, dimensions, made_by),
            caption_vectors(choice.clip_id, dimensions, made_by),
        )
        for table in tables:
            _create(store, table)
        _find_places(connection, of_metadata, lake, (images, captions))
        for table, arrays in zip(tables, (images, captions), strict=True):
            forget_changed(connection, store, lake, table.name, arrays, arrays is captions)
        n_in = _find_work(connection, store, tables, bool(captions))
        n_out = 0
        with progress("embed", n_in) as advance:
            for file, rows in _read_rows(connection):
                for table, arrays, lacks in zip(tables, (images, captions), (2, 3), strict=True):
                    _append(store, table, arrays.get(file), [r for r in rows if r[lacks]])
                n_out += len(rows)
                advance(len(rows))
    if n_in != n_out:
        raise LakeError(f"{lake.vectors}: {n_in} samples went into embed, {n_out} came out")
    return Counts(n_in, n_out)


def _check(study: Study) -> None:
    if study.data.metadata is None:
        raise StudyError(
            "data: metadata: missing; it says which rows the vectors belong to: --metadata, or "
            'metadata = "metadata_*.parquet"'
        )
    if study.clip.model == BUNDLED_CLIP:
        raise StudyError(
            "clip: model: name the model that made the imported vectors, for LAION-400M's: "
            'model = "ViT-B-32", pretrained = "openai"'
        )


def _study_of_metadata(study: Study) -> Study:
    assert study.data.metadata is not None  # checked
    return replace(study, data=Data(rows=(study.data.metadata,)))


def _open_metadata(
    metadata: Study, lake: Lake, connection: duckdb.DuckDBPyConnection
) -> dict[str, SourceFile]:
    """Create the view `source` over the metadata; returns its files by number."""
    files = {file.path: file for file in open_source(connection, metadata, lake)}
    return {number: files[path] for number, path in _numbered(list(files)).items()}


def _open_arrays(
    study: Study, pattern: str | None, metadata: dict[str, SourceFile]
) -> dict[str, Any]:
    """The (n, d) arrays of a pattern, mapped and not read, by the file of metadata beside each."""
    if pattern is None:
        return {}
    paths = _numbered(glob(study.path(pattern), recursive=True))
    if paths.keys() != metadata.keys():
        odd = sorted(paths.keys() ^ metadata.keys())
        raise SourceError(
            f"{study.path(pattern)}: {len(paths)} files for {len(metadata)} of metadata; without "
            f"the other of the two: number {', '.join(odd[:5])}"
        )
    arrays = {metadata[number].path: _open(paths[number], metadata[number]) for number in metadata}
    if len(shapes := {array.shape[1] for array in arrays.values()}) > 1:
        raise SourceError(f"{study.path(pattern)}: vectors of several lengths: {sorted(shapes)}")
    return arrays


def _numbered(paths: list[str]) -> dict[str, str]:
    """Files by the last number in their names, without leading zeros."""
    numbers = {path: re.findall(r"\d+", Path(path).stem) for path in paths}
    numbered = {str(int(found[-1])): path for path, found in numbers.items() if found}
    if len(numbered) < len(paths):
        raise SourceError(
            f"{paths[0]}: two files share its number, or one has none; vectors and metadata belong "
            "together by the last number in their names, as img_emb_7.npy and metadata_7.parquet"
        )
    return numbered


def _open(path: str, metadata: SourceFile) -> Any:
    try:
        array = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: not a readable .npy file: {error}") from None
    if array.ndim != 2 or array.dtype.kind != "f" or len(array) != metadata.n_rows:
        raise SourceError(
            f"{path}: {array.dtype} of shape {array.shape}; expected a vector of floats for each "
            f"of the {metadata.n_rows:,} rows of {metadata.path}"
        )
    return array


def _create(store: VectorStore, table: LanceTable) -> None:
    """Make the table, or see that what it holds is as long."""
    store.create(table)
    length = table.schema.field("vector").type.list_size
    stored = store.dataset(table.name).schema.field("vector").type.list_size
    if stored != length:
        raise SourceError(
            f"{store.path(table.name)}: holds vectors of length {stored}, the imported ones have "
            f"{length}: another model made them; name it in [clip]"
        )


def _find_places(
    connection: duckdb.DuckDBPyConnection,
    metadata: Study,
    lake: Lake,
    arrays: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    """Create the table imported_places: where the files have the vectors of the samples."""
    files = list(arrays[0] or arrays[1])
    held = [_contents(lake, of, files) for of in arrays]
    rows = {"source_file": files, "image": held[0], "caption": held[1]}
    schema = pa.schema([(name, pa.string()) for name in rows])
    connection.register("array_contents", pa.table(rows, schema))
    find, values = query("embed/imported_places"), {"samples": str(lake.samples)}
    read_source(connection, metadata, lake, lambda: connection.execute(find, values))


def _contents(lake: Lake, arrays: dict[str, Any], files: list[str]) -> list[str | None]:
    """What the file of vectors beside each file of metadata holds."""
    if not arrays:
        return [None] * len(files)
    return [
        content for _, content in contents(lake, (str(arrays[file].filename) for file in files))
    ]


def _find_work(
    connection: duckdb.DuckDBPyConnection,
    store: VectorStore,
    tables: tuple[LanceTable, LanceTable],
    captions: bool,
) -> int:
    """Create the table vectors_to_import; returns its number of rows."""
    connection.register("image_vectors", store.sample_ids(tables[0].name))
    connection.register("caption_vectors", store.sample_ids(tables[1].name))
    connection.execute(query("embed/vectors_to_import"), {"captions": captions})
    return len(connection.table("vectors_to_import"))


def _read_rows(
    connection: duckdb.DuckDBPyConnection,
) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """Rows (sample_id, row, lacks_image_vector, lacks_caption_vector) of one file at a time."""
    # Nothing else may be asked of this connection until the last row is read.
    found = connection.execute(
        "select source_file, sample_id, source_row, lacks_image_vector, lacks_caption_vector "
        "from vectors_to_import order by source_file, source_row"
    )
    while batch := found.fetchmany(_ROWS):
        for file, rows in groupby(batch, key=lambda row: row[0]):
            yield file, [(row[1], row[2], row[3], row[4]) for row in rows]


def _append(store: VectorStore, table: LanceTable, array: Any, rows: list[tuple[Any, ...]]) -> None:
    if rows:
        sample_ids, places = [row[0] for row in rows], [row[1] for row in rows]
        vectors = np.asarray(array[places], np.float32)
        rows_of: pa.Table = vector_table(sample_ids, vectors)
        store.append(table, rows_of)
