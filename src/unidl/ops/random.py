"""Random ops of the graph. Users call `unidl.random`, which adds seeds and distributions.

`generator` is a :class:`unidl.random.SeedGenerator`. The engine's own generator is used, unless
``UNIDL_PORTABLE_RANDOM=1``: then the host draws, the same on every backend (see `unidl.random`).
"""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.dtypes import dtype_name, floatx
from unidl.ops._declare import Tensor, TensorSpec, composite, primitive, require
from unidl.ops.creation import static_shape


@primitive
def random_uniform(shape: Any, dtype: Any = None, generator: Any = None) -> Tensor:
    """Uniform numbers from [0, 1)."""
    return TensorSpec(static_shape(shape), floatx() if dtype is None else dtype_name(dtype))


@primitive
def random_normal(shape: Any, dtype: Any = None, generator: Any = None) -> Tensor:
    """Numbers from the normal distribution of mean 0 and variance 1."""
    return TensorSpec(static_shape(shape), floatx() if dtype is None else dtype_name(dtype))


@composite(floating=True)
def random_dropout(x: Tensor, rate: float, generator: Any = None) -> Tensor:
    """`x` with each element set to 0 with probability `rate`, the others divided by ``1 - rate``.

    (Srivastava et al., JMLR 15, 2014.)
    """
    from unidl.ops._bind import dtype_of

    require(0 <= rate < 1, f"`rate` must be at least 0 and below 1, not {rate}.")
    keep = ops.greater_equal(random_uniform(ops.shape(x), dtype_of(x), generator), rate)
    return ops.where(keep, ops.multiply(x, 1.0 / (1.0 - rate)), ops.zeros_like(x))
