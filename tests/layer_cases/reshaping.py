"""Reshaping."""

from __future__ import annotations

from layer_cases._case import Case


def cases() -> list[Case]:
    return [
        Case("flatten", "Flatten", {}, "b h 4 3"),
        Case("flatten_known", "Flatten", {}, "b 5 4 3"),
        Case("flatten_vector", "Flatten", {}, "b"),
        Case("flatten_channels_first", "Flatten", {"data_format": "channels_first"}, "b 3 4 2"),
        Case("reshape", "Reshape", {"target_shape": [4, 3]}, "b 2 6"),
        Case("reshape_rest", "Reshape", {"target_shape": [-1, 3]}, "b 2 6"),
        Case("reshape_unknown", "Reshape", {"target_shape": [-1, 2]}, "b t 6"),
        Case("permute", "Permute", {"dims": [3, 1, 2]}, "b h w 3"),
        Case("repeat_vector", "RepeatVector", {"n": 3}, "b 4"),
        Case("zero_padding1d", "ZeroPadding1D", {"padding": [1, 2]}, "b t 3"),
        Case("zero_padding2d", "ZeroPadding2D", {"padding": [[1, 0], [2, 3]]}, "b h w 3"),
        Case("zero_padding3d", "ZeroPadding3D", {"padding": 1}, "b d h w 2"),
        Case("cropping1d", "Cropping1D", {"cropping": [1, 0]}, "b t 3"),
        Case("cropping2d", "Cropping2D", {"cropping": [[1, 2], [0, 1]]}, "b h w 3"),
        Case("cropping3d", "Cropping3D", {}, "b d h w 2"),
        Case("up_sampling1d", "UpSampling1D", {"size": 3}, "b t 3"),
        Case("up_sampling2d", "UpSampling2D", {"size": [2, 3]}, "b h w 3"),
        Case("up_sampling2d_bilinear", "UpSampling2D", {"interpolation": "bilinear"}, "b 5 4 3"),
        Case("up_sampling3d", "UpSampling3D", {}, "b d h w 2"),
        Case(
            "up_sampling2d_bicubic",
            "UpSampling2D",
            {"size": [2, 3], "interpolation": "bicubic"},
            "b 5 4 2",
            tolerance=2e-3,
        ),
    ]
