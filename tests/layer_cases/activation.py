"""Activations as layers."""

from __future__ import annotations

from layer_cases._case import Case


def cases() -> list[Case]:
    return [
        Case("activation", "Activation", {"activation": "gelu"}, "b t 4"),
        Case("relu", "ReLU", {}, "b t 4"),
        Case("relu_everything", "ReLU", {"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.3}, "b t 4"),
        Case("leaky_relu", "LeakyReLU", {}, "b t 4"),
        Case("prelu", "PReLU", {}, "b 5"),
        Case("prelu_shared", "PReLU", {"shared_axes": [1, 2]}, "b h w 3"),
        Case("elu", "ELU", {"alpha": 0.7}, "b t 4"),
        Case("softmax", "Softmax", {}, "b t 4"),
        Case("softmax_axis", "Softmax", {"axis": 1}, "b t 4"),
        Case("softmax_mask", "Softmax", {}, "b t", {"mask": "b t:pad"}),
    ]
