"""Recall among captions and images: shared captions, ties, and what chance finds."""

import numpy as np
import pytest

from memtriggers.pipelines.clusters.edges import renormalised
from memtriggers.pipelines.evaluation.retrieval import Retrieval, retrieval


def found(rows: list[Retrieval], direction: str) -> list[float]:
    return [row.recall for row in rows if row.direction == direction]


def test_it_is_what_sorting_says() -> None:
    random = np.random.default_rng(0)
    images = renormalised(random.standard_normal((60, 6)))
    texts = renormalised(images + 0.8 * random.standard_normal(images.shape))
    captions = [f"caption {number // 2}" for number in range(60)]
    rows = retrieval(images, texts, captions)
    for direction, queries, items in (
        ("text to image", texts, images),
        ("image to text", images, texts),
    ):
        best = np.argsort(-(queries @ items.T), axis=1)
        hits = [
            np.mean([any(j // 2 == i // 2 for j in order[:k]) for i, order in enumerate(best)])
            for k in (1, 5, 10)
        ]
        assert found(rows, direction) == pytest.approx(hits)
        assert 0 < hits[0] < hits[2] < 1


def test_ties_count_against_the_model() -> None:
    same = np.ones((20, 4), np.float32) / 2
    rows = retrieval(same, same, [str(number) for number in range(20)])
    assert {row.recall for row in rows} == {0.0}


def test_chance_is_that_of_drawing_without_return() -> None:
    same = np.ones((4, 4), np.float32) / 2
    by_chance = {row.k: row.chance for row in retrieval(same, same, ["a", "a", "b", "c"])}
    assert by_chance[1] == pytest.approx((2 / 4 + 2 / 4 + 1 / 4 + 1 / 4) / 4)
    assert by_chance[5] == by_chance[10] == 1.0
    random, captions = np.random.default_rng(0), np.array(list("aabcdefghi"))
    (five,) = (row.chance for row in retrieval(*[np.eye(10, dtype=np.float32)] * 2, list(captions))
               if row.k == 5 and row.direction == "text to image")  # fmt: skip
    drawn = [captions[i] in captions[random.permutation(10)[:5]] for i in range(10)
             for _ in range(2000)]  # fmt: skip
    assert five == pytest.approx(np.mean(drawn), abs=0.01)
