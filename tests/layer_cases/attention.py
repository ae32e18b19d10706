"""Attention."""

from __future__ import annotations

from layer_cases._case import Case


def cases() -> list[Case]:
    return [*_plain(), *_heads(), *_many_axes(), *_grouped()]


def _plain() -> list[Case]:
    two, three = ["b t 4", "b s 4"], ["b t 4", "b s 3", "b s 4"]
    scores, causal = {"return_attention_scores": True}, {"use_causal_mask": True}
    masks = {"mask": ["b t:pad", "b s:holes"]}
    return [
        Case("dot", "Attention", {}, two),
        Case("dot_key", "Attention", {"use_scale": True}, three),
        Case("dot_scores", "Attention", {"use_scale": True}, two, {}, scores),
        Case("dot_causal", "Attention", {}, two, {}, causal),
        Case("dot_causal_scores", "Attention", {}, two, {}, {**causal, **scores}),
        Case("dot_masks", "Attention", {}, two, masks),
        Case("dot_masks_scores", "Attention", {}, two, masks, scores),
        Case("dot_image", "Attention", {"use_scale": True}, ["b h w 4", "b h t 4"]),
        Case("dot_volume", "Attention", {}, ["b d h w 4", "b d h t 4"]),
        Case("dot_concat", "Attention", {"score_mode": "concat"}, three),
        Case("dot_concat_scale", "Attention", {"score_mode": "concat", "use_scale": True}, two, masks, scores),
        Case("dot_dropout", "Attention", {"dropout": 0.4}, two, random=True),
        Case("additive", "AdditiveAttention", {}, three),
        Case("additive_plain", "AdditiveAttention", {"use_scale": False}, two, {}, causal),
        Case("additive_masks", "AdditiveAttention", {}, two, masks, scores),
        Case("additive_dropout", "AdditiveAttention", {"dropout": 0.4}, two, random=True),
    ]


def _heads() -> list[Case]:
    name, small, query, value = "MultiHeadAttention", {"num_heads": 2, "key_dim": 3}, "b t 4", {"value": "b s 5"}
    everything = {"value": "b s 5", "query_mask": "b t:pad", "value_mask": "b s:holes", "attention_mask": "b t s:holes"}
    scores, causal, own = {"return_attention_scores": True}, {"use_causal_mask": True}, {"value": "b t 4"}
    return [
        Case("attention", name, small, query, value),
        Case("attention_key", name, {**small, "value_dim": 4}, query, {"value": "b s 5", "key": "b s 3"}),
        Case("attention_output", name, {**small, "output_shape": 7, "use_bias": False}, query, value),
        Case("attention_outputs", name, {**small, "output_shape": [3, 2]}, query, value),
        Case("attention_gate", name, {**small, "value_dim": 4, "use_gate": True}, query, value),
        Case("attention_causal", name, small, query, own, causal),
        Case("attention_window", name, {**small, "sliding_window": 2}, query, own),
        Case("attention_window_causal", name, {**small, "sliding_window": 2}, query, own, {**causal, **scores}),
        Case("attention_value_mask", name, small, query, {"value": "b s 4", "value_mask": "b s:pad"}),
        Case("attention_key_mask", name, small, query, {"value": "b s 4", "key": "b s 4", "key_mask": "b s:pad"}),
        # Where nothing may be seen the two differ, on purpose: unidl gives the mean, or what the mask allows.
        Case("attention_masks", name, small, query, everything, keras=False),
        Case(
            "attention_causal_masked",
            name,
            small,
            query,
            {"value": "b t 4", "value_mask": "b t:pad"},
            {**causal, **scores},
        ),
        Case("attention_scores", name, small, query, value, scores),
        Case("attention_dropout", name, {**small, "dropout": 0.4}, query, {"value": "b s 4"}, random=True),
    ]


def _many_axes() -> list[Case]:
    name, scores = "MultiHeadAttention", {"return_attention_scores": True}

    def settings(axes: object) -> dict[str, object]:
        return {"num_heads": 2, "key_dim": 3, "attention_axes": axes}

    return [
        Case("attention_image", name, settings(None), "b h w 4", {"value": "b t s 5"}),
        Case("attention_image_scores", name, settings([1, 2]), "b h w 4", {"value": "b t s 5"}, scores),
        Case("attention_rows", name, settings(1), "b t w 4", {"value": "b s w 4"}, scores),
        Case("attention_columns", name, settings(-2), "b h t 4", {"value": "b h s 4"}),
        Case(
            "attention_columns_masked",
            name,
            settings([2]),
            "b h t 4",
            {"value": "b h s 4", "attention_mask": "b t s:holes"},
            scores,
        ),
        Case("attention_volume", name, settings([2, 3]), "b d h w 4", {"value": "b d t s 4"}),
    ]


def _grouped() -> list[Case]:
    name, small = "GroupQueryAttention", {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}
    query, value, own = "b t 4", {"value": "b s 4"}, {"value": "b t 4"}
    scores, causal = {"return_attention_scores": True}, {"use_causal_mask": True}
    return [
        Case("grouped", name, small, query, value),
        Case("grouped_key", name, {**small, "use_bias": False}, query, {"value": "b s 4", "key": "b s 3"}),
        Case("grouped_multi_query", name, {**small, "num_key_value_heads": 1}, query, value, scores),
        Case("grouped_gate", name, {**small, "use_gate": True}, query, value),
        Case("grouped_causal", name, small, query, own, causal),
        Case("grouped_window", name, {**small, "sliding_window": 2}, query, own, {**causal, **scores}),
        Case("grouped_mask", name, small, query, {"value": "b s 4", "value_mask": "b s:pad"}, scores),
        Case("grouped_dropout", name, {**small, "dropout": 0.4}, query, value, random=True),
    ]
