"""All ops. Each is declared once in a module of this package; backends supply kernels.

Parameters that are tensors take native tensors, variables, NumPy arrays, numbers, or symbolic
tensors (then the op is recorded instead of run). Errors are `unidl.errors.OpError` (a ValueError)
and name the op, the shapes and dtypes that came, and what was expected.
"""

from __future__ import annotations

from typing import Any

from unidl.ops import random as _random
from unidl.ops._bind import host_array as _host_array
from unidl.ops._control import custom_gradient
from unidl.ops.creation import arange, eye, full, full_like, linspace, ones, ones_like, zeros, zeros_like
from unidl.ops.elementwise import (
    absolute,
    add,
    arccos,
    arcsin,
    arctan,
    arctan2,
    cast,
    ceil,
    clip,
    copy,
    cos,
    cosh,
    divide,
    equal,
    erf,
    exp,
    expm1,
    floor,
    floor_divide,
    greater,
    greater_equal,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    log,
    log1p,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    mod,
    multiply,
    negative,
    not_equal,
    power,
    reciprocal,
    round,
    rsqrt,
    sign,
    sin,
    sinh,
    sqrt,
    square,
    stop_gradient,
    subtract,
    tan,
    tanh,
    where,
)  # fmt: skip
from unidl.ops.image import resize as _resize
from unidl.ops.linalg import dot, matmul, outer, tensordot
from unidl.ops.linalg import einsum as _einsum
from unidl.ops.nn import (
    batch_normalization,
    batch_normalization_training,
    binary_crossentropy,
    categorical_crossentropy,
    elu,
    gelu,
    group_normalization,
    hard_sigmoid,
    hard_silu,
    layer_normalization,
    leaky_relu,
    linear,
    log_sigmoid,
    log_softmax,
    mish,
    moments,
    relu,
    relu6,
    scaled_dot_product_attention,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    softsign,
    sparse_categorical_crossentropy,
)  # fmt: skip
from unidl.ops.reduce import (
    all,
    any,
    argmax,
    argmin,
    count_nonzero,
    cumprod,
    cumsum,
    logsumexp,
    max,
    mean,
    min,
    prod,
    std,
    sum,
    var,
)  # fmt: skip
from unidl.ops.rnn import gru, lstm, simple_rnn
from unidl.ops.shape import (
    argsort,
    axis_size,
    broadcast_to,
    concatenate,
    expand_dims,
    flip,
    getitem,
    moveaxis,
    ndim,
    one_hot,
    pad,
    ravel,
    repeat,
    reshape,
    roll,
    shape,
    size,
    sort,
    split,
    squeeze,
    stack,
    swapaxes,
    take,
    take_along_axis,
    tile,
    top_k,
    transpose,
    tril,
    triu,
    unstack,
)  # fmt: skip
from unidl.ops.windows import average_pool, conv, conv_bias, conv_transpose, depthwise_conv, max_pool

abs = absolute
true_divide = divide
swish = silu
hard_swish = hard_silu


def einsum(subscripts: str, *operands: Any) -> Any:
    """Einstein summation of the operands, e.g. ``einsum("ij,jk->ik", a, b)``; ``...`` broadcasts.

    Raises:
        OpError: if the subscripts do not fit the operands.
    """
    return _einsum(subscripts, list(operands))


def convert_to_tensor(x: Any, dtype: Any = None, sparse: bool | None = None, ragged: bool | None = None) -> Any:
    """`x` (number, list, NumPy array, tensor) as a native tensor.

    Python floats get the default float dtype, ints int32; arrays and tensors keep theirs.
    """
    from unidl._state import state
    from unidl.backend import active
    from unidl.dtypes import dtype_name
    from unidl.graph.symbolic import SymbolicTensor
    from unidl.ops._bind import as_symbol

    name = None if dtype is None else dtype_name(dtype)
    if type(x) is SymbolicTensor or state.trace is not None:
        return as_symbol(x, name)
    if active.is_tensor(x):
        return x if name is None or active.dtype(x) == name else active.cast(x, name)
    return active.to_tensor(_host_array(x, name), name)


def array(x: Any, dtype: Any = None) -> Any:
    """`x` as a native tensor; the same as `convert_to_tensor`."""
    return convert_to_tensor(x, dtype)


def convert_to_numpy(x: Any) -> Any:
    """`x` as a NumPy array on the host."""
    return _host_array(x)


def is_tensor(x: Any) -> bool:
    """Whether `x` is a native or symbolic tensor."""
    from unidl.backend import active
    from unidl.graph.symbolic import SymbolicTensor

    return type(x) is SymbolicTensor or active.is_tensor(x)


class image:
    """Ops on images."""

    resize = staticmethod(_resize)
