"""Merging."""

from __future__ import annotations

from layer_cases._case import Case


def cases() -> list[Case]:
    pair = ["b t 4", "b t 4"]
    return [
        Case("add", "Add", {}, [*pair, "b t 4"], masks=["b t:pad", "b t:pad", "b t:holes"]),
        Case("add_broadcast", "Add", {}, ["b t 4", "b 1 4"], masks=["b t:pad", None]),
        Case("add_ranks", "Add", {}, ["b t 4", "b 4"]),
        Case("subtract", "Subtract", {}, pair),
        Case("multiply", "Multiply", {}, pair),
        Case("average", "Average", {}, pair),
        Case("maximum", "Maximum", {}, pair),
        Case("minimum", "Minimum", {}, pair),
        Case("concatenate", "Concatenate", {}, ["b t 4", "b t 3"], masks=["b t:pad", None]),
        Case("concatenate_time", "Concatenate", {"axis": 1}, ["b t 4", "b s 4"], masks=["b t:pad", "b s:holes"]),
        Case("dot_vectors", "Dot", {"axes": 1}, ["b 4", "b 4"]),
        Case("dot_matrices", "Dot", {"axes": [2, 1]}, ["b t 4", "b 4 3"]),
        Case("dot_same", "Dot", {"axes": -1, "normalize": True}, ["b t 4", "b s 4"]),
    ]
