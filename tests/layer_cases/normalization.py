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
        Case("batch_normalization_renorm", "BatchNormalization", {"renorm": True}, "b h w 4"),
        Case(
            "batch_normalization_renorm_clipped",
            "BatchNormalization",
            {
                "renorm": True,
                "renorm_clipping": {"rmax": 1.1, "rmin": 0.9, "dmax": 0.2},
                "renorm_momentum": 0.6,
                "center": False,
            },
            "b t 4",
        ),
        Case(
            "batch_normalization_renorm_mask",
            "BatchNormalization",
            {"renorm": True, "scale": False},
            "b t 4",
            {"mask": "b t:holes"},
        ),
        Case("layer_normalization", "LayerNormalization", {}, "b t 4"),
        Case("layer_normalization_axes", "LayerNormalization", {"axis": [1, 2], "center": False}, "b 5 4 3"),
        Case("layer_normalization_bare", "LayerNormalization", {"center": False, "scale": False}, "b t 4"),
        Case("layer_normalization_unsorted", "LayerNormalization", {"axis": [-1, -2]}, "b t 4 3"),
        Case("layer_normalization_rms", "LayerNormalization", {"rms_scaling": True, "axis": [1, 3]}, "b 3 w 4"),
        Case("rms_normalization", "RMSNormalization", {}, "b t 4"),
        Case("rms_normalization_axes", "RMSNormalization", {"axis": [2, 3], "epsilon": 0.1}, "b t 4 3"),
        Case("unit_normalization", "UnitNormalization", {}, "b t 4"),
        Case("unit_normalization_axes", "UnitNormalization", {"axis": [1, 2]}, "b t w 4"),
        Case("spectral_normalization", "SpectralNormalization", {"layer": ["Dense", {"units": 3}]}, "b t 4"),
        Case(
            "spectral_normalization_conv",
            "SpectralNormalization",
            {"layer": ["Conv2D", {"filters": 3, "kernel_size": 2}], "power_iterations": 3},
            "b h w 4",
        ),
        # Keras casts the outputs to the dtype of the inputs, which are integers.
        Case(
            "spectral_normalization_embedding",
            "SpectralNormalization",
            {"layer": ["Embedding", {"input_dim": 6, "output_dim": 3}]},
            "b t:int6",
            keras=False,
        ),
        Case("group_normalization", "GroupNormalization", {"groups": 2}, "b h w 4"),
        Case("group_normalization_each", "GroupNormalization", {"groups": -1, "axis": 1}, "b 3 w 4"),
    ]
