"""Decompositions and solutions of linear systems."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.backend.host import HOST
from unidl_numpy.kernel import kernels


def pinv(x: np.ndarray, rcond: Any = None) -> Any:
    from unidl.ops.solving import cutoff

    return HOST["pinv"](x, cutoff(rcond, x))


TABLE: dict[str, Any] = kernels(HOST | {"pinv": pinv})
