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
        Case("embedding_lora", "Embedding", {"input_dim": 6, "output_dim": 3, "lora_rank": 2}, "b t:int6"),
        Case("reversible", "ReversibleEmbedding", {"input_dim": 6, "output_dim": 3}, "b t:int6"),
        Case("reversed", "ReversibleEmbedding", {"input_dim": 6, "output_dim": 3}, "b t 3", {}, {"reverse": True}),
        Case(
            "reversed_capped",
            "ReversibleEmbedding",
            {"input_dim": 6, "output_dim": 3, "tie_weights": False, "logit_soft_cap": 0.5},
            "b t 3",
            {},
            {"reverse": True},
        ),
        Case("dense_lora", "Dense", {"units": 3, "lora_rank": 2, "activation": "tanh"}, "b t 5"),
        *_einsum(),
        Case("masking", "Masking", {"mask_value": 0.0}, "b t 4", masks=[]),
        Case("rescaling", "Rescaling", {"scale": 0.5, "offset": -1.0}, "b h w 3"),
        Case("rescaling_bytes", "Rescaling", {"scale": 0.5}, "b h w 3:int200"),
        Case("identity", "Identity", {}, "b t 4"),
    ]


def _einsum() -> list[Case]:
    table = [
        ("last", "ab,bc->ac", 3, "c", "b 5"),
        ("sequence", "abc,cd->abd", [None, 3], "d", "b t 5"),
        ("heads", "abc,cde->abde", [None, 2, 3], "de", "b t 5"),
        ("heads_part", "abc,cde->abde", [None, 2, 3], "d", "b t 5"),
        ("back", "abcd,cde->abe", [None, 3], "e", "b t 2 4"),
        ("left", "...c,cde->...de", [2, 3], "e", "b h w 5"),
        ("left_shared", "...bc,bc->...b", [4], None, "b t 4 3"),
        ("right", "bc...,cde->bde...", [2, 3], "d", "b 4 t"),
        ("outer", "ab,c->abc", [None, 3], None, "b t"),
        ("vector", "ab,b->a", [], None, "b 5"),
        ("per_step", "abc,bcd->abd", [4, 3], "bd", "b 4 5"),
    ]
    plain = [
        Case(f"einsum_{name}", "EinsumDense", {"equation": e, "output_shape": shape, "bias_axes": bias}, inputs)
        for name, e, shape, bias, inputs in table
    ]
    low = [
        Case(f"einsum_{name}_lora", "EinsumDense", {"equation": e, "output_shape": shape, "lora_rank": 2}, inputs)
        for name, e, shape, _, inputs in table
        if name in ("last", "heads", "back", "per_step")
    ]
    return plain + low
