"""Dense, Embedding and other layers of their own kind."""

from __future__ import annotations

from layer_cases._case import Case


def cases() -> list[Case]:
    return [
        Case("dense", "Dense", {"units": 3, "activation": "relu"}, "b 5"),
        Case("dense_no_bias", "Dense", {"units": 3, "use_bias": False}, "b 5"),
        Case("dense_sequence", "Dense", {"units": 3, "activation": "softmax"}, "b t 5"),
        Case("dense_image", "Dense", {"units": 3}, "b h w 5"),
        Case("embedding", "Embedding", {"input_dim": 6, "output_dim": 3}, "b t:int6"),
        Case("embedding_mask", "Embedding", {"input_dim": 6, "output_dim": 3, "mask_zero": True}, "b t:int6", masks=[]),
        Case("masking", "Masking", {"mask_value": 0.0}, "b t 4", masks=[]),
        Case("rescaling", "Rescaling", {"scale": 0.5, "offset": -1.0}, "b h w 3"),
        Case("rescaling_bytes", "Rescaling", {"scale": 0.5}, "b h w 3:int200"),
        Case("identity", "Identity", {}, "b t 4"),
    ]
