"""Classes as vectors, and channels as blocks of pixels."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.config import checked_data_format
from unidl.dtypes import floatx
from unidl.graph.symbolic import Dim
from unidl.ops._declare import Tensor, axis_index, composite, need_dtype, need_rank, require


@composite
def one_hot(x: Tensor, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Tensor:
    """Integers as vectors along a new `axis`, 1 at the integer's place and 0 elsewhere.

    Integers outside 0 … `num_classes` - 1 give all zeros; of floats the integer part counts. `dtype` None: the default
    float. There are no sparse tensors, so `sparse` must be false.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.one_hot([0, 2], 3)))
        [[1. 0. 0.]
         [0. 0. 1.]]
    """
    need_dtype(x, "x", "real")
    _classes(num_classes, sparse)
    place = axis_index(axis, len(x.shape) + 1)
    classes = ops.reshape(ops.arange(num_classes, None, None, "int32"), (num_classes,) + (1,) * (len(x.shape) - place))
    return ops.cast(ops.equal(ops.expand_dims(ops.cast(x, "int32"), place), classes), dtype or floatx())


def _classes(num_classes: Any, sparse: bool) -> None:
    number = hasattr(num_classes, "__index__") and not isinstance(num_classes, bool)
    valid = isinstance(num_classes, Dim) or (number and num_classes >= 0)
    require(valid, f"`num_classes` must be an int of at least 0, not {num_classes!r}.")
    require(not sparse, "`sparse` is true, but there are no sparse tensors in unidl.")


@composite(name="multi_hot")
def _multi_hot(inputs: Tensor, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Tensor:
    """Sets of integers as vectors along a new `axis`, 1 at the place of each member."""
    need_dtype(inputs, "inputs", "real")
    need_rank(inputs, "inputs", 1)
    _classes(num_classes, sparse)
    rank = len(inputs.shape)
    place = axis_index(axis, rank)
    found = ops.any(ops.one_hot(inputs, num_classes, -1, "bool"), 1 if rank > 1 else 0)
    return ops.cast(ops.moveaxis(found, -1, place), dtype or floatx())


def multi_hot(
    inputs: Any, num_classes: Any = None, axis: int = -1, dtype: Any = None, sparse: bool = False, **kwargs: Any
) -> Any:
    """Sets of integers as vectors along a new `axis`, 1 at the place of each member of a set.

    Args:
        inputs: integers of shape (n,), one set, or (batch, n, …), sets along dimension 1, which is taken away.
        num_classes: the size of the vectors. Integers outside 0 … `num_classes` - 1 are ignored.
        axis: place of the vectors in the result.
        dtype: None: the default float.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.multi_hot([[0, 4], [1, 1]], 5)))
        [[1. 0. 0. 0. 1.]
         [0. 1. 0. 0. 0.]]
    """
    num_classes = kwargs.pop("num_tokens", None) if num_classes is None else num_classes
    require(not kwargs, f"multi_hot: unknown arguments {sorted(kwargs)}.")
    require(num_classes is not None, "multi_hot: `num_classes` must be given.")
    return _multi_hot(inputs, num_classes, axis, dtype, sparse)


@composite
def depth_to_space(x: Tensor, block_size: int, data_format: str = "channels_last") -> Tensor:
    """Channels of `x` spread over blocks of ``block_size ** 2`` pixels: (N, H, W, C·r²) → (N, H·r, W·r, C).

    With channels last the pixels of a block are the slower part of the channel's number, with channels first,
    (N, C·r², H, W) → (N, C, H·r, W·r), the faster part ("pixel shuffle").

    Example:
        >>> from unidl import ops
        >>> x = ops.reshape(ops.arange(4), (1, 1, 1, 4))
        >>> print(ops.convert_to_numpy(ops.depth_to_space(x, 2))[0, :, :, 0])
        [[0 1]
         [2 3]]
    """
    last, (n, h, w, c), r = _block(x, block_size, data_format)
    _divides(c, r * r, "channels")
    if last:
        wide = ops.transpose(ops.reshape(x, (n, h, w, r, r, c // (r * r))), (0, 1, 3, 2, 4, 5))
        return ops.reshape(wide, (n, h * r, w * r, c // (r * r)))
    wide = ops.transpose(ops.reshape(x, (n, c // (r * r), r, r, h, w)), (0, 1, 4, 2, 5, 3))
    return ops.reshape(wide, (n, c // (r * r), h * r, w * r))


@composite
def space_to_depth(x: Tensor, block_size: int, data_format: str = "channels_last") -> Tensor:
    """Blocks of ``block_size ** 2`` pixels of `x` moved into channels: the inverse of `depth_to_space`.

    Example:
        >>> from unidl import ops
        >>> x = ops.reshape(ops.arange(4), (1, 2, 2, 1))
        >>> print(ops.convert_to_numpy(ops.space_to_depth(x, 2)))
        [[[[0 1 2 3]]]]
    """
    last, (n, h, w, c), r = _block(x, block_size, data_format)
    _divides(h, r, "height")
    _divides(w, r, "width")
    if last:
        cells = ops.transpose(ops.reshape(x, (n, h // r, r, w // r, r, c)), (0, 1, 3, 2, 4, 5))
        return ops.reshape(cells, (n, h // r, w // r, c * r * r))
    cells = ops.transpose(ops.reshape(x, (n, c, h // r, r, w // r, r)), (0, 1, 3, 5, 2, 4))
    return ops.reshape(cells, (n, c * r * r, h // r, w // r))


def _block(x: Any, block_size: Any, data_format: Any) -> tuple[bool, tuple[Any, ...], int]:
    """Whether channels are last, the sizes (batch, height, width, channels), and the size of a block, all checked."""
    need_rank(x, "x", 4)
    valid = hasattr(block_size, "__index__") and not isinstance(block_size, bool) and block_size >= 1
    require(valid, f"`block_size` must be a positive int, not {block_size!r}.")
    last = checked_data_format(data_format) == "channels_last"
    n, *rest = ops.shape(x)
    h, w, c = rest if last else (*rest[1:], rest[0])
    return last, (n, h, w, c), int(block_size)


def _divides(size: Any, part: int, what: str) -> None:
    require(isinstance(size, Dim) or size % part == 0, f"{what} of size {size} cannot be divided by {part}.")


__all__ = ["one_hot", "multi_hot", "depth_to_space", "space_to_depth"]
