"""What each way to curate the rows gains and costs: copies, the concept, and everything else."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from ...lance.store import VectorStore
from ...lance.tables import caption_vectors_name, generated_vectors_name, image_vectors_name
from ...pipelines.clip.model import find_clip
from ...pipelines.lake import Lake
from ...pipelines.replication.pictures import as_matrix
from ...pipelines.study_file import load_study
from ..plant import SHARE, WORD_LEVEL
from .fit import interval
from .lakes import Asked, read_groups, samples_of_captions
from .rates import Generated, read_asks
from .risk import ASKED

Floats = npt.NDArray[np.float64]
Vectors = dict[str, Floats]  # unit norm, by id

UTILITY = "utility"


@dataclass(frozen=True)
class Mitigation:
    """One training on curated rows."""

    arm: str
    n_rows: int  # that were trained on
    replication_rate: float  # over groups with words and copies, of prompts that a user may ask
    ci_low: float  # 95 % of a bootstrap over groups
    ci_high: float
    concept: float  # their images that look most like what their own words came with before
    utility: float  # CLIP cosine of other prompts' images to their captions, above other captions


def measure(arm: str, asked: Asked, base: Asked, generated: Iterable[Generated]) -> Mitigation:
    """Of one run; the lake of the whole rows says what words came with before."""
    rates = group_rates(asked, generated)
    drawn = _by_group(asked, _vectors(asked, generated_vectors_name, "image_id"))
    return Mitigation(
        arm,
        pq.read_metadata(asked.rows).num_rows,
        float(rates.mean()),
        *interval(rates),
        _concept(drawn, _centroids(base)),
        _utility(drawn, base),
    )


def group_rates(asked: Asked, generated: Iterable[Generated]) -> Floats:
    """Of each group that has words and copies, the share of images that are copies, (g,).

    None where curation left no row of a group, so that nothing could be asked.
    """
    copies: dict[str, list[bool]] = defaultdict(list)
    for one in generated:
        if one.prompt_kind in ASKED:
            copies[one.group_id].append(one.is_copy)
    groups = read_groups(asked.plants).values()
    known = [copies[g.group_id] for g in groups if g.kind in (WORD_LEVEL, SHARE)]
    return np.array([np.mean(one) if one else 0.0 for one in known])


Drawn = dict[tuple[str, str, str], list[Floats]]  # by group_id, prompt_kind and prompt


def _by_group(asked: Asked, vectors: Vectors) -> Drawn:
    """The vectors of a run's images."""
    with duckdb.connect(str(asked.lake / "current.duckdb"), read_only=True) as connection:
        found = connection.execute("select image_id, prompt_id from generations").fetchall()
    asks, drawn = read_asks(asked), defaultdict(list)
    for image_id, prompt_id in found:
        ask = asks[prompt_id]
        drawn[ask.group_id, ask.prompt_kind, ask.prompt].append(vectors[image_id])
    return drawn


def _concept(drawn: Drawn, centroids: Vectors) -> float:
    """The share of images whose nearest centroid is that of their own group."""
    names, matrix = list(centroids), np.stack(list(centroids.values()))
    is_own = [
        names[int(best)] == group_id
        for (group_id, prompt_kind, _), vectors in drawn.items()
        if prompt_kind in ASKED and group_id in centroids
        for best in (np.stack(vectors) @ matrix.T).argmax(axis=1)
    ]
    return float(np.mean(is_own))


def _utility(drawn: Drawn, base: Asked) -> float:
    """The mean cosine of images to their own captions, less that to the others'."""
    captions = _vectors(base, caption_vectors_name, "sample_id")
    named = samples_of_captions(base)
    images = {prompt: v for (_, kind, prompt), v in drawn.items() if kind == UTILITY}
    matrix = np.stack([captions[named[prompt]] for prompt in images])
    own, other = [], []
    for place, vectors in enumerate(images.values()):
        cosines = (np.stack(vectors) @ matrix.T).mean(axis=0)
        own.append(cosines[place])
        other.append(np.delete(cosines, place).mean())
    return float(np.mean(own) - np.mean(other))


def _centroids(base: Asked) -> Vectors:
    """The mean vector of the images that each group's words came with."""
    vectors = _vectors(base, image_vectors_name, "sample_id")
    of_groups = defaultdict(list)
    for group_id, sample_id in _samples_of_groups(base):
        of_groups[group_id].append(vectors[sample_id])
    means = {group_id: np.mean(found, axis=0) for group_id, found in of_groups.items()}
    return {group_id: mean / np.linalg.norm(mean) for group_id, mean in means.items()}


def _samples_of_groups(base: Asked) -> list[tuple[str, str]]:
    """Of the groups that have words and copies."""
    found: list[tuple[str, str]] = duckdb.execute(
        "select group_id, md5(url || chr(31) || TEXT) from read_csv($facts) "
        "join read_parquet($rows) using (url) where starts_with(group_id, $word_level) "
        "or starts_with(group_id, $share)",
        {
            "facts": str(base.plants / "rows.csv"),
            "rows": str(base.rows),
            "word_level": WORD_LEVEL,
            "share": SHARE,
        },
    ).fetchall()
    return found


def _vectors(asked: Asked, name: Callable[[str], str], key: str) -> Vectors:
    """A table of vectors of the run's lake."""
    table = name(find_clip(load_study(asked.folder / "study.toml")).clip_id)
    rows = VectorStore(Lake(asked.lake).vectors).dataset(table).to_table([key, "vector"])
    matrix = as_matrix(rows["vector"].combine_chunks()).astype(np.float64)
    return dict(zip(rows[key].to_pylist(), matrix, strict=True))
