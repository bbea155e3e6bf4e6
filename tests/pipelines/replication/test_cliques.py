"""The largest clique, beside networkx's on random graphs."""

import networkx
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memtriggers.pipelines.replication.cliques import Graph, largest_clique
from memtriggers.tests.processor import measured


def random_graph(n: int, density: float, seed: int) -> Graph:
    upper = np.triu(np.random.default_rng(seed).random((n, n)) < density, 1)
    return upper | upper.T


@given(n=st.integers(0, 14), density=st.floats(0, 1), seed=st.integers(0, 1000))
def test_it_is_the_largest_that_networkx_finds(n: int, density: float, seed: int) -> None:
    alike = random_graph(n, density, seed)
    found = largest_clique(alike)
    assert all(alike[a, b] for a in found.members for b in found.members if a != b)
    largest = max((len(c) for c in networkx.find_cliques(networkx.Graph(alike))), default=0)
    assert (len(found.members), found.upper_bound) == (largest, largest)


def test_the_copies_among_500_generations_are_found() -> None:
    rng = np.random.default_rng(0)
    copies = np.sort(rng.choice(500, 320, replace=False))
    alike = random_graph(500, 0.02, seed=1)
    alike[np.ix_(copies, copies)] = True
    found = largest_clique(alike)
    assert set(copies) <= set(found.members)
    assert found.upper_bound == len(found.members)


def test_a_hard_graph_gets_a_bound_instead_of_an_hour() -> None:
    with measured() as seconds:
        found = largest_clique(random_graph(400, 0.9, seed=2))
    assert seconds[0] < 60
    assert len(found.members) < found.upper_bound < 400
