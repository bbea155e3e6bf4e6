"""The largest set of generations that are all alike, pair by pair: a clique of their graph."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Graph = npt.NDArray[np.bool_]

_BRANCHES = 2_000  # looked into before a bound is said instead: about a second for 500 generations


@dataclass(frozen=True)
class Clique:
    """A clique, and how many members the largest may have: exact where it has as many."""

    members: list[int]  # ascending
    upper_bound: int


def largest_clique(alike: Graph) -> Clique:
    """The largest clique of a graph, by branch and bound over greedy colourings.

    No clique has more members than a colouring has colours: E. Tomita and T. Seki, "An efficient
    branch-and-bound algorithm for finding a maximum clique" (2003). Hundreds of vertices may take
    for ever all the same, so after 2,000 branches the answer is the largest clique so far, and the
    bound that the colours of the rest give.

    Args:
        alike: (n, n), symmetric; what is on the diagonal does not count.

    """
    neighbours = _neighbours(alike)
    best: list[int] = []
    chosen: list[int] = []  # chosen[i] led from level i to level i + 1
    candidates = [(1 << len(alike)) - 1]
    levels = [_coloured(candidates[0], neighbours)]
    for _ in range(_BRANCHES):
        while levels and _bound(levels[-1], len(chosen)) <= len(best):
            levels.pop()
            candidates.pop()
            del chosen[-1:]
        if not levels:
            break
        vertex, _ = levels[-1].pop()
        candidates[-1] &= ~(1 << vertex)
        chosen.append(vertex)
        best = max(best, list(chosen), key=len)
        candidates.append(candidates[-1] & neighbours[vertex])
        levels.append(_coloured(candidates[-1], neighbours))
    bounds = [_bound(level, depth) for depth, level in enumerate(levels)]
    return Clique(sorted(best), max([len(best), *bounds]))


def _neighbours(alike: Graph) -> list[int]:
    """The neighbours of each vertex, as the bits of a number."""
    others = alike & ~np.eye(len(alike), dtype=np.bool_)
    packed = np.packbits(others, axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


def _coloured(vertices: int, neighbours: list[int]) -> list[tuple[int, int]]:
    """The vertices of a set and a colour from 1 on for each, ascending; no neighbours share one."""
    coloured, colour = [], 0
    while vertices:
        colour += 1
        free = vertices
        while free:
            vertex = (free & -free).bit_length() - 1
            coloured.append((vertex, colour))
            vertices &= ~(1 << vertex)
            free &= ~(1 << vertex) & ~neighbours[vertex]
    return coloured


def _bound(level: list[tuple[int, int]], n_chosen: int) -> int:
    return n_chosen + (level[-1][1] if level else 0)
