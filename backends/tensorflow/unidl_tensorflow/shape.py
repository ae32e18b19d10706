"""Ops that rearrange, join, cut and pick elements."""

from __future__ import annotations

from typing import Any

from unidl.backend.attributes import pad_pairs
from unidl_tensorflow._engine import tensorflow as tf
from unidl_tensorflow.dtypes import DTYPES, NARROW, UNSIGNED

Tensor = Any


def reshape(x: Tensor, newshape: Any) -> Tensor:
    shape = (newshape,) if isinstance(newshape, int) else newshape
    if type(shape) in (tuple, list) and 0 in (plain := [d for d in shape if isinstance(d, int)]) and -1 in plain:
        raise ValueError("-1 beside 0 stands for any size")
    return tf.reshape(x, shape)


def transpose(x: Tensor, axes: Any = None) -> Tensor:
    return tf.transpose(x, None if axes is None else [range(x.shape.rank)[a] for a in axes])


def expand_dims(x: Tensor, axis: Any) -> Tensor:
    if not isinstance(axis, (tuple, list)):
        return tf.expand_dims(x, axis)
    x = tf.convert_to_tensor(x)
    rank = x.shape.rank + len(axis)
    at = sorted(range(rank)[a] for a in axis)
    if len(set(at)) < len(at):
        raise ValueError("an axis twice")
    for a in at:
        x = tf.expand_dims(x, a)
    return x


def squeeze(x: Tensor, axis: Any = None) -> Tensor:
    if isinstance(axis, (tuple, list)) and not axis:
        return tf.identity(x)  # TensorFlow takes no axes for all axes
    if axis is not None:
        axes = axis if isinstance(axis, (tuple, list)) else (axis,)
        axis = [range(x.shape.rank)[a] for a in axes]
        if len(set(axis)) < len(axis):
            raise ValueError("an axis twice")
    return tf.squeeze(x, axis)


def concatenate(xs: Any, axis: int = 0) -> Tensor:
    if len(xs) == 1:
        range(xs[0].shape.rank)[axis]  # which TensorFlow would check
    return tf.concat(xs, axis)


def stack(x: Any, axis: int = 0) -> Tensor:
    if not x:
        raise ValueError("nothing to stack")
    return tf.stack(x, range(x[0].shape.rank + 1)[axis])


def split(x: Tensor, indices_or_sections: Any, axis: int = 0) -> Any:
    if not hasattr(indices_or_sections, "__len__"):
        return tf.split(x, indices_or_sections, axis)
    x = tf.convert_to_tensor(x)
    before = (slice(None),) * range(x.shape.rank)[axis]
    cuts = [int(i) for i in indices_or_sections]
    return [x[before + (slice(a, b),)] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]


