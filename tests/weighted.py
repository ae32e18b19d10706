"""A number made of all elements of outputs, for gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops, tree
from unidl.backend import active


def weighted_sum(outputs: Any) -> Any:
    """A number that depends on every output element in a way of its own."""
    total: Any = 0.0
    for output in tree.flatten(outputs):
        size = int(np.prod(active.shape(output)))
        factors = np.cos(np.arange(size, dtype="float32")).reshape(active.shape(output))
        total = total + ops.sum(ops.multiply(output, factors))
    return total
