"""What ONNX has no operator for, in terms of unidl's ops: the entries of the domain "mxnet"."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.interchange.mxnet._writer import DOMAIN
from unidl.interchange.onnx.importing._table import operator


@operator("erfinv", domain=DOMAIN)
def _erfinv(call: Any, x: Any) -> Any:
    return ops.erfinv(x)


@operator("log1p", domain=DOMAIN)
def _log1p(call: Any, x: Any) -> Any:
    return ops.log1p(x)


@operator("expm1", domain=DOMAIN)
def _expm1(call: Any, x: Any) -> Any:
    return ops.expm1(x)


@operator("arctan2", domain=DOMAIN)
def _arctan2(call: Any, y: Any, x: Any) -> Any:
    return ops.arctan2(y, x)
