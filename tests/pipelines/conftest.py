"""Lakes as `embed` leaves them, made without a model."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memtriggers.lance.store import VectorStore
from memtriggers.lance.tables import image_vectors
from memtriggers.pipelines.clip import find_clip
from memtriggers.pipelines.lake import Lake
from memtriggers.pipelines.study import Study

CLIP = '[clip]\nmodel = "ViT-B-32"\npretrained = "openai"\n'


@pytest.fixture
def make_embedded_study(make_study: Callable[..., Study]) -> Callable[..., Study]:
    """A study with a CLIP model that can be named without being loaded."""

    def make(sections: str = "", **sets: dict[str, object]) -> Study:
        return make_study(sections=CLIP + sections, **sets)

    return make


@pytest.fixture
def store_image_vectors(
    lake: Lake, run_stages: Callable[..., None]
) -> Callable[[Study, Sequence[Sequence[float] | None]], list[str]]:
    """Run filter, and store a vector for each sample: that of its row in the source.

    None stands for a vector that is not finite. Returns the sample ids, by source row.
    """

    def store(study: Study, vectors: Sequence[Sequence[float] | None]) -> list[str]:
        run_stages(study, "filter")
        samples = pq.read_table(lake.samples).sort_by("source_row")
        chosen = [vectors[row] for row in samples["source_row"].to_pylist()]
        _append(study, lake, samples["sample_id"].to_pylist(), chosen)
        sample_ids: list[str] = samples["sample_id"].to_pylist()
        return sample_ids

    return store


def _append(
    study: Study, lake: Lake, sample_ids: list[str], vectors: list[Sequence[float] | None]
) -> None:
    dimensions = len(next(vector for vector in vectors if vector is not None))
    table = image_vectors(find_clip(study).clip_id, dimensions)
    halves = [None if v is None else np.asarray(v, np.float16) for v in vectors]
    rows = {
        "sample_id": sample_ids,
        "vector": pa.array(halves, pa.list_(pa.float16(), dimensions)),
        "status": ["not_finite" if v is None else "ok" for v in vectors],
    }
    VectorStore(lake.vectors).append(table, pa.table(rows))


@pytest.fixture
def near() -> Callable[[int, float], npt.NDArray[np.float64]]:
    """A vector whose cosine to the axis `place` is given, and to those of other places 0."""

    def vector(place: int, cosine: float) -> npt.NDArray[np.float64]:
        result = np.zeros(16)
        result[place], result[place + 8] = cosine, np.sqrt(1 - cosine**2)
        return result

    return vector
