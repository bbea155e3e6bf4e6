"""Carlini's adaptive distance beside its formula, and which images surround a picture."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from memtriggers.pipelines import score
from memtriggers.pipelines.core.stamp import Stamp
from memtriggers.pipelines.replication.copy_thresholds import fix_thresholds
from memtriggers.pipelines.replication.pixels import SIDE, Distances, Pixels
from memtriggers.pipelines.replication.references import read_training
from memtriggers.pipelines.replication.surroundings import Surroundings, as_thumbnails

RELATIVE = '[score]\nmetrics = ["clip", "l2_relative"]'
STAMP = Stamp({"score": "1"}, {"generate": "2"})


def random_pixels(n: int, seed: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (n, SIDE, SIDE, 3), np.uint8)


def surroundings_of(pixels: Pixels) -> Surroundings:
    return Surroundings(np.arange(len(pixels), dtype=np.int32), as_thumbnails(pixels))


def relative(surroundings: Surroundings, pictures: Pixels, references: Pixels) -> Distances:
    return surroundings.relative(surroundings.surround(pictures), as_thumbnails(references))


def thumbnail(image: Any) -> Any:
    """16 × 16 × 3 values of 0 to 1, by another library than ours."""
    colours = [Image.fromarray(image[:, :, i].astype(np.float32)) for i in range(3)]
    boxes = [np.asarray(c.resize((16, 16), Image.Resampling.BOX), np.float64) for c in colours]
    return np.stack(boxes, axis=2) / 255


def test_it_is_what_its_formula_says() -> None:
    drawn, references, others = random_pixels(2, 0), random_pixels(3, 1), random_pixels(60, 2)
    found = relative(surroundings_of(others), drawn, references)
    for i, picture in enumerate(drawn):

        def distance(other: Any, picture: Any = picture) -> float:
            return float(np.sqrt(((thumbnail(picture) - thumbnail(other)) ** 2).mean()))

        around = np.mean(sorted(map(distance, others))[:50])
        for j, reference in enumerate(references):
            assert found[i, j] == pytest.approx(distance(reference) / around, rel=1e-6)


def test_neither_the_cluster_nor_the_picture_itself_surrounds_it() -> None:
    training = random_pixels(8, 3)
    members = np.array([0, 1], np.int32)
    picture, others = training[5:6], training[[2, 3, 4, 6, 7]]
    found = relative(surroundings_of(training).without(members), picture, training[:2])
    alone = relative(surroundings_of(others), picture, training[:2])
    assert found.tolist() == alone.tolist()


def test_pictures_that_all_surround_are_compared_with_those_of_any_cluster() -> None:
    """Decoded once for every cluster: the same numbers."""
    training, drawn = random_pixels(70, 5), random_pixels(4, 6)
    whole = surroundings_of(training)
    surrounded = whole.surround(drawn)
    for members in ([0, 1, 2], [40]):
        cluster = whole.without(np.array(members, np.int32))
        once = cluster.relative(surrounded.take(np.array([2, 0])), as_thumbnails(training[members]))
        assert once.tolist() == relative(cluster, drawn[[2, 0]], training[members]).tolist()


def test_a_copy_is_at_0_and_without_surroundings_nothing_is_one() -> None:
    training = random_pixels(3, 4)
    everything = np.arange(3, dtype=np.int32)
    one = everything[:1]
    found = relative(surroundings_of(training).without(one), training[:1], training[:1])
    assert found.tolist() == [[0.0]]
    none = relative(surroundings_of(training).without(everything), training[:1], training[:1])
    assert np.isinf(none).all()


def test_a_blurred_copy_is_nearer_than_its_surroundings_where_all_pictures_are_alike() -> None:
    rng = np.random.default_rng(5)
    common = rng.integers(0, 256, (SIDE, SIDE, 3))
    alike = np.stack([(15 * common + rng.integers(0, 256, common.shape)) // 16 for _ in range(60)])
    pictures = alike.astype(np.uint8)
    small = Image.fromarray(pictures[0]).reduce(8)
    blurred = np.asarray(small.resize((SIDE, SIDE), Image.Resampling.NEAREST))
    around = surroundings_of(pictures).without(np.array([0], np.int32))
    found = relative(around, np.stack([blurred]), pictures[:3])
    assert found[0, 0] < 0.5 < found[0, 1:].min()


def test_score_and_its_threshold(
    make_planted: Callable[..., Any], generate: Callable[..., None]
) -> None:
    planted = make_planted(RELATIVE)
    fix_thresholds(planted.study, planted.lake, STAMP)
    thresholds = pq.read_table(planted.lake.replication_thresholds).to_pylist()
    (fixed,) = {
        (t["replication_threshold"], t["is_distance"], t["reason"].split(";")[0])
        for t in thresholds
        if t["metric"] == "l2_relative"
    }
    assert fixed == (0.5, True, "Carlini's α")
    copied = planted.cluster(1)[3]
    generate(planted, {planted.prompt_id(1): [copied, None]})
    score.run(planted.study, planted.lake, STAMP)
    rows = pq.read_table(planted.lake.replication_scores).to_pylist()
    found = {
        r["seed"]: r
        for r in rows
        if (r["metric"], r["reference"]) == ("l2_relative", "representatives")
    }
    assert found[0]["score"] < 0.5 < found[1]["score"]
    assert found[0]["preprocessing"].endswith("then 16 × 16")


def test_one_image_of_each_cluster_surrounds(
    make_planted: Callable[..., Any],
) -> None:
    planted = make_planted(RELATIVE)
    (surroundings,) = read_training(planted.study, planted.lake).surroundings.values()
    n_clusters, n_alone = 3, 30
    assert len(surroundings.rows) == n_clusters + n_alone
