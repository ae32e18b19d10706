"""Where boxes and arrows go: a layered drawing of a graph without cycles.

Sugiyama, Tagawa & Toda's scheme (IEEE Trans. SMC 11, 1981): ranks by the longest path, invisible points where an edge
passes a rank, orders by barycentres, places by the mean of the neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass
class Layout:
    """A finished drawing; lengths in the unit of the given widths, rank 0 first.

    Attributes:
        across: each item's centre along its rank.
        rank: each item's rank.
        edges: for each edge (parent, child, [(across, rank) of the points between the two]).
        extent: smallest and largest coordinate across, with the boxes' widths.
    """

    across: list[float]
    rank: list[int]
    edges: list[tuple[int, int, list[tuple[float, int]]]]
    extent: tuple[float, float]


def layered(parents: Sequence[Sequence[int]], widths: Sequence[float], gap: float) -> Layout:
    """Lay out items in rows.

    Args:
        parents: for each item the indices of those that feed it, all of them smaller than its own.
        widths: each item's extent along its row.
        gap: least distance between neighbours.
    """
    rank: list[int] = []
    for feeding in parents:
        rank.append(max((rank[p] + 1 for p in feeding), default=0))
    widths, ranks = list(widths), list(rank)
    neighbours: list[list[int]] = [[] for _ in rank]
    edges: list[tuple[int, int, list[int]]] = []
    for child, feeding in enumerate(parents):
        for parent in feeding:
            chain = [parent]
            for row in range(rank[parent] + 1, rank[child]):
                ranks.append(row)
                widths.append(0.0)
                neighbours.append([])
                chain.append(len(ranks) - 1)
            chain.append(child)
            for a, b in zip(chain, chain[1:], strict=False):
                neighbours[a].append(b)
                neighbours[b].append(a)
            edges.append((parent, child, chain[1:-1]))
    rows: list[list[int]] = [[] for _ in range(max(ranks, default=-1) + 1)]
    for node, row in enumerate(ranks):
        rows[row].append(node)
    _order(rows, ranks, neighbours)
    x = _place(rows, ranks, neighbours, widths, gap)
    count = len(rank)
    low = min((x[i] - widths[i] / 2 for i in range(len(x))), default=0.0)
    high = max((x[i] + widths[i] / 2 for i in range(len(x))), default=0.0)
    drawn = [(a, b, [(x[m], ranks[m]) for m in between]) for a, b, between in edges]
    return Layout(x[:count], rank, drawn, (low, high))


def _order(rows: list[list[int]], ranks: list[int], neighbours: list[list[int]], sweeps: int = 8) -> None:
    """Sort each row by the mean position of what its members are connected to, down and up in turns."""
    position = {node: float(i) for row in rows for i, node in enumerate(row)}
    for sweep in range(sweeps):
        step = 1 if sweep % 2 == 0 else -1
        for row in rows[::step]:
            for node in row:
                near = [position[n] for n in neighbours[node] if ranks[n] == ranks[node] - step]
                if near:
                    position[node] = sum(near) / len(near)
            row.sort(key=lambda node: position[node])
            position.update((node, float(i)) for i, node in enumerate(row))


def _place(
    rows: list[list[int]],
    ranks: list[int],
    neighbours: list[list[int]],
    widths: list[float],
    gap: float,
    sweeps: int = 12,
) -> list[float]:
    """Coordinates that keep the rows' orders and distances and pull connected items into line."""
    x = [0.0] * len(ranks)
    for row in rows:
        _spread(row, [0.0] * len(row), x, widths, gap)
    for sweep in range(sweeps):
        step = 1 if sweep % 2 == 0 else -1
        for row in rows[::step]:
            wished = []
            for node in row:
                near = [x[n] for n in neighbours[node] if ranks[n] == ranks[node] - step]
                wished.append(sum(near) / len(near) if near else x[node])
            _spread(row, wished, x, widths, gap)
    return x


def _spread(row: list[int], wished: list[float], x: list[float], widths: list[float], gap: float) -> None:
    """Put a row's items as near to where they want to be as their widths allow."""
    edge: float | None = None
    for node, wish in zip(row, wished, strict=True):
        x[node] = wish if edge is None else max(wish, edge + gap + widths[node] / 2)
        edge = x[node] + widths[node] / 2
    # Pushing only to the right moves the row off its wishes: shift it back by the mean error.
    if row:
        shift = sum(w - x[node] for node, w in zip(row, wished, strict=True)) / len(row)
        for node in row:
            x[node] += shift
