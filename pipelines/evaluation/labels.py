"""Pairs that people labelled: a column of the source, or a file of pairs; and stored vectors."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from ..captions.described import read_source_files
from ..captions.source import copy_files, open_source
from ..captions.unreadable import read_source
from ..clusters.edges import Vectors, renormalised
from ..core.database import connect, query
from ..core.errors import EvaluationError, SourceError
from ..core.lake import Lake
from ..core.study import Study
from .encoded import check_finite
from .images import Images
from .pair_counts import Rule
from .rules import label_rule, listed_rule


@dataclass(frozen=True)
class Labelled:
    """Pairs that count as true or false because somebody said so."""

    by: str
    """The column or the file that says it."""
    rule: Rule
    note: str | None = None


def read_pairs(path: Path) -> pa.Table:
    """The columns sample_id, other_sample_id and, if it is there, is_duplicate (null: true).

    Raises:
        EvaluationError: no parquet or csv file that can be read, or a column is missing.

    """
    texts = {"sample_id": pa.string(), "other_sample_id": pa.string()}
    try:
        if path.suffix == ".csv":
            convert = pyarrow.csv.ConvertOptions(column_types={**texts, "is_duplicate": pa.bool_()})
            table = pyarrow.csv.read_csv(path, convert_options=convert)
        else:
            table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise EvaluationError(f"{path}: not readable as parquet or csv: {error}") from None
    if missing := [name for name in texts if name not in table.column_names]:
        raise EvaluationError(
            f"{path}: no column {missing[0]}; it has: {', '.join(table.column_names)}"
        )
    columns = {name: table[name].cast(kind) for name, kind in texts.items()}
    if "is_duplicate" in table.column_names:
        columns["is_duplicate"] = pc.fill_null(table["is_duplicate"].cast(pa.bool_()), True)
    return pa.table(columns)


def named_samples(pairs: pa.Table, path: Path, lake: Lake) -> pa.Array:
    """Every sample_id of the pairs, once.

    Raises:
        EvaluationError: some are no samples of the lake; says how many, and the first.

    """
    both = pa.chunked_array([*pairs["sample_id"].chunks, *pairs["other_sample_id"].chunks])
    named = both.unique()
    with connect(lake) as connection:
        connection.register("named", pa.table({"sample_id": named}))
        found = connection.execute(query("evaluate/unknown"), {"samples": str(lake.samples)})
        n_unknown, first = found.fetchone() or (0, None)
    if n_unknown:
        raise EvaluationError(
            f"{path}: {n_unknown:,} of {len(named):,} sample_ids are not in {lake.samples}; "
            f"the first: {first}"
        )
    return named


def listed_pairs(pairs: pa.Table, path: Path, pictures: Images) -> Labelled:
    """The pairs among the pictures; those that name another one are left out, and counted."""
    ids = pa.array(pictures.sample_ids)
    first, second = (
        pc.index_in(pairs[name], value_set=ids) for name in ("sample_id", "other_sample_id")
    )
    inside = pc.and_(pc.is_valid(first), pc.is_valid(second))
    kept = pairs.filter(inside)
    rows, other_rows = (pc.filter(places, inside).to_numpy() for places in (first, second))
    said = "is_duplicate" in kept.column_names
    is_duplicate = kept["is_duplicate"].to_numpy() if said else None
    lost = pairs.num_rows - kept.num_rows
    note = f"{lost:,} of {pairs.num_rows:,} pairs left out: an image is not embedded, or beyond "
    rule = listed_rule(len(pictures), rows, other_rows, is_duplicate)
    return Labelled(path.name, rule, f"{note}--limit" if lost else None)


def label_column(study: Study, lake: Lake, column: str, pictures: Images) -> Labelled:
    """Images whose rows of the source say the same in a column.

    Raises:
        SourceError: a file of the study has no such column.

    """
    with connect(lake) as connection:
        labelled = replace(study, data=replace(study.data, columns=(column,)))
        try:
            open_source(connection, labelled, lake)
        except SourceError as error:
            raise SourceError(str(error).replace("columns in [data]", "--label-column")) from None
        assert pictures.source is not None, "labels are of pictures of a lake"
        places = pa.array(range(len(pictures)))
        connection.register("chosen", pictures.source.append_column("place", places))
        find = query("evaluate/labels")
        found = read_source(
            connection, labelled, lake, lambda: connection.execute(find).to_arrow_table()
        )
    return Labelled(column, label_rule(found["label"].to_pylist()))


def stored_vectors(study: Study, lake: Lake, path: Path, pictures: Images) -> Vectors:
    """The pictures' vectors in an .npy file whose row i is row i of the study's one source file.

    Raises:
        EvaluationError: no .npy file of as many rows, a row of zeros or NaN, or the source is more
            than one file.

    """
    with connect(lake) as connection:
        files = copy_files(read_source_files(study, connection, lake), study, lake)
    if len(files) != 1:
        raise EvaluationError(
            f"--vectors {path}: row i must be row i of the source, but [data] rows is "
            f"{len(files):,} files; join them"
        )
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise EvaluationError(f"--vectors {path}: not a readable .npy file: {error}") from None
    if vectors.ndim != 2 or len(vectors) != files[0].n_rows or vectors.dtype.kind not in "fiu":
        raise EvaluationError(
            f"--vectors {path}: {vectors.dtype} of shape {vectors.shape}; it takes numbers, a row "
            f"for each of the {files[0].n_rows:,} rows of {files[0].path}"
        )
    assert pictures.source is not None, "stored vectors are of pictures of a lake"
    unit = renormalised(vectors[pictures.source["source_row"].to_numpy()])
    return check_finite(unit, f"--vectors {path}", pictures.sample_ids)
