"""Products of matrices and tensors."""

from __future__ import annotations

from typing import Any

from unidl_tensorflow._engine import tensorflow as tf
from unidl_tensorflow.dtypes import NARROW, WIDER

Tensor = Any


def matmul(x1: Tensor, x2: Tensor) -> Tensor:
    rank1, rank2 = x1.shape.rank, x2.shape.rank
    if x1.dtype in NARROW or x1.dtype.name in ("uint32", "uint64"):
        wide = WIDER[x1.dtype]
        return tf.cast(matmul(tf.cast(x1, wide), tf.cast(x2, wide)), x1.dtype)
    if rank1 == 1 and rank2 == 1 and x1.dtype in (tf.float32, tf.float64):
        return tf.reduce_sum(_same_size(x1, x2) * x2)  # a product of matrices adds up more rounding errors
    if rank1 == 2 and rank2 == 2:
        return tf.matmul(x1, x2)
    if rank1 == 1:
        return tf.squeeze(matmul(tf.expand_dims(x1, 0), x2), -1 if rank2 == 1 else -2)
    if rank2 == 1:
        return tf.squeeze(matmul(x1, tf.expand_dims(x2, 1)), -1)
    if rank2 == 2:
        return _flat_matmul(x1, x2, None)
    return tf.matmul(x1, x2)


def _same_size(x1: Tensor, x2: Tensor) -> Tensor:
    """`x1`, which must not broadcast."""
    if not x1.shape.is_compatible_with(x2.shape):
        raise ValueError(f"{x1.shape} and {x2.shape} differ")
    return x1


def _flat_matmul(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """One product of matrices for all leading dimensions of `x` together."""
    if not x.shape[-1:].is_compatible_with(kernel.shape[:1]):
        raise ValueError(f"{x.shape} and {kernel.shape} do not fit")  # of no elements, reshaping makes any shape
    known = x.shape[:-1].as_list()
    if known.count(None) > 1:
        sizes: Any = tf.concat([tf.shape(x)[:-1], tf.shape(kernel)[-1:]], 0)
    else:
        sizes = [-1 if d is None else d for d in known] + [kernel.shape[-1]]
    rows = -1
    if x.shape[-1] in (0, None) or kernel.shape[-1] in (0, None):  # -1 cannot be inferred from no elements
        rows = tf.reduce_prod(tf.shape(x)[:-1])
        sizes = tf.concat([tf.shape(x)[:-1], tf.shape(kernel)[-1:]], 0)
    out = tf.matmul(tf.reshape(x, (rows, tf.shape(kernel)[0] if kernel.shape[0] is None else kernel.shape[0])), kernel)
    return tf.reshape(out if bias is None else tf.nn.bias_add(out, bias), sizes)


def linear(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    if kernel.shape.rank != 2 or (bias is not None and bias.shape != kernel.shape[1:]):
        raise ValueError("a matrix and a vector are expected")  # others would broadcast
    if not x.dtype.is_floating:
        product = matmul(x, kernel)
        return product if bias is None else product + bias
    if x.shape.rank != 2:
        return _flat_matmul(x, kernel, bias)
    # The operators themselves: a third of the Python that `tf.matmul` and `tf.nn.bias_add` run before they call them.
    product = tf.raw_ops.MatMul(a=x, b=kernel)
    return product if bias is None else tf.raw_ops.BiasAdd(value=product, bias=bias)


def einsum(subscripts: str, operands: Any) -> Tensor:
    from unidl.ops.einsum import contracted, is_plain

    shapes = tuple(tuple(o.shape) for o in operands)
    dtype = operands[0].dtype
    # tf.einsum fails for operands without dimensions, and for two ellipses of different length.
    simple = len(operands) <= 2 and () not in shapes and subscripts.partition("->")[0].count("...") <= 1
    direct = simple and (dtype.is_floating or dtype.is_complex)
    if not direct or not is_plain(subscripts, shapes):
        return contracted(subscripts, operands)
    return tf.einsum(subscripts.replace(" ", ""), *operands)


TABLE: dict[str, Any] = {"matmul": matmul, "linear": linear, "einsum": einsum}
