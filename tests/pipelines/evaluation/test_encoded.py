"""One pass over the pictures: all methods see the same copies, which the ids alone decide."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from memtriggers.pipelines.clusters.edges import Vectors, renormalised
from memtriggers.pipelines.core.errors import EvaluationError
from memtriggers.pipelines.evaluation.copies import KINDS
from memtriggers.pipelines.evaluation.encoded import N_CHANGED, ORIGINAL, encode_all
from memtriggers.pipelines.evaluation.images import Images
from memtriggers.pipelines.evaluation.methods import Method


def corners(images: list[bytes]) -> Vectors:
    """Four pixels of each."""
    pixels = [np.asarray(Image.open(io.BytesIO(image)).resize((2, 2))) for image in images]
    return renormalised(np.stack(pixels).reshape(len(images), -1) + 1.0)


PIXELS = Method("pixels", corners)


def pictures(numbers: list[int], stored: Vectors | None = None, n_alike: int = 1) -> Images:
    """Each of another id; `n_alike` that follow each other have the same pixels."""
    encoded = []
    for number in numbers:
        buffer = io.BytesIO()
        colours = np.random.default_rng(number // n_alike).integers(0, 256, (3, 3, 3), np.uint8)
        Image.fromarray(colours).resize((20, 20)).save(buffer, "PNG")
        encoded.append(buffer.getvalue())
    ids = [hashlib.md5(str(number).encode()).hexdigest() for number in numbers]
    vectors = None if stored is None else (stored, stored)
    return Images("pictures", ids, [""] * len(ids), lambda part: encoded[part], vectors)


def test_a_copy_depends_on_the_seed_and_the_id_alone() -> None:
    numbers = list(range(70))
    forth, back = (encode_all(pictures(n), [PIXELS], 0, 2) for n in (numbers, numbers[::-1]))
    for what in (ORIGINAL, *KINDS):
        assert np.array_equal(forth.vectors[what]["pixels"], back.vectors[what]["pixels"][::-1])
    for copies, same_copies in zip(forth.copies, back.copies, strict=True):
        assert np.array_equal(copies["pixels"], same_copies["pixels"][::-1])
    other = encode_all(pictures(numbers), [PIXELS], 1)
    assert np.array_equal(forth.vectors[ORIGINAL]["pixels"], other.vectors[ORIGINAL]["pixels"])
    assert not np.array_equal(forth.copies[0]["pixels"], other.copies[0]["pixels"])


def test_each_set_of_copies_is_another_and_more_of_them_change_nothing() -> None:
    few, more = (encode_all(pictures(list(range(70))), [PIXELS], 0, n) for n in (1, 3))
    assert (len(few.copies), len(more.copies)) == (1, 3)
    first, second, third = (copies["pixels"] for copies in more.copies)
    assert np.array_equal(few.copies[0]["pixels"], first)
    assert not np.array_equal(first, second) and not np.array_equal(second, third)
    for what in (ORIGINAL, *KINDS):
        assert np.array_equal(few.vectors[what]["pixels"], more.vectors[what]["pixels"])


def test_each_sample_is_changed_in_its_own_way() -> None:
    twins = encode_all(pictures([0, 1], n_alike=2), [PIXELS], 0)
    first, second = twins.vectors[ORIGINAL]["pixels"]
    assert np.array_equal(first, second)
    first, second = twins.copies[0]["pixels"]
    assert not np.array_equal(first, second)


def test_only_the_first_pictures_are_changed_in_single_ways() -> None:
    encoded = encode_all(pictures(list(range(N_CHANGED + 30))), [PIXELS], 0)
    assert {len(encoded.vectors[kind]["pixels"]) for kind in KINDS} == {N_CHANGED}
    assert len(encoded.copies[0]["pixels"]) == len(encoded.thumbnails) == N_CHANGED + 30


def test_stored_vectors_are_those_of_the_first_method() -> None:
    stored = np.eye(5, dtype=np.float32)
    found = encode_all(pictures(list(range(5)), stored), [PIXELS, Method("peer", corners)], 0)
    assert list(found.vectors[ORIGINAL]) == ["pixels", "peer"]
    assert np.array_equal(found.vectors[ORIGINAL]["pixels"], stored)
    assert found.copies[0]["pixels"].shape == found.vectors[ORIGINAL]["peer"].shape == (5, 12)
    alone = encode_all(pictures(list(range(5)), stored), [PIXELS], 0)
    assert np.array_equal(alone.vectors[ORIGINAL]["pixels"], stored)


def test_a_vector_without_a_direction_names_its_sample() -> None:
    broken = Method("broken", lambda images: renormalised(np.zeros((len(images), 3))))
    with pytest.raises(EvaluationError, match=r"broken, original: no finite vector of sample cfcd"):
        encode_all(pictures([0, 1]), [PIXELS, broken], 0)
