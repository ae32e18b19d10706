"""Attention."""

from __future__ import annotations

from layer_cases._case import Case


def cases() -> list[Case]:
    small = {"num_heads": 2, "key_dim": 3}
    everything = {"value": "b s 5", "query_mask": "b t:pad", "value_mask": "b s:holes", "attention_mask": "b t s:holes"}
    return [
        Case("attention", "MultiHeadAttention", small, "b t 4", {"value": "b s 5"}),
        Case(
            "attention_key",
            "MultiHeadAttention",
            {**small, "value_dim": 4},
            "b t 4",
            {"value": "b s 5", "key": "b s 3"},
        ),
        Case(
            "attention_output",
            "MultiHeadAttention",
            {**small, "output_shape": 7, "use_bias": False},
            "b t 4",
            {"value": "b s 5"},
        ),
        Case("attention_causal", "MultiHeadAttention", small, "b t 4", {"value": "b t 4"}, {"use_causal_mask": True}),
        Case("attention_value_mask", "MultiHeadAttention", small, "b t 4", {"value": "b s 4", "value_mask": "b s:pad"}),
        Case(
            "attention_key_mask",
            "MultiHeadAttention",
            small,
            "b t 4",
            {"value": "b s 4", "key": "b s 4", "key_mask": "b s:pad"},
        ),
        # Where nothing may be seen the two differ, on purpose: unidl gives the mean, or what the mask allows.
        Case("attention_masks", "MultiHeadAttention", small, "b t 4", everything, keras=False),
        Case(
            "attention_causal_masked",
            "MultiHeadAttention",
            small,
            "b t 4",
            {"value": "b t 4", "value_mask": "b t:pad"},
            {"use_causal_mask": True, "return_attention_scores": True},
        ),
        Case(
            "attention_scores",
            "MultiHeadAttention",
            small,
            "b t 4",
            {"value": "b s 5"},
            {"return_attention_scores": True},
        ),
        Case(
            "attention_dropout",
            "MultiHeadAttention",
            {**small, "dropout": 0.4},
            "b t 4",
            {"value": "b s 4"},
            random=True,
        ),
    ]
