"""MXNet's saved networks (``-symbol.json`` and ``.params``): read as models, without MXNet and on any engine."""

from __future__ import annotations

from unidl.interchange.mxnet._errors import MissingOperatorError, MxnetError
from unidl.interchange.mxnet._load import load
from unidl.interchange.mxnet._params import read_params
from unidl.interchange.mxnet._table import register_op

__all__ = ["MissingOperatorError", "MxnetError", "load", "read_params", "register_op"]
