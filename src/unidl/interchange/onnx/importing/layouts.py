"""onnxruntime's operators on images whose channels come last, and its other variants of windows."""

from __future__ import annotations

import dataclasses
from typing import Any

from unidl import ops
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import MICROSOFT, operator
from unidl.interchange.onnx.importing.quantized import qlinear_conv
from unidl.interchange.onnx.importing.windows import conv_transpose, max_pool


@operator("QLinearConv", domain=MICROSOFT)
def _qlinear_conv(
    call: Call, x: Any, x_scale: Any, xz: Any, w: Any, w_scale: Any, wz: Any, y_scale: Any, yz: Any, bias: Any = None
) -> Any:
    """As the standard's, but the channels of data (not of weights) may come last."""
    last = call.get("channels_last", 0)
    x = ops.moveaxis(x, -1, 1) if last else x
    y = qlinear_conv(call, x, x_scale, xz, w, w_scale, wz, y_scale, yz, bias)
    return ops.moveaxis(y, 1, -1) if last else y


@operator("NhwcMaxPool", domain=MICROSOFT)
def _nhwc_max_pool(call: Call, x: Any) -> Any:
    return ops.moveaxis(max_pool(call, ops.moveaxis(x, -1, 1)), 1, -1)


@operator("ConvTransposeWithDynamicPads", domain=MICROSOFT)
def _conv_transpose_with_dynamic_pads(call: Call, x: Any, kernel: Any, pads: Any = None, bias: Any = None) -> Any:
    """As ConvTranspose, but the pads are an input."""
    if pads is not None:
        attributes = {**call.node.attributes, "pads": call.integers(pads, "the pads")}
        call.node = dataclasses.replace(call.node, attributes=attributes)
    return conv_transpose(call, x, kernel, bias)
