"""Pooling over 1 to 3 spatial dimensions: by windows of one size, and by a number of bins."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unidl import ops
from unidl.backend.attributes import geometry, sized
from unidl.ops._declare import Tensor, TensorSpec, composite, need_dtype, need_rank, primitive, require
from unidl.ops.nn.windows import windows_spec


def _pooled(inputs: Any, pool_size: Any, strides: Any, padding: str, data_format: str | None) -> TensorSpec:
    need_rank(inputs, "inputs", 3, 5)
    need_dtype(inputs, "inputs", "real")
    need_dtype(inputs, "inputs", "numeric")
    n = len(inputs.shape) - 2
    window = sized(pool_size, n, "pool_size")
    g = geometry(n, pool_size if strides is None else strides, padding, 1, data_format)
    return windows_spec(inputs, window, inputs.shape[g.channel], g)


@primitive(checked=True)
def max_pool(
    inputs: Tensor, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Tensor:
    """The largest element of each window; padding never wins.

    Args:
        inputs: (batch, *spatial, channels), or (batch, channels, *spatial) for "channels_first".
        pool_size: an int or one for each spatial dimension.
        strides: likewise; None: `pool_size`.
        padding: "valid", or "same" (output size ``ceil(size / stride)``, the odd element after).
        data_format: "channels_last" or "channels_first"; None: the configured default.

    Example:
        >>> from unidl import ops
        >>> x = ops.reshape([3.0, 1.0, 2.0, 5.0, 4.0], (1, 5, 1))
        >>> print(ops.convert_to_numpy(ops.ravel(ops.max_pool(x, 2))))
        [3. 5.]
        >>> print(ops.convert_to_numpy(ops.ravel(ops.max_pool(x, 2, padding="same"))))
        [3. 5. 4.]
    """
    return _pooled(inputs, pool_size, strides, padding, data_format)


@primitive(floating=True, checked=True)
def average_pool(
    inputs: Tensor, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Tensor:
    """The mean of each window, over the elements that lie inside the input. Arguments as in `max_pool`.

    Example:
        >>> from unidl import ops
        >>> x = ops.reshape([3.0, 1.0, 2.0, 5.0, 4.0], (1, 5, 1))
        >>> print(ops.convert_to_numpy(ops.ravel(ops.average_pool(x, 2, padding="same"))))
        [2.  3.5 4. ]
    """
    return _pooled(inputs, pool_size, strides, padding, data_format)


def _bins(inputs: Any, output_size: Any, data_format: str | None) -> tuple[tuple[int, ...], Any]:
    """Checked sizes of the output, and the geometry of the input."""
    need_rank(inputs, "inputs", 3, 5)
    need_dtype(inputs, "inputs", "floating")
    n = len(inputs.shape) - 2
    g = geometry(n, 1, "valid", 1, data_format)
    sizes = sized(output_size, n, "output_size")
    for axis in g.spatial:
        size = ops.shape(inputs)[axis]
        require(isinstance(size, int), f"dimension {axis} of `inputs` is unknown, and must be known.")
        require(size > 0, f"dimension {axis} of `inputs` has size 0: nothing to pool.")
    return sizes, g


def _by_bins(inputs: Any, output_size: Any, data_format: str | None, mean: bool) -> Any:
    """Pool one spatial dimension after the other: a mean of equal columns is the mean of the box."""
    from unidl.ops._bind import dtype_of

    sizes, g = _bins(inputs, output_size, data_format)
    for axis, bins in zip(g.spatial, sizes, strict=True):
        dims = ops.shape(inputs)
        size, before, after = dims[axis], math.prod(dims[:axis]), math.prod(dims[axis + 1 :])
        inputs = ops.reshape(inputs, (before, size, after))
        starts = np.arange(bins) * size // bins
        counts = -(-(np.arange(bins) + 1) * size // bins) - starts
        width = int(counts.max())
        if bins * width == size:
            parts = ops.reshape(inputs, (before, bins, width, after))
            inputs = ops.mean(parts, 2) if mean else ops.max(parts, 2)
        else:
            # Each bin's elements; a shorter bin repeats its last one, which is not counted.
            places = starts[:, None] + np.minimum(np.arange(width), counts[:, None] - 1)
            parts = ops.reshape(ops.take(inputs, places.ravel().astype("int32"), 1), (before, bins, width, after))
            inside = (np.arange(width) < counts[:, None])[:, :, None]
            if mean:
                count = ops.cast(counts[:, None].astype("float32"), dtype_of(inputs))
                inputs = ops.divide(ops.sum(ops.where(inside, parts, 0.0), 2), count)
            else:
                inputs = ops.max(ops.where(inside, parts, -math.inf), 2)
        inputs = ops.reshape(inputs, (*dims[:axis], bins, *dims[axis + 1 :]))
    return inputs


@composite(floating=True, checked=True)
def adaptive_average_pool(inputs: Tensor, output_size: Any, data_format: str | None = None) -> Tensor:
    """The means of `output_size` bins that together cover each spatial dimension.

    Bin i of o covers the elements from ``floor(i * n / o)`` to below ``ceil((i + 1) * n / o)`` of n.

    Args:
        inputs: (batch, *spatial, channels), or (batch, channels, *spatial) for "channels_first"; 1 to 3
            spatial dimensions, of known sizes.
        output_size: an int or one for each spatial dimension.

    Example:
        >>> from unidl import ops
        >>> x = ops.reshape([1.0, 2.0, 3.0, 4.0, 5.0], (1, 5, 1))
        >>> print(ops.convert_to_numpy(ops.ravel(ops.adaptive_average_pool(x, 2))))
        [2. 4.]
    """
    return _by_bins(inputs, output_size, data_format, True)


@composite(floating=True, checked=True)
def adaptive_max_pool(inputs: Tensor, output_size: Any, data_format: str | None = None) -> Tensor:
    """The maxima of the bins of `adaptive_average_pool`.

    Example:
        >>> from unidl import ops
        >>> x = ops.reshape([1.0, 2.0, 3.0, 4.0, 5.0], (1, 5, 1))
        >>> print(ops.convert_to_numpy(ops.ravel(ops.adaptive_max_pool(x, 2))))
        [3. 5.]
    """
    return _by_bins(inputs, output_size, data_format, False)


__all__ = ["max_pool", "average_pool", "adaptive_average_pool", "adaptive_max_pool"]
