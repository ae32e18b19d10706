"""Random ops of the graph. Users call `unidl.random`, which adds seeds and distributions.

`generator` is a :class:`unidl.random.SeedGenerator`. The engine's own generator is used, unless
``UNIDL_PORTABLE_RANDOM=1``: then the host draws, the same on every backend (see `unidl.random`).
"""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.dtypes import dtype_name, floatx, is_float
from unidl.ops._declare import Tensor, TensorSpec, broadcast, composite, need_dtype, primitive, require
from unidl.ops.creation import static_shape


def _spec(shape: Any, dtype: Any, **parameters: Any) -> TensorSpec:
    dims = static_shape(shape)
    require(all(d is None or d >= 0 for d in dims), f"`shape` {dims} has a negative size.")
    name = floatx() if dtype is None else dtype_name(dtype)
    require(is_float(name), f"`dtype` is {name}; a float dtype is expected.")
    for what, x in parameters.items():
        need_dtype(x, what, "floating")
        have = tuple(x.shape)
        fits = len(have) <= len(dims) and all(
            None in (n, d) or d in (1, n) for n, d in zip(reversed(dims), reversed(have), strict=False)
        )
        require(fits, f"`{what}` of shape {list(have)} does not broadcast to `shape` {list(dims)}.")
    broadcast(*(tuple(x.shape) for x in parameters.values()))
    return TensorSpec(dims, name)


@primitive(checked=True)
def random_uniform(shape: Any, dtype: Any = None, generator: Any = None) -> Tensor:
    """Uniform numbers from [0, 1).

    Example:
        >>> from unidl.ops.random import random_uniform
        >>> tuple(random_uniform((2, 3)).shape)
        (2, 3)
    """
    return _spec(shape, dtype)


@primitive(checked=True)
def random_normal(shape: Any, dtype: Any = None, generator: Any = None) -> Tensor:
    """Numbers from the normal distribution of mean 0 and variance 1.

    Example:
        >>> from unidl.ops.random import random_normal
        >>> tuple(random_normal((2, 3)).shape)
        (2, 3)
    """
    return _spec(shape, dtype)


@primitive(floating=True, checked=True)
def random_gamma(shape: Any, alpha: Tensor, dtype: Any = None, generator: Any = None) -> Tensor:
    """Numbers from the gamma distributions of shapes `alpha`, which broadcasts to `shape`, and scale 1.

    Example:
        >>> from unidl.ops.random import random_gamma
        >>> tuple(random_gamma((2, 3), [1.0, 2.0, 3.0]).shape)
        (2, 3)
    """
    return _spec(shape, dtype, alpha=alpha)


@primitive(floating=True, checked=True)
def random_binomial(
    shape: Any, counts: Tensor, probabilities: Tensor, dtype: Any = None, generator: Any = None
) -> Tensor:
    """How many of `counts` trials succeed, each with one of `probabilities`; both broadcast to `shape`.

    Example:
        >>> from unidl import ops
        >>> from unidl.ops.random import random_binomial
        >>> print(ops.convert_to_numpy(random_binomial((2,), 10, [0.0, 1.0])))
        [ 0. 10.]
    """
    return _spec(shape, dtype, counts=counts, probabilities=probabilities)


@composite(floating=True)
def random_dropout(x: Tensor, rate: float, generator: Any = None) -> Tensor:
    """`x` with each element set to 0 with probability `rate`, the others divided by ``1 - rate``.

    (Srivastava et al., JMLR 15, 2014.)

    Example:
        >>> from unidl import ops
        >>> from unidl.ops.random import random_dropout
        >>> print(ops.convert_to_numpy(random_dropout([1.0, 2.0], 0.0)))
        [1. 2.]
    """
    from unidl.ops._bind import dtype_of

    require(0 <= rate < 1, f"`rate` must be at least 0 and below 1, not {rate}.")
    need_dtype(x, "x", "floating")
    keep = ops.greater_equal(random_uniform(ops.shape(x), dtype_of(x), generator), rate)
    return ops.where(keep, ops.multiply(x, 1.0 / (1.0 - rate)), ops.zeros_like(x))
