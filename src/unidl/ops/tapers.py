"""Window functions: weights that rise from the ends of a window to its middle. In the default float dtype."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from unidl import ops
from unidl.dtypes import floatx
from unidl.graph.symbolic import Dim, SymbolicTensor
from unidl.ops._bind import host_array
from unidl.ops._declare import OpError, Tensor, composite, require


def _window(function: Callable[..., Any], x: Any, *values: Any) -> Any:
    """`function` of the length `x`, a number or a tensor with one element; computed once, on the host, in float64."""
    if isinstance(x, (Dim, SymbolicTensor)):
        raise OpError("the length `x` of a window must be known while recording.")
    given = host_array(x)
    length = float(given.reshape(-1)[0]) if given.size == 1 and given.dtype.kind not in "OSUc" else math.nan
    require(length.is_integer(), f"`x` is {x!r}; an int, the length of the window, is expected.")
    return ops.cast(np.asarray(function(max(int(length), 0), *values), "float64"), floatx())


@composite
def bartlett(x: Any) -> Tensor:
    """The triangular window of `x` numbers, 0 at its ends.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.bartlett(5)))
        [0.  0.5 1.  0.5 0. ]
    """
    return _window(np.bartlett, x)


@composite
def blackman(x: Any) -> Tensor:
    """Blackman's window of `x` numbers: ``0.42 - 0.5 cos(2πi / (x - 1)) + 0.08 cos(4πi / (x - 1))``.

    Example:
        >>> from unidl import ops
        >>> print(abs(ops.convert_to_numpy(ops.blackman(3))).round(4))
        [0. 1. 0.]
    """
    return _window(np.blackman, x)


@composite
def hamming(x: Any) -> Tensor:
    """Hamming's window of `x` numbers: ``0.54 - 0.46 cos(2πi / (x - 1))``.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.hamming(3)).round(2))
        [0.08 1.   0.08]
    """
    return _window(np.hamming, x)


@composite
def hanning(x: Any) -> Tensor:
    """Von Hann's window of `x` numbers: ``0.5 - 0.5 cos(2πi / (x - 1))``.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.hanning(5)))
        [0.  0.5 1.  0.5 0. ]
    """
    return _window(np.hanning, x)


@composite
def kaiser(x: Any, beta: Any) -> Tensor:
    """Kaiser's window of `x` numbers: ``I0(beta sqrt(1 - (2i / (x - 1) - 1)²)) / I0(beta)``.

    A larger `beta` makes it narrower; 0 gives ones.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.kaiser(4, beta=0.0)))
        [1. 1. 1. 1.]
    """
    if isinstance(beta, SymbolicTensor):
        raise OpError("`beta` must be known while recording.")
    return _window(np.kaiser, x, float(host_array(beta)))


__all__ = ["bartlett", "blackman", "hamming", "hanning", "kaiser"]
