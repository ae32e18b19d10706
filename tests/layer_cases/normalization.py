"""Normalizations."""

from __future__ import annotations

from layer_cases._case import Case


def cases() -> list[Case]:
    return [
        Case("batch_normalization", "BatchNormalization", {}, "b h w 4"),
        Case("batch_normalization_vector", "BatchNormalization", {"momentum": 0.7, "epsilon": 0.01}, "8 4"),
        Case("batch_normalization_axis", "BatchNormalization", {"axis": 1, "scale": False}, "b 3 w 4"),
        Case("batch_normalization_bare", "BatchNormalization", {"center": False, "scale": False}, "b t 4"),
        Case("batch_normalization_mask", "BatchNormalization", {}, "b t 4", {"mask": "b t:holes"}),
        Case("layer_normalization", "LayerNormalization", {}, "b t 4"),
        Case("layer_normalization_axes", "LayerNormalization", {"axis": [1, 2], "center": False}, "b 5 4 3"),
        Case("layer_normalization_bare", "LayerNormalization", {"center": False, "scale": False}, "b t 4"),
        Case("group_normalization", "GroupNormalization", {"groups": 2}, "b h w 4"),
        Case("group_normalization_each", "GroupNormalization", {"groups": -1, "axis": 1}, "b 3 w 4"),
    ]
