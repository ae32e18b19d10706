"""Dropout, noise, penalties."""

from __future__ import annotations

from layer_cases._case import Case


def cases() -> list[Case]:
    return [
        Case("dropout", "Dropout", {"rate": 0.4}, "b t 4", random=True),
        Case("dropout_shape", "Dropout", {"rate": 0.4, "noise_shape": [None, 1, None]}, "b t 4", random=True),
        Case("dropout_nothing", "Dropout", {"rate": 0.0}, "b t 4"),
        Case("alpha_dropout", "AlphaDropout", {"rate": 0.4}, "b t 4", random=True),
        Case("alpha_dropout_shape", "AlphaDropout", {"rate": 0.4, "noise_shape": [None, 1, 4]}, "b t 4", random=True),
        Case("spatial_dropout1d", "SpatialDropout1D", {"rate": 0.4}, "b t 4", random=True),
        Case("spatial_dropout2d", "SpatialDropout2D", {"rate": 0.4}, "b h w 4", random=True),
        Case("spatial_dropout3d", "SpatialDropout3D", {"rate": 0.4}, "b d h w 4", random=True),
        Case("gaussian_noise", "GaussianNoise", {"stddev": 0.4}, "b t 4", random=True),
        Case("gaussian_dropout", "GaussianDropout", {"rate": 0.4}, "b t 4", random=True),
        Case("activity_regularization", "ActivityRegularization", {"l1": 0.1, "l2": 0.2}, "b 4"),
    ]
