"""search: the samples whose images are nearest to a text or to an image."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from ...lance.store import VectorStore
from ...lance.tables import image_vectors_name
from ..clip.model import ClipChoice, find_clip
from ..core.database import connect, query
from ..core.errors import MissingExtra, SourceError, store_errors
from ..core.lake import Lake
from ..core.masking import mask
from ..core.study import Study
from ..core.terminal import print_table

_MARGIN = 4  # the store keeps samples that left the study: so many times as many are looked at

Vector = npt.NDArray[np.float32]
Found = list[dict[str, Any]]


def print_search(
    study: Study, lake: Lake, text: str | None, image: Path | None, limit: int, as_json: bool
) -> None:
    """Print the nearest samples as a table or as one JSON document."""
    rows = search(study, lake, text, image, limit)
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    cells = [
        (f"{row['cosine']:.4f}", row["sample_id"], row["caption"], mask(row["url"] or ""))
        for row in rows
    ]
    print_table(["cosine", "sample_id", "caption", "url"], cells)


@store_errors()
def search(
    study: Study,
    lake: Lake,
    text: str | None = None,
    image: Path | bytes | None = None,
    limit: int = 10,
    name: str = "the image",
) -> Found:
    """The `limit` samples with the largest cosine to a text or an image: one of them is given.

    An image is a file, or what would be in it and a `name` for it. The model is loaded once.

    Returns:
        Rows (cosine, sample_id, caption, url), the most similar first. The cosine is that of the
        stored float16 vector, renormalised in float32.

    Raises:
        LakeError: nothing is embedded yet.
        ModelError: the model cannot be loaded.
        SourceError: the image cannot be read.
        MissingExtra: torch or Lance is not installed.

    """
    choice, vectors = check_search(study, lake)
    from ..clip.encoder import load_encoder

    encoder = load_encoder(choice, "cpu", batch_size=1, threads=1)
    if isinstance(image, Path):
        image, name = _read(image), str(image)
    if image is not None:
        wanted = encoder.images([_stored(image, name, study)])[0]
    else:
        wanted = encoder.captions([text or ""])[0]
    found = VectorStore(lake.vectors).nearest(vectors, wanted, _MARGIN * limit)
    with connect(lake) as connection:
        connection.register("found", found)
        values = {"samples": str(lake.samples), "limit": limit}
        rows: Found = (
            connection.execute(query("search/nearest_samples"), values).to_arrow_table().to_pylist()
        )
    return rows


@store_errors()
def check_search(study: Study, lake: Lake) -> tuple[ClipChoice, str]:
    """The model that is searched by and the table of its vectors, before it is loaded for nothing.

    Raises:
        LakeError: nothing is embedded yet, or the lake is of an older format.
        ModelError: the model cannot be found.
        MissingExtra: torch or Lance is not installed.

    """
    lake.require_today()
    choice = find_clip(study)
    name = image_vectors_name(choice.clip_id)
    VectorStore(lake.vectors).version(name)
    for package in ("lancedb", "torch", "open_clip", "dask"):
        if find_spec(package) is None:
            raise MissingExtra(
                f"search needs the package {package}; install: pip install 'memtriggers[embed]'"
            )
    return choice, name


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None


def _stored(image: bytes, name: str, study: Study) -> bytes:
    """The image as `fetch` would have stored it, so that a copy has a cosine of 1."""
    from ..images.decoders import start_decoders
    from ..images.rows import Refused

    try:
        with start_decoders(study.fetch, 1) as decoders:
            return decoders.store(image).image
    except Refused as refused:
        raise SourceError(f"{name}: {refused.status}: {refused.reason}") from None
