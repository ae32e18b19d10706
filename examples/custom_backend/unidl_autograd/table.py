"""The table: every kernel is the NumPy backend's; here is how each is differentiated.

There are four ways, in this order:

* `SAME`: autograd has a rule for the same function of its own NumPy: one line.
* `RULES`: a rule of our own, one function for each argument.
* `COMPOSED`: the op once more, as a composition of autograd's functions. It runs only where a derivative is wanted.
* nothing: composites are decomposed, results that are no floats need no derivative, and the rest says that it has none.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as onp
from autograd import numpy as np
from autograd.core import primitive_vjps
from autograd.extend import defvjp, defvjp_argnums, primitive
from autograd.numpy.numpy_vjps import unbroadcast_f
from autograd.tracer import getval, isbox

import unidl_numpy
from unidl.backend.attributes import pad_pairs
from unidl_autograd import rnn, windows
from unidl_autograd.variables import boxed, value

KERNELS: dict[str, Callable[..., Any]] = unidl_numpy.backend.table
Vjp = Callable[..., Any]

SAME: dict[str, Any] = {
    "absolute": np.absolute, "negative": np.negative, "exp": np.exp, "expm1": np.expm1, "log": np.log,
    "log1p": np.log1p, "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos, "tan": np.tan, "arcsin": np.arcsin,
    "arccos": np.arccos, "arctan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "arcsinh": np.arcsinh, "arccosh": np.arccosh, "arctanh": np.arctanh, "add": np.add, "subtract": np.subtract,
    "multiply": np.multiply, "divide": np.divide, "mod": np.mod, "power": np.power, "arctan2": np.arctan2,
    "maximum": np.maximum, "minimum": np.minimum, "matmul": np.matmul, "reshape": np.reshape,
    "expand_dims": np.expand_dims, "squeeze": np.squeeze, "sum": np.sum, "det": np.linalg.det,
    "slogdet": np.linalg.slogdet, "eigh": np.linalg.eigh,
}  # fmt: skip


def _kept(x: Any, axis: Any) -> tuple[int, ...]:
    """The shape of a reduction of `x` with ``keepdims=True``."""
    return onp.empty(x.shape).sum(tuple(axis) if isinstance(axis, list) else axis, keepdims=True).shape


def _mean(ans: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Vjp:
    kept, share = _kept(x, axis), ans.size / max(x.size, 1)
    return lambda g: np.reshape(g, kept) * onp.full(x.shape, share, x.dtype)


def _extreme(ans: Any, x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Vjp:
    """To the elements that are the extreme, in equal parts."""
    kept = _kept(x, axis)
    mask = getval(x) == onp.reshape(getval(ans), kept)
    share = mask / onp.maximum(mask.sum(tuple(axis) if isinstance(axis, list) else axis, keepdims=True), 1)
    return lambda g: np.reshape(g, kept) * share


def _cumsum(ans: Any, x: Any, axis: int | None = None, dtype: Any = None) -> Vjp:
    back = slice(None, None, -1) if axis is None else (slice(None),) * (axis % x.ndim) + (slice(None, None, -1),)
    return lambda g: np.reshape(np.cumsum(g[back], axis)[back], x.shape)


def _transpose(ans: Any, x: Any, axes: Any = None) -> Vjp:
    back = None if axes is None else onp.argsort([a % x.ndim for a in axes])
    return lambda g: np.transpose(g, back)


def _written(ans: Any, inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Vjp:
    places = tuple(onp.moveaxis(indices, -1, 0))
    if reduction is None:
        share: Any = onp.ones(inputs.shape, bool)
        share[places] = False
    else:
        share = 1 if reduction == "add" else ans / inputs if reduction == "mul" else ans == inputs
    return lambda g: g * share


def _updates(ans: Any, inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Vjp:
    places = tuple(onp.moveaxis(indices, -1, 0))
    if reduction is None:  # the last of several updates of a place
        number = onp.arange(ans[places].size).reshape(ans[places].shape)
        last = onp.zeros(inputs.shape, int)
        last[places] = number
        share: Any = last[places] == number
    else:
        there = ans[places]
        share = 1 if reduction == "add" else there / updates if reduction == "mul" else there == updates
    return unbroadcast_f(updates, lambda g: g[places] * share)


def _chosen(place: int) -> Vjp:
    def rule(ans: Any, condition: Any, *choices: Any) -> Vjp:
        keep = condition.astype(bool) == (place == 0)
        return unbroadcast_f(choices[place], lambda g: np.where(keep, g, 0))

    return rule


RULES: dict[str, tuple[Vjp | None, ...]] = {
    "relu": (lambda ans, x: lambda g: g * (x > 0),),
    "sigmoid": (lambda ans, x: lambda g: g * ans * (1 - ans),),
    "rsqrt": (lambda ans, x: lambda g: g * ans / x * -0.5,),
    "erf": (lambda ans, x: lambda g: g * np.exp(-x * x) * (2 / math.sqrt(math.pi)),),
    "erfinv": (lambda ans, x: lambda g: g * np.exp(ans * ans) * (math.sqrt(math.pi) / 2),),
    "copy": (lambda ans, x: lambda g: g,),
    "cast": (lambda ans, x, dtype: lambda g: g.astype(x.dtype),),
    "where": (None, _chosen(0), _chosen(1)),
    "broadcast_to": (lambda ans, x, shape: unbroadcast_f(x, lambda g: g),),
    "mean": (_mean,),
    "transpose": (_transpose,),
    "scatter_update": (_written, None, _updates),
    "max": (_extreme,),
    "min": (_extreme,),
    "cumsum": (_cumsum,),
}
#: The derivative is zero wherever there is one.
CONSTANT = {"floor", "ceil", "round", "sign", "floor_divide", "stop_gradient", "zeros_like", "ones_like", "nextafter"}


def getitem(x: Any, key: Any) -> Any:
    return x[tuple(key) if isinstance(key, list) else key]


def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    return np.ravel(x)[indices] if axis is None else x[(slice(None),) * (axis % x.ndim) + (indices,)]


def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Any:
    if axis is None:
        return np.ravel(x)[onp.ravel(indices)]
    places = list(onp.ix_(*map(onp.arange, x.shape)))
    places[axis] = indices
    return x[tuple(places)]


def sort(x: Any, axis: int | None = -1) -> Any:
    x, axis = (np.ravel(x), 0) if axis is None else (x, axis)
    return take_along_axis(x, KERNELS["argsort"](getval(x), axis), axis) if x.ndim else x


def top_k(x: Any, k: int, sorted: bool = True) -> Any:
    order = KERNELS["top_k"](getval(x), k, sorted)[1]
    return take_along_axis(x, order, -1), order


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    size, ends = x.shape[axis], indices_or_sections
    if isinstance(ends, int):
        ends = range(size // ends, size, size // ends) if size else [0] * (ends - 1)
    return tuple(take(x, onp.arange(size)[a:b], axis) for a, b in zip([0, *ends], [*ends, size], strict=True))


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    size = x.size if axis is None else x.shape[axis]
    return take(x, onp.repeat(onp.arange(size), repeats), axis)


def flip(x: Any, axis: Any = None) -> Any:
    axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    turned = {a % x.ndim for a in axes}
    return x[tuple(slice(None, None, -1 if a in turned else 1) for a in range(x.ndim))]


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    if not x.ndim:
        return x
    pairs = pad_pairs(pad_width, x.ndim)
    if mode == "constant":
        return np.pad(x, pairs, "constant", constant_values=constant_values or 0)
    for axis, pair in enumerate(pairs):
        x = take(x, onp.pad(onp.arange(x.shape[axis]), pair, mode), axis)  # type: ignore[call-overload]
    return x


def prod(x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Any:
    axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    axes = [a % x.ndim for a in axes]
    kept = [1 if a in axes else n for a, n in enumerate(x.shape)]
    rest = [a for a in range(x.ndim) if a not in axes]
    rows = np.reshape(np.transpose(x, (*axes, *rest)), (-1, *(x.shape[a] for a in rest)))
    result = functools.reduce(np.multiply, [rows[i] for i in range(len(rows))])
    return TABLE["cast"](np.reshape(result, kept) if keepdims else result, dtype or x.dtype.name)


def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    x, axis = (np.ravel(x), 0) if axis is None else (x, axis % x.ndim)
    rows = [take(x, i, axis) for i in range(x.shape[axis])]
    for i in range(1, len(rows)):
        rows[i] = rows[i - 1] * rows[i]
    return TABLE["cast"](np.stack(rows, axis), dtype or x.dtype.name)


def gather_nd(x: Any, indices: Any) -> Any:
    return x[tuple(onp.moveaxis(indices, -1, 0))]


def _transposed(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


def cholesky(x: Any, upper: bool = False) -> Any:
    diagonal = onp.eye(x.shape[-1], dtype=x.dtype)
    strict = np.tril(x) * (1 - diagonal)  # only the lower triangle counts
    factor = np.linalg.cholesky(strict + _transposed(strict) + x * diagonal)
    return _transposed(factor) if upper else factor


def solve(a: Any, b: Any) -> Any:
    vector = b.ndim == 1 or b.ndim == a.ndim - 1
    b = np.expand_dims(b, -1) if vector else b
    lead = onp.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (TABLE["broadcast_to"](x, (*lead, *x.shape[-2:])) for x in (a, b))
    return np.linalg.solve(a, b)[..., 0] if vector else np.linalg.solve(a, b)


def solve_triangular(a: Any, b: Any, lower: bool = False) -> Any:
    return solve(np.where((onp.tril if lower else onp.triu)(onp.ones(a.shape[-2:], bool)), a, 0), b)


COMPOSED: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        getitem, take, take_along_axis, sort, top_k, split, repeat, flip, pad, prod, cumprod, gather_nd, cholesky,
        solve, solve_triangular,
        windows.conv, windows.depthwise_conv, windows.conv_transpose, windows.max_pool, windows.average_pool,
        rnn.lstm, rnn.gru, rnn.simple_rnn,
    )
}  # fmt: skip
COMPOSED["concatenate"] = lambda xs, axis=0: np.concatenate(tuple(xs), axis)
COMPOSED["repeat_each"] = repeat
COMPOSED["svd"] = lambda x, full_matrices=True, compute_uv=True: np.linalg.svd(x, full_matrices, compute_uv)
COMPOSED["pinv"] = lambda x, rcond=None: np.linalg.pinv(x)


def _differentiable(name: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
    """What to call where a derivative is wanted."""
    if name in SAME:
        rule = primitive_vjps[SAME[name]]
        function = primitive(kernel)
        defvjp_argnums(function, rule)
        return function
    if name in RULES:
        function = primitive(kernel)
        defvjp(function, *RULES[name])
        return function
    if name in COMPOSED:
        return COMPOSED[name]

    def without(*args: Any) -> Any:
        from unidl.ops import _declare

        op = _declare.TABLE[name]
        if op.kind == "composite":
            return op.rule(*args)
        result = kernel(*map(_plain, args))
        floats = [r for r in (result if type(result) is tuple else (result,)) if r.dtype.kind not in "biu"]
        if floats and name not in CONSTANT:
            raise NotImplementedError(f"The autograd backend has no derivative of {name}.")
        return result

    return without


def _plain(x: Any) -> Any:
    return type(x)(map(_plain, x)) if type(x) in (list, tuple) else getval(x)


def _tidy(result: Any) -> Any:
    """Results as arrays or boxes: no NumPy scalars, a tuple for several, whole numbers never in a box."""
    if isinstance(result, (tuple, list)) or (isbox(result) and isinstance(result._value, (tuple, list))):
        return tuple(_tidy(result[i]) for i in range(len(result)))
    result = value(result)
    return result if isbox(result) else onp.asarray(result)


def entry(name: str) -> Callable[..., Any]:
    """The table's function: NumPy's kernel, or the differentiable form if there is a box among the arguments."""
    kernel = KERNELS[name]
    differentiable = _differentiable(name, kernel)

    @functools.wraps(kernel)
    def call(*args: Any) -> Any:
        args = tuple(map(value, args))
        return _tidy(differentiable(*args)) if any(map(boxed, args)) else kernel(*args)

    return call


TABLE: dict[str, Callable[..., Any]] = {name: entry(name) for name in KERNELS}
