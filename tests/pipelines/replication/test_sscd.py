"""SSCD beside CLIP, of whole pictures and of their tiles: partial copies are found by tiles."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
from PIL import Image

from memtriggers.lance.store import VectorStore
from memtriggers.pipelines import score
from memtriggers.pipelines.clip.batches import Batches
from memtriggers.pipelines.clip.copy_model import choose_copy_model
from memtriggers.pipelines.clip.tower import load_copy_model
from memtriggers.pipelines.clusters.edges import renormalised
from memtriggers.pipelines.core.errors import StudyError
from memtriggers.pipelines.core.stamp import Stamp
from memtriggers.pipelines.core.study import Resources, Study
from memtriggers.pipelines.images.tiles import cut_tiles
from memtriggers.pipelines.replication.copy_thresholds import fix_thresholds
from memtriggers.pipelines.replication.partial import SCALES

pytestmark = pytest.mark.filterwarnings(  # all of TorchScript, by torch
    "ignore:.*deprecated.*:FutureWarning", "ignore:.*deprecated.*:DeprecationWarning"
)
STAMP = Stamp({}, {})
SIDE = 64  # pixels of the pictures here

Array = npt.NDArray[np.float64]
Rows = dict[tuple[int, str, str], dict[str, Any]]  # by seed, metric and reference


def sections(descriptor: Path, *metrics: str) -> str:
    sha256 = hashlib.sha256(descriptor.read_bytes()).hexdigest()
    copy_model = f'[copy_model]\npath = "{descriptor}"\nsha256 = "{sha256}"\n'
    return f"{copy_model}[score]\nmetrics = {list(metrics)}\n"


def scored(planted: Any, study: Study) -> Rows:
    score.run(study, planted.lake, STAMP)
    rows = pq.read_table(planted.lake.replication_scores).to_pylist()
    return {(row["seed"], row["metric"], row["reference"]): row for row in rows}


def thresholds_of(planted: Any, number: int) -> dict[tuple[str, str], float]:
    rows = pq.read_table(planted.lake.replication_thresholds).to_pylist()
    return {
        (row["metric"], row["reference"]): row["replication_threshold"]
        for row in rows
        if row["cluster_id"] == planted.name(number)
    }


def test_it_is_the_brute_force_best_of_the_copy_vectors(
    make_planted: Any, generate: Any, store_copies: Any, descriptor: Path
) -> None:
    planted = make_planted(sections(descriptor, "sscd"))
    rng = np.random.default_rng(0)
    training, generated = rng.normal(size=(len(planted.ids), 14)), rng.normal(size=(4, 14))
    copied = list(planted.cluster(0))[5]
    generated[2] = training[copied]
    generate(planted, {planted.prompt_id(0): [None] * 4})
    store_copies(planted, training, generated)
    fix_thresholds(planted.study, planted.lake, STAMP)
    found = scored(planted, planted.study)
    unit = renormalised(training.astype(np.float16)).astype(np.float64)
    asked = renormalised(generated.astype(np.float16)).astype(np.float64)
    for reference, among in (
        ("members", list(planted.cluster(0))),
        ("keyword_set", range(len(planted.ids))),
    ):
        cosines = asked @ unit[among].T
        for seed in range(4):
            row = found[seed, "sscd", reference]
            assert row["score"] == pytest.approx(cosines[seed].max(), abs=2e-3)
            assert row["matched_sample_id"] == planted.ids[among[int(cosines[seed].argmax())]]
    assert len(found) == 4 * 4, "and no other metric"
    assert found[2, "sscd", "members"]["score"] == 1.0
    sha256 = hashlib.sha256(descriptor.read_bytes()).hexdigest()
    assert found[0, "sscd", "medoid"]["model"] == f"{descriptor.name} {sha256[:8]}"
    assert found[0, "sscd", "medoid"]["preprocessing"] == "sscd320"
    limit = thresholds_of(planted, 0)["sscd", "members"]
    others = [*planted.cluster(1), *planted.cluster(2)]
    best = (unit[others] @ unit[list(planted.cluster(0))].T).max(axis=1)
    assert limit == pytest.approx(np.percentile(best, 99), abs=2e-3)


def test_without_a_descriptor_the_key_is_named(make_study: Callable[..., Study]) -> None:
    for metric in ("sscd", "sscd_tiles"):
        with pytest.raises(StudyError, match=rf"score: metrics: '{metric}' .*\[copy_model\] path"):
            make_study(sections=f'[score]\nmetrics = ["clip", "{metric}"]\n')


def blocks(seed: int) -> npt.NDArray[np.uint8]:
    """4 × 4 blocks of strong colours, whose corners the descriptor sees."""
    colours = np.random.default_rng(seed).integers(0, 2, (4, 4, 3)) * 255
    return np.kron(colours, np.ones((SIDE // 4, SIDE // 4, 1))).astype(np.uint8)


def noise(seed: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)


def encoded(pixels: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_quarter_in_noise_is_found_by_tiles_alone(
    make_planted: Any, generate: Any, store_copies: Any, descriptor: Path, cluster: str
) -> None:
    planted = make_planted(
        sections(descriptor, "sscd", "sscd_tiles"),
        pictures=[encoded(blocks(number)) for number in range(100)],
    )
    study = replace(planted.study, resources=Resources(scheduler=cluster))
    row = min(planted.cluster(0), key=planted.ids.__getitem__)  # the first representative
    half, pasted = SIDE // 2, noise(1)
    pasted[half:, half:] = blocks(row)[:half, SIDE // 4 : SIDE // 4 + half]  # at another place
    flat = np.full((SIDE, SIDE, 3), 255, np.uint8)
    made = [encoded(pixels) for pixels in (pasted, noise(2), flat, blocks(row))]
    prompt = planted.prompt_id(0)
    generate(planted, {prompt: [None] * 4}, {(prompt, n): image for n, image in enumerate(made)})
    tower = load_copy_model(choose_copy_model(descriptor), Batches("cpu", 16, 1))
    store_copies(planted, tower.images(planted.pictures), tower.images(made))
    fix_thresholds(study, planted.lake, STAMP)
    found, limits = scored(planted, study), thresholds_of(planted, 0)

    def is_found(seed: int, metric: str) -> bool:
        row = found[seed, metric, "representatives"]
        return bool(row["score"] >= limits[metric, "representatives"])

    assert not is_found(0, "sscd") and is_found(0, "sscd_tiles")
    assert found[0, "sscd_tiles", "representatives"]["matched_sample_id"] == planted.ids[row]
    assert found[0, "sscd_tiles", "representatives"]["score"] == pytest.approx(1, abs=1e-3)
    assert not is_found(1, "sscd") and not is_found(1, "sscd_tiles")
    assert found[2, "sscd_tiles", "representatives"]["score"] == 0.0, "it shows nothing"
    assert found[3, "sscd_tiles", "representatives"]["score"] == 1.0
    assert {key[2] for key in found if key[1] == "sscd_tiles"} == {"medoid", "representatives"}
    said = found[0, "sscd_tiles", "medoid"]["preprocessing"]
    assert said == "sscd320, of 3 × 3 overlapping tiles"

    store = VectorStore(planted.lake.vectors)
    names = [path.stem for path in planted.lake.vectors.iterdir() if "tile" in path.stem]
    assert len(names) == 2
    versions = [store.version(name) for name in names]
    score.run(study, planted.lake, STAMP)
    assert [store.version(name) for name in names] == versions, "no tile is embedded twice"


def test_tiles_are_half_as_wide_and_a_quarter_apart() -> None:
    pixels = noise(0)
    tiles = [np.asarray(tile) for tile in cut_tiles(encoded(pixels), SCALES)]
    corners = [(top, left) for top in (0, 16, 32) for left in (0, 16, 32)]
    for tile, (top, left) in zip(tiles, corners, strict=True):
        assert (tile == pixels[top : top + 32, left : left + 32]).all()
    odd = cut_tiles(encoded(pixels[:7, :1]), SCALES)
    assert [tile.size for tile in odd] == [(1, 3)] * 9
