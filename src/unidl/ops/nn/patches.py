"""Cutting images into overlapping blocks, and adding blocks up to images."""

from __future__ import annotations

from itertools import product
from typing import Any

from unidl import ops
from unidl.backend.attributes import require
from unidl.ops._declare import Tensor, composite, need_dtype, need_rank, same_dim


def _two(value: Any, what: str, low: int = 1) -> tuple[int, int]:
    """`value` (an int or two of them) as two ints of at least `low`."""
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or not all(isinstance(v, int) and v >= low for v in pair):
        require(False, f"`{what}` must be an int of at least {low} or two of them, not {value!r}.")
    return pair


def _counts(sizes: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> list[Any]:
    """How many blocks fit along each of the two dimensions; sizes may be unknown (a `Dim`)."""
    counts = []
    for size, k, d, p, s in zip(sizes, kernel, dilation, padding, stride, strict=True):
        room = size + 2 * p - (k - 1) * d - 1
        if isinstance(size, int):
            require(room >= 0, f"blocks that cover {(k - 1) * d + 1} elements do not fit into {size} with padding {p}.")
        counts.append(room // s + 1)
    return counts


@composite
def unfold(x: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """The blocks that a convolution's window meets, flattened (also known as im2col).

    Args:
        x: (batch, channels, height, width).
        kernel_size, dilation, padding, stride: an int or two; zeros are added on both sides.

    Returns:
        (batch, channels * kernel height * kernel width, number of blocks).

    Example:
        >>> from unidl import ops
        >>> x = ops.reshape(ops.arange(1.0, 7.0), (1, 1, 2, 3))
        >>> print(ops.convert_to_numpy(ops.unfold(x, 2)[0]))
        [[1. 2.]
         [2. 3.]
         [4. 5.]
         [5. 6.]]
    """
    need_rank(x, "x", 4, 4)
    need_dtype(x, "x", "numeric")
    kernel, gaps = _two(kernel_size, "kernel_size"), _two(dilation, "dilation")
    pads, steps = _two(padding, "padding", 0), _two(stride, "stride")
    batch, channels, *sizes = ops.shape(x)
    rows, columns = _counts(sizes, kernel, gaps, pads, steps)
    if any(pads):
        x = ops.pad(x, ((0, 0), (0, 0), (pads[0],) * 2, (pads[1],) * 2))
    parts = []
    for i, j in product(range(kernel[0]), range(kernel[1])):
        top, left = i * gaps[0], j * gaps[1]
        down = slice(top, top + (rows - 1) * steps[0] + 1, steps[0])
        across = slice(left, left + (columns - 1) * steps[1] + 1, steps[1])
        part = x[:, :, down, across]
        parts.append(ops.reshape(part, (batch, channels, 1, rows * columns)))
    blocks = ops.concatenate(parts, 2) if len(parts) > 1 else parts[0]
    return ops.reshape(blocks, (batch, channels * len(parts), rows * columns))


@composite
def fold(x: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """Images in which the blocks of `unfold` are added up where they overlap (also known as col2im).

    Args:
        x: (batch, channels * kernel height * kernel width, number of blocks).
        output_size: an int or two: height and width of the image.
        kernel_size, dilation, padding, stride: as in `unfold`.

    Returns:
        (batch, channels, height, width).

    Example:
        >>> from unidl import ops
        >>> blocks = ops.unfold(ops.ones((1, 1, 2, 3)), 2)
        >>> print(ops.convert_to_numpy(ops.fold(blocks, (2, 3), 2)[0, 0]))
        [[1. 2. 1.]
         [1. 2. 1.]]
    """
    need_rank(x, "x", 3, 3)
    need_dtype(x, "x", "numeric")
    size, kernel = _two(output_size, "output_size"), _two(kernel_size, "kernel_size")
    gaps, pads, steps = _two(dilation, "dilation"), _two(padding, "padding", 0), _two(stride, "stride")
    rows, columns = _counts(size, kernel, gaps, pads, steps)
    batch, width, blocks = ops.shape(x)
    each = kernel[0] * kernel[1]
    require(isinstance(width, int), "dimension 1 of `x` is unknown, and must be known.")
    require(width % each == 0, f"`x` has {width} rows; a multiple of {kernel[0]} * {kernel[1]} is expected.")
    same_dim(
        blocks if isinstance(blocks, int) else None, rows * columns, f"blocks of `x` and of an image of {list(size)}"
    )
    channels = width // each
    x = ops.reshape(x, (batch * channels, each, rows, columns))
    # Room for the farthest block; padding is cut off at the end.
    full = [n + 2 * p for n, p in zip(size, pads, strict=True)]
    total: Any = None
    for place, (i, j) in enumerate(product(range(kernel[0]), range(kernel[1]))):
        part = _apart(_apart(x[:, place], 1, steps[0]), 2, steps[1])
        reach = (rows - 1) * steps[0] + 1, (columns - 1) * steps[1] + 1
        top, left = i * gaps[0], j * gaps[1]
        part = ops.pad(part, ((0, 0), (top, full[0] - top - reach[0]), (left, full[1] - left - reach[1])))
        total = part if total is None else ops.add(total, part)
    total = total[:, pads[0] : pads[0] + size[0], pads[1] : pads[1] + size[1]]
    return ops.reshape(total, (batch, channels, *size))


def _apart(x: Any, axis: int, step: int) -> Any:
    """`x` with ``step - 1`` zeros between its elements along `axis`."""
    if step == 1:
        return x
    sizes = ops.shape(x)
    wide = ops.pad(ops.expand_dims(x, axis + 1), [(0, step - 1 if a == axis + 1 else 0) for a in range(len(sizes) + 1)])
    wide = ops.reshape(wide, (*sizes[:axis], sizes[axis] * step, *sizes[axis + 1 :]))
    return wide[(slice(None),) * axis + (slice(0, (sizes[axis] - 1) * step + 1),)]


__all__ = ["unfold", "fold"]
