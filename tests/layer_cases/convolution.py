"""Convolutions."""

from __future__ import annotations

from layer_cases._case import Case


def cases() -> list[Case]:
    cases = [
        Case("conv1d", "Conv1D", {"filters": 4, "kernel_size": 3, "activation": "relu"}, "b t 3"),
        Case(
            "conv1d_causal",
            "Conv1D",
            {"filters": 4, "kernel_size": 3, "padding": "causal", "dilation_rate": 2},
            "b t 3",
        ),
        Case("conv1d_strided", "Conv1D", {"filters": 4, "kernel_size": 2, "strides": 2, "use_bias": False}, "b t 3"),
        Case("conv2d_groups", "Conv2D", {"filters": 4, "kernel_size": 3, "groups": 2, "padding": "same"}, "b h w 4"),
        Case("conv2d_dilated", "Conv2D", {"filters": 4, "kernel_size": [3, 2], "dilation_rate": [2, 1]}, "b h w 3"),
        Case(
            "conv3d", "Conv3D", {"filters": 2, "kernel_size": 2, "strides": [1, 2, 1], "padding": "same"}, "b d h w 2"
        ),
        Case("conv1d_lora", "Conv1D", {"filters": 4, "kernel_size": 3, "padding": "causal", "lora_rank": 2}, "b t 3"),
        Case(
            "conv2d_lora",
            "Conv2D",
            {"filters": 4, "kernel_size": 3, "groups": 2, "lora_rank": 2, "lora_alpha": 3},
            "b h w 4",
        ),
        Case("conv3d_lora", "Conv3D", {"filters": 3, "kernel_size": 2, "lora_rank": 1}, "b d h w 2"),
        Case("depthwise_conv1d", "DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2}, "b t 3"),
        Case("separable_conv1d", "SeparableConv1D", {"filters": 4, "kernel_size": 3, "padding": "same"}, "b t 3"),
        Case("separable_conv2d", "SeparableConv2D", {"filters": 4, "kernel_size": 3, "depth_multiplier": 2}, "b h w 3"),
        Case("conv1d_transpose", "Conv1DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2}, "b t 3"),
        Case(
            "conv3d_transpose",
            "Conv3DTranspose",
            {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"},
            "b d d d 2",
        ),
        Case(
            "conv2d_transpose_output_padding",
            "Conv2DTranspose",
            {"filters": 3, "kernel_size": 3, "strides": 3, "padding": "same", "output_padding": 1},
            "b h w 2",
        ),
    ]
    for padding in ("valid", "same"):
        for strides in (1, 2):
            window = {"kernel_size": 3, "strides": strides, "padding": padding}
            tag = f"{padding}_{strides}"
            cases += [
                Case(f"conv2d_{tag}", "Conv2D", {"filters": 4, **window}, "b h w 3"),
                Case(f"conv2d_even_{tag}", "Conv2D", {"filters": 4, **window, "kernel_size": [2, 4]}, "b h w 3"),
                Case(f"depthwise_conv2d_{tag}", "DepthwiseConv2D", {"depth_multiplier": 2, **window}, "b h w 3"),
                Case(f"conv2d_transpose_{tag}", "Conv2DTranspose", {"filters": 4, **window}, "b h w 3"),
            ]
    return cases
