"""Clusters have the medoid, and the cosines to it, that all pairs of members give."""

import numpy as np
import pytest

from memtriggers.pipelines.clusters.edges import renormalised
from memtriggers.pipelines.clusters.forest import components, spanning_forest
from memtriggers.pipelines.clusters.medoids import find_clusters


@pytest.mark.parametrize("min_size", [2, 5])
def test_clusters_are_described_as_all_pairs_of_members_say(
    monkeypatch: pytest.MonkeyPatch, min_size: int
) -> None:
    monkeypatch.setattr(
        "memtriggers.pipelines.clusters.medoids._PART", 13
    )  # clusters cross the parts
    random = np.random.default_rng(0)
    centres = random.standard_normal((20, 32))[random.integers(0, 20, 150)]
    unit = renormalised((centres + 0.3 * random.standard_normal((150, 32))).astype(np.float32))
    component = components(spanning_forest(unit, [0.9]), 150, 0.9)
    found = find_clusters(unit, component, min_size)
    expected = [c for c in np.unique(component) if (component == c).sum() >= min_size]
    assert found.smallest.tolist() == expected
    for position, smallest in enumerate(expected):
        members = np.flatnonzero(component == smallest)
        wide = unit[members].astype(np.float64)
        cosine = wide @ wide.T
        medoid = np.argmax(np.round(cosine.sum(axis=1), 6))
        assert found.size[position] == len(members)
        assert found.medoid[position] == members[medoid]
        assert found.cosine_mean[position] == pytest.approx(cosine[medoid].mean(), abs=1e-6)
        assert found.cosine_min[position] == pytest.approx(cosine[medoid].min(), abs=1e-6)
        assert (found.cluster[members] == smallest).all()
        assert (found.representative[members] == members[medoid]).all()
        assert found.cosine_to_medoid[members] == pytest.approx(cosine[medoid], abs=1e-6)
    alone = np.setdiff1d(np.arange(150), np.flatnonzero(np.isin(component, expected)))
    assert len(alone)
    assert (found.cluster[alone] == -1).all()
    assert (found.representative[alone] == alone).all()
    assert (found.cosine_to_medoid[alone] == 1.0).all()


def test_of_two_members_the_first_is_the_medoid() -> None:
    random = np.random.default_rng(1)
    first = random.standard_normal((500, 64))
    unit = renormalised(np.concatenate([first, first + 0.1 * random.standard_normal((500, 64))]))
    found = find_clusters(unit, np.tile(np.arange(500, dtype=np.int32), 2), 2)
    assert found.medoid.tolist() == list(range(500))
    assert (found.cosine_to_medoid[:500] == 1.0).all()


@pytest.mark.parametrize("min_size", [2, 4])
@pytest.mark.parametrize("reach", [0.8, 0.9])
def test_what_lies_below_the_reach_is_split_off_by_the_same_rule(
    min_size: int, reach: float
) -> None:
    random = np.random.default_rng(0)
    walk = np.cumsum(0.16 * random.standard_normal((120, 16)), axis=0) + random.standard_normal(16)
    unit = renormalised(walk.astype(np.float32))[random.permutation(120)]
    component = components(spanning_forest(unit, [reach]), 120, reach)
    found = find_clusters(unit, component, min_size, reach)
    wide = unit.astype(np.float64)
    cosine = wide @ wide.T
    expected = {}
    for smallest in np.unique(component):
        left = np.flatnonzero(component == smallest)
        while len(left) >= min_size:
            own = cosine[np.ix_(left, left)]
            medoid = np.argmax(np.round(own.sum(axis=1), 6))
            near = own[medoid] >= reach
            if near.sum() >= min_size:
                expected[int(left[near][0])] = (int(left[medoid]), left[near].tolist())
            left = left[~near]
    assert found.smallest.tolist() == sorted(expected)
    assert len(expected) > len(np.unique(component[found.smallest]))  # there were chains
    for place, smallest in enumerate(found.smallest.tolist()):
        medoid, members = expected[smallest]
        assert np.flatnonzero(found.cluster == smallest).tolist() == members
        assert (found.medoid[place], found.size[place]) == (medoid, len(members))
        assert (found.representative[members] == medoid).all()
        assert found.cosine_min[place] == pytest.approx(cosine[medoid, members].min())
    assert (found.cosine_min >= reach).all()


def test_a_threshold_of_one_splits_to_an_end() -> None:
    unit = renormalised(np.random.default_rng(0).standard_normal((9, 4)).astype(np.float32))
    found = find_clusters(unit, np.zeros(9, np.int32), 2, 1.0)
    assert len(found.smallest) == 0
    assert (found.cluster == -1).all()