def pad(x: Tensor, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Tensor:
    pairs = pad_pairs(pad_width, x.shape.rank)
    if mode == "constant":
        if not pairs:
            return tf.identity(x)
        return tf.pad(x, pairs, constant_values=tf.cast(constant_values or 0, x.dtype))
    for axis, (before, after) in enumerate(pairs):
        if before or after:
            x = tf.gather(x, _mirror(tf.shape(x)[axis], before, after, mode), axis=axis)
    return x


def _mirror(size: Tensor, before: int, after: int, mode: str) -> Tensor:
    """Which elements of a dimension stand in its padded form."""
    places = tf.range(-before, size + after)
    if mode == "edge":
        return tf.clip_by_value(places, 0, size - 1)
    if mode == "wrap":
        return tf.math.floormod(places, size)
    # Both mirrored forms repeat with a period; reflecting leaves the elements at the edge out.
    edge = 1 if mode == "symmetric" else 0
    period = tf.maximum(2 * size - 2 + 2 * edge, 1)
    places = tf.math.floormod(places, period)
    return tf.minimum(places, period - places - edge)


def repeat_each(x: Tensor, repeats: Tensor, axis: int) -> Tensor:
    return tf.repeat(x, tf.cast(repeats, tf.int32), axis)


def view(x: Tensor, dtype: str) -> Tensor:
    x = tf.convert_to_tensor(x)
    if x.dtype is tf.bool:
        x = tf.cast(x, tf.uint8)
    wanted = tf.uint8 if dtype == "bool" else DTYPES[dtype]
    ratio = wanted.size // x.dtype.size
    shape = tf.shape(x)
    if ratio > 1:  # `bitcast` takes the last dimension away, or adds one
        x = tf.reshape(x, tf.concat([shape[:-1], shape[-1:] // ratio, [ratio]], 0))
    bits = tf.bitcast(x, wanted)
    if ratio == 0:
        bits = tf.reshape(bits, tf.concat([shape[:-1], shape[-1:] * (x.dtype.size // wanted.size)], 0))
    return bits != 0 if dtype == "bool" else bits


def flip(x: Tensor, axis: Any = None) -> Tensor:
    axes = range(x.shape.rank) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    return tf.reverse(x, tf.constant([range(x.shape.rank)[a] for a in axes], tf.int32))


def getitem(x: Tensor, key: Any) -> Tensor:
    return tf.convert_to_tensor(x)[key]


def _counted_from_end(x: Tensor, indices: Tensor, axis: int) -> Tensor:
    """`indices` with negative ones made positive, which TensorFlow does not take."""
    if not indices.dtype.is_integer:
        raise TypeError(f"indices of dtype {indices.dtype}")
    if indices.dtype in NARROW:
        indices = tf.cast(indices, tf.int32)
    elif indices.dtype in UNSIGNED:
        return tf.cast(indices, tf.int64)
    size = x.shape[axis]
    if size is None:
        size = tf.shape(x)[axis]
    return tf.where(indices < 0, indices + tf.cast(size, indices.dtype), indices)


def take(x: Tensor, indices: Tensor, axis: int | None = None) -> Tensor:
    if axis is None:
        x, axis = tf.reshape(x, (-1,)), 0
    return tf.gather(x, _counted_from_end(x, indices, axis), axis=axis)


def take_along_axis(x: Tensor, indices: Tensor, axis: int | None = None) -> Tensor:
    if axis is None:
        return take(x, indices)
    rank = x.shape.rank
    axis = range(rank)[axis]
    if indices.shape.rank != rank:
        raise ValueError("ranks differ")
    if (
        x.shape[:axis] != indices.shape[:axis]
        or x.shape[axis + 1 :] != indices.shape[axis + 1 :]
        or not (x.shape.is_fully_defined() and indices.shape.is_fully_defined())
    ):
        x, indices = _aligned(x, indices, axis)
    indices = _counted_from_end(x, indices, axis)
    if axis == rank - 1:
        return tf.gather(x, indices, axis=axis, batch_dims=axis)
    order = [*range(axis), *range(axis + 1, rank), axis]
    back = [*range(axis), rank - 1, *range(axis, rank - 1)]
    moved = tf.gather(tf.transpose(x, order), tf.transpose(indices, order), axis=rank - 1, batch_dims=rank - 1)
    return tf.transpose(moved, back)


def _aligned(x: Tensor, indices: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Both broadcast to common sizes everywhere but along `axis`."""
    one = tf.ones((1,), tf.int32)
    sizes, wanted = tf.shape(x), tf.shape(indices)
    common = tf.broadcast_dynamic_shape(
        tf.concat([sizes[:axis], one, sizes[axis + 1 :]], 0), tf.concat([wanted[:axis], one, wanted[axis + 1 :]], 0)
    )
    before, after = common[:axis], common[axis + 1 :]
    x = tf.broadcast_to(x, tf.concat([before, sizes[axis : axis + 1], after], 0))
    return x, tf.broadcast_to(indices, tf.concat([before, wanted[axis : axis + 1], after], 0))


TABLE: dict[str, Any] = {
    "reshape": reshape,
    "transpose": transpose,
    "expand_dims": expand_dims,
    "squeeze": squeeze,
    "concatenate": concatenate,
    "stack": stack,
    "split": split,
    "pad": pad,
    "repeat": tf.repeat,
    "repeat_each": repeat_each,
    "view": view,
    "flip": flip,
    "getitem": getitem,
    "take": take,
    "take_along_axis": take_along_axis,
}
