"""What each way to curate the rows gains and costs: copies, the concept, and everything else."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ...lance.store import VectorStore
from ...lance.tables import caption_vectors_name, generated_vectors_name, image_vectors_name
from ...pipelines.clip.model import find_clip
from ...pipelines.core.lake import Lake
from ...pipelines.core.study_file import load_study
from ...pipelines.replication.compared import as_matrix
from ..plant import SHARE, WORD_LEVEL
from .fit import N_BOOTSTRAPS, interval
from .lakes import GUIDANCE, N_SEEDS, Asked, Scanned
from .rates import read_asks
from .risk import ASKED

Floats = npt.NDArray[np.float64]
Vectors = dict[str, Floats]  # unit norm, by id

UTILITY = "utility"


@dataclass(frozen=True)
class Cost:
    """What one training on curated rows still knows."""

    n_rows: int  # that were trained on
    concept: float  # images that look most like what their own words came with before
    utility: float  # CLIP cosine of other prompts' images to their captions, above other captions


def measure(asked: Asked, scanned: Scanned) -> Cost:
    """Of one run; the lake of the whole rows says what words came with before."""
    drawn = _by_group(asked, _vectors(asked, generated_vectors_name, "image_id"))
    return Cost(
        pq.read_metadata(asked.rows).num_rows,
        _concept(drawn, _centroids(scanned)),
        _utility(drawn, scanned),
    )


@dataclass(frozen=True)
class Mitigation:
    """How much of the copying one way to curate the rows leaves."""

    replication_rate: float  # over groups with words and copies, of prompts that a user may ask
    ci_low: float  # 95 % of a bootstrap over groups
    ci_high: float
    left: float  # that rate over the rate without curation
    left_low: float  # the same bootstrap, groups paired
    left_high: float


def compare_rates(rates: Floats, before: Floats) -> Mitigation:
    """Of g groups, the rates of a run and those of the run without curation."""
    drawn = np.random.default_rng(0).integers(len(rates), size=(N_BOOTSTRAPS, len(rates)))
    left = rates[drawn].mean(axis=1) / before[drawn].mean(axis=1)
    low, high = np.percentile(left, [2.5, 97.5])
    return Mitigation(
        float(rates.mean()),
        *interval(rates),
        float(rates.mean() / before.mean()),
        float(low),
        float(high),
    )


def rows_to_halve(points: Sequence[tuple[int, float]]) -> float | None:
    """The rows removed at which half of the copying is left, by straight lines between the points.

    Args:
        points: (rows removed, what is left), the first of them (0, 1).

    Returns:
        None where as much as was tried leaves more than half.

    """
    ordered = sorted(points)
    for (n, left), (more, less) in pairwise(ordered):
        if less <= 0.5 < left:
            return n + (more - n) * (left - 0.5) / (left - less)
    return None


def group_rates(plants: Path, images: pa.Table) -> Floats:
    """Of each group that has words and copies, the share of images that are copies, (g,).

    Of the seeds that every run has; 0 where curation left no row of a group, so that nothing could
    be asked.
    """
    with duckdb.connect() as connection:
        connection.register("images", images)
        found = connection.execute(
            """
            select coalesce(avg(is_copy::int), 0) as rate
            from read_csv($groups) as groups
            left join images
                on images.group_id = groups.group_id
                and list_contains($asked, prompt_kind)
                and guidance_scale = $guidance
                and seed < $n_seeds
            where list_contains($kinds, kind)
            group by groups.group_id
            order by groups.group_id
            """,
            {
                "groups": str(plants / "groups.csv"),
                "asked": list(ASKED),
                "guidance": GUIDANCE[0],
                "n_seeds": N_SEEDS // 2,
                "kinds": [WORD_LEVEL, SHARE],
            },
        ).fetchnumpy()
    rates: Floats = found["rate"]
    return rates


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


def _utility(drawn: Drawn, scanned: Scanned) -> float:
    """The mean cosine of images to their own captions, less that to the others'."""
    captions = _vectors(scanned, caption_vectors_name, "sample_id")
    named = _samples_of_captions(scanned)
    images = {prompt: v for (_, kind, prompt), v in drawn.items() if kind == UTILITY}
    matrix = np.stack([captions[named[prompt]] for prompt in images])
    own, other = [], []
    for place, vectors in enumerate(images.values()):
        cosines = (np.stack(vectors) @ matrix.T).mean(axis=0)
        own.append(cosines[place])
        other.append(np.delete(cosines, place).mean())
    return float(np.mean(own) - np.mean(other))


def _centroids(scanned: Scanned) -> Vectors:
    """The mean vector of the images that each group's words came with."""
    vectors = _vectors(scanned, image_vectors_name, "sample_id")
    of_groups = defaultdict(list)
    for group_id, sample_id in _samples_of_groups(scanned):
        of_groups[group_id].append(vectors[sample_id])
    means = {group_id: np.mean(found, axis=0) for group_id, found in of_groups.items()}
    return {group_id: mean / np.linalg.norm(mean) for group_id, mean in means.items()}


def _samples_of_groups(scanned: Scanned) -> list[tuple[str, str]]:
    """Of the groups that have words and copies."""
    found: list[tuple[str, str]] = duckdb.execute(
        "select group_id, md5(url || chr(31) || TEXT) from read_csv($facts) "
        "join read_parquet($rows) using (url) where starts_with(group_id, $word_level) "
        "or starts_with(group_id, $share)",
        {
            "facts": str(scanned.plants / "rows.csv"),
            "rows": str(scanned.rows),
            "word_level": WORD_LEVEL,
            "share": SHARE,
        },
    ).fetchall()
    return found


def _vectors(scanned: Scanned, name: Callable[[str], str], key: str) -> Vectors:
    """A table of vectors of the run's lake."""
    table = name(find_clip(load_study(scanned.study)).clip_id)
    rows = VectorStore(Lake(scanned.lake).vectors).dataset(table).to_table([key, "vector"])
    matrix = as_matrix(rows["vector"].combine_chunks()).astype(np.float64)
    return dict(zip(rows[key].to_pylist(), matrix, strict=True))


def _samples_of_captions(scanned: Scanned) -> dict[str, str]:
    """The sample_id of a row that has each caption."""
    found = duckdb.execute(
        "select TEXT, min(md5(url || chr(31) || TEXT)) from read_parquet($rows) group by TEXT",
        {"rows": str(scanned.rows)},
    ).fetchall()
    return dict(found)
