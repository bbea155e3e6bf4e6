"""How near a prompt is to a training caption: the largest cosine of their CLIP text embeddings."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...lance.store import VectorStore
from ...lance.tables import OK, caption_vectors_name
from ..clip.model import ClipChoice, find_clip
from ..clusters.edges import renormalised
from ..clusters.sample_ids import SampleIds, as_bytes
from ..core.database import connect, query
from ..core.lake import Lake
from ..core.study import Study

Vectors = npt.NDArray[np.float32]
_OK_ROWS = f"status = '{OK}'"
_DECIMALS = 6  # equal captions differ in the last digits: the smallest sample_id decides then


def caption_similarities(
    study: Study, lake: Lake, keyword_sets: Sequence[str], prompts: Sequence[str]
) -> tuple[pa.Array, pa.Array]:
    """The largest cosine of each prompt to a caption of its keyword set, and that caption's sample.

    Args:
        study: names the CLIP model.
        lake: its caption vectors are read, a batch at a time.
        keyword_sets: the set of each of the n prompts.
        prompts: their texts.

    Returns:
        double array (n,) and string array (n,); null where the set has no embedded caption.

    Raises:
        ModelError: the model cannot be loaded.

    """
    store, choice = VectorStore(lake.vectors), find_clip(study)
    name = caption_vectors_name(choice.clip_id)
    best = np.full(len(prompts), -np.inf)
    nearest = np.full(len(prompts), b"", "S32")
    if prompts and store.count(name):
        texts = _embed(choice, prompts)
        groups = {
            keyword_set: (_sample_ids(lake, keyword_set), _places(keyword_sets, keyword_set))
            for keyword_set in set(keyword_sets)
        }
        for batch in store.reader(name, ["sample_id", "vector"], _OK_ROWS):
            ids, vectors = as_bytes(batch["sample_id"]), _unit(batch["vector"])
            for members, places in groups.values():
                is_member = np.isin(ids, members)
                _keep_best(best, nearest, places, ids[is_member], vectors[is_member], texts)
    missing = ~np.isfinite(best)
    return pa.array(best, mask=missing), pa.array(nearest.astype(str), pa.string(), mask=missing)


def _embed(choice: ClipChoice, prompts: Sequence[str]) -> Vectors:
    from dask.system import CPU_COUNT

    from ..clip.encoder import Encoder  # imports torch

    encoder = Encoder(choice, "cpu", batch_size=16, threads=CPU_COUNT)
    return renormalised(encoder.captions(list(prompts)))


def _unit(column: pa.FixedSizeListArray) -> Vectors:
    values = column.flatten().to_numpy()
    return renormalised(values.reshape(len(column), -1))


def _sample_ids(lake: Lake, keyword_set: str) -> SampleIds:
    values = {"matches": str(lake.keyword_matches), "keyword_set": keyword_set}
    with connect(lake) as connection:
        found = connection.execute(query("prompts/sample_ids_of_set"), values).to_arrow_table()
    return as_bytes(found["sample_id"])


def _places(keyword_sets: Sequence[str], keyword_set: str) -> npt.NDArray[np.intp]:
    return np.flatnonzero(np.asarray(keyword_sets) == keyword_set)


def _keep_best(
    best: npt.NDArray[np.float64],
    nearest: SampleIds,
    places: npt.NDArray[np.intp],
    ids: SampleIds,
    vectors: Vectors,
    texts: Vectors,
) -> None:
    """Update the best of the prompts at `places` with the captions of one batch."""
    if not len(ids):
        return
    order = np.argsort(ids)
    cosine = np.round(texts[places] @ vectors[order].T, _DECIMALS)  # (prompts, captions) float32
    first = cosine.argmax(axis=1)  # of equals the one with the smallest sample_id
    found, sample_ids = cosine[np.arange(len(places)), first], ids[order][first]
    is_better = (found > best[places]) | ((found == best[places]) & (sample_ids < nearest[places]))
    best[places[is_better]] = found[is_better]
    nearest[places[is_better]] = sample_ids[is_better]
