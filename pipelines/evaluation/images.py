"""The pictures that a model is evaluated on: of the lake, or of the bundled sample."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...lance.store import VectorStore
from ...lance.tables import IMAGES, OK, caption_vectors_name, image_vectors_name
from ..clusters.edges import Vectors, renormalised
from ..core.database import connect, query
from ..core.errors import EvaluationError
from ..core.lake import Lake
from ..images.column import ParquetColumn
from .held_out import is_held_out

_SAMPLE = Path(__file__).resolve().parents[2] / "sample" / "openclipart.parquet"
_RELATIONS = ("stored_images", "image_vectors", "caption_vectors")
_OK_ROWS = f"status = '{OK}'"


@dataclass(frozen=True)
class Images:
    """n pictures, read when they are needed."""

    on: str
    """Where they are from, in words."""
    sample_ids: list[str]
    captions: list[str]
    read: Callable[[slice], list[bytes]]
    """Some of them, encoded."""
    vectors: tuple[Vectors, Vectors] | None = None
    """The stored vectors of images and captions, (n, d) each of unit norm; None: not embedded."""
    series: list[str] | None = None
    """What pictures of one series have in common; None where nothing is known of series."""
    source: pa.Table | None = None
    """source_file and source_row of each."""

    def __len__(self) -> int:
        return len(self.sample_ids)


def sample_pictures(seed: int, limit: int) -> Images:
    """The rows of the bundled sample that its model was not trained on."""
    table = pq.read_table(_SAMPLE, columns=["URL", "TEXT"])
    urls, texts = (column.to_pylist() for column in table.columns)
    rows = [
        (hashlib.md5(f"{url}\x1f{caption}".encode()).hexdigest(), caption, place)
        for place, (url, caption) in enumerate(zip(urls, texts, strict=True))
        if is_held_out(url)
    ]
    rows = sorted(rows, key=lambda row: hashlib.md5(f"{seed}{row[0]}".encode()).digest())[:limit]
    ids, captions, places = map(list, zip(*rows, strict=True))
    images = ParquetColumn(str(_SAMPLE), "jpg")

    def read(part: slice) -> list[bytes]:
        found: dict[int, Any] = {place: images.value(place) for place in sorted(places[part])}
        return [found[place] for place in places[part]]

    # "Star 91pt29step, gramastar, …": of one series are those that only the first part tells apart.
    series = [caption.partition(", ")[2] for caption in captions]
    on = "held-out images of the bundled sample"
    return Images(on, ids, captions, read, series=series)


def lake_pictures(
    lake: Lake, clip_id: str, seed: int, limit: int, named: pa.Array | None = None
) -> Images:
    """At most `limit` embedded samples of the lake, of those whose sample_id is named.

    Raises:
        StoreError: there are no images or no vectors of this model yet.
        EvaluationError: fewer than two samples are embedded.

    """
    store = VectorStore(lake.vectors)
    names = (IMAGES.name, image_vectors_name(clip_id), caption_vectors_name(clip_id))
    with connect(lake) as connection:
        for relation, name in zip(_RELATIONS, names, strict=True):
            connection.register(relation, store.reader(name, ["sample_id", "_rowoffset"], _OK_ROWS))
        nobody = pa.array([], pa.string())
        connection.register("named", pa.table({"sample_id": nobody if named is None else named}))
        values = {"samples": str(lake.samples), "seed": str(seed), "limit": limit}
        values |= {"named_only": named is not None}
        chosen = connection.execute(query("evaluate/images"), values).to_arrow_table()
    if chosen.num_rows < 2:
        raise EvaluationError(
            f"{lake.root}: {chosen.num_rows} images to evaluate {clip_id} on; it takes two at least"
        )
    images, *vectors = (store.dataset(name) for name in names)
    offsets = chosen["image_offset"].to_pylist()

    def read(part: slice) -> list[bytes]:
        found: list[bytes] = images.take(offsets[part], columns=["image"])["image"].to_pylist()
        return found

    return Images(
        "images of this lake",
        chosen["sample_id"].to_pylist(),
        chosen["caption"].to_pylist(),
        read,
        (
            _take_vectors(vectors[0], chosen["image_vector_offset"]),
            _take_vectors(vectors[1], chosen["caption_vector_offset"]),
        ),
        source=chosen.select(["source_file", "source_row"]),
    )


def _take_vectors(dataset: Any, offsets: pa.ChunkedArray) -> Vectors:
    stored = dataset.take(offsets.to_pylist(), columns=["vector"])["vector"].combine_chunks()
    return renormalised(stored.flatten().to_numpy().reshape(len(stored), -1))
