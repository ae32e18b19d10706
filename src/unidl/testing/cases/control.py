"""Functions with control flow: each is run eagerly, replayed and compiled, and differentiated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from unidl import ops


class Flow(NamedTuple):
    """A function of arrays, and arrays to call it with.

    Attributes:
        differentiable: whether the derivative by the first array is checked.
        sized: whether the first dimension must be known.
    """

    function: Callable[..., Any]
    arguments: tuple[np.ndarray, ...]
    differentiable: bool = True
    sized: bool = False


_X = np.asarray([[0.3, -1.2, 0.7], [1.1, 0.4, -0.6], [-0.2, 0.9, 1.3], [0.5, -0.8, 0.1]], "float32")
_TWO, _NINE, _MINUS = (np.asarray(v, "int32") for v in (2, 9, -2))
_YES, _NO = (np.asarray(v) for v in (True, False))


def _cond(x: Any, pred: Any) -> Any:
    return ops.cond(pred, lambda: (ops.sin(x), ops.sum(x)), lambda: (x * 3, ops.sum(x * x)))


def _nested(x: Any, pred: Any) -> Any:
    def inner() -> Any:
        return ops.cond(ops.sum(x) > 100, lambda: x * y, lambda: x - y)

    y = ops.exp(x)
    return ops.cond(pred, inner, lambda: y)


def _switch(x: Any, index: Any) -> Any:
    return ops.switch(index, [lambda v: v, lambda v: v * v, lambda v: ops.tanh(v)], x)


def _while(x: Any, limit: Any) -> Any:
    def body(i: Any, pair: Any) -> Any:
        return i + 1, {"a": pair["a"] * x, "b": pair["b"] + pair["a"]}

    return ops.while_loop(lambda i, pair: i < limit, body, (0, {"a": ops.ones_like(x), "b": x}))


def _single(x: Any) -> Any:
    return ops.while_loop(lambda v: ops.sum(v) < 40, lambda v: v * 2, ops.exp(x), maximum_iterations=20)


def _growing(x: Any) -> Any:
    def body(i: Any, rows: Any) -> Any:
        return i + 1, ops.concatenate([rows, ops.sin(rows[-1:])], 0)

    return ops.while_loop(lambda i, rows: i < 3, body, (0, x))[1]


def _fori(x: Any, upper: Any) -> Any:
    return ops.fori_loop(0, upper, lambda i, v: v * 0.5 + ops.cast(i, x.dtype) * x, x)


def _scan(x: Any) -> Any:
    def step(carry: Any, row: Any) -> Any:
        carry = ops.tanh(carry + row * weight)
        return carry, (carry * 2, ops.sum(row))

    weight = ops.sum(x, 0)
    return ops.scan(step, ops.sum(x * 0, 0), x)


def _backwards(x: Any) -> Any:
    return ops.scan(lambda c, r: ({"s": c["s"] * 0.5 + r["a"] * r["b"]}, c["s"]), {"s": ops.sum(x * 0, 0)},
                    {"a": x, "b": x + 1}, reverse=True)  # fmt: skip


def _counted(x: Any) -> Any:
    return ops.scan(lambda c, _: (c * x, ops.sum(c)), ops.ones_like(x), length=3)


def _no_output(x: Any) -> Any:
    return ops.scan(lambda c, r: (c + r, None), ops.sum(x * 0, 0), x)


def _map(x: Any) -> Any:
    return ops.map(lambda pair: (pair[0] * ops.sum(pair[1]), ops.sum(pair[0])), (x, ops.exp(x)))


def _vectorized(x: Any) -> Any:
    return ops.vectorized_map(lambda row: ops.tanh(row) * ops.sum(row), x)


def _associative(x: Any) -> Any:
    def affine(a: Any, b: Any) -> Any:
        return a[0] * b[0], a[1] * b[0] + b[1]

    return ops.associative_scan(affine, (x, x + 1), axis=1), ops.associative_scan(ops.add, x, reverse=True)


@ops.custom_gradient
def _tripled(x: Any, y: Any) -> Any:
    e = ops.exp(x)

    def grad(*args: Any, upstream: Any = None) -> Any:
        return upstream * (e + y), upstream * x

    return e + x * y, grad


def _custom(x: Any) -> Any:
    return _tripled(x, ops.sin(x))


#: Every function by the id of its tests.
FLOWS = {
    "cond_true": Flow(_cond, (_X, _YES)),
    "cond_false": Flow(_cond, (_X, _NO)),
    "cond_nested": Flow(_nested, (_X, _YES)),
    "switch": Flow(_switch, (_X, _TWO)),
    "switch_outside": Flow(_switch, (_X, _NINE)),
    "switch_below": Flow(_switch, (_X, _MINUS)),
    "while_loop": Flow(_while, (_X, _TWO)),
    "while_loop_never": Flow(_while, (_X, _MINUS)),
    "while_loop_single": Flow(_single, (_X,)),
    "while_loop_growing": Flow(_growing, (_X,)),
    "fori_loop": Flow(_fori, (_X, _TWO)),
    "scan": Flow(_scan, (_X,)),
    "scan_reverse": Flow(_backwards, (_X,)),
    "scan_length": Flow(_counted, (_X,)),
    "scan_no_output": Flow(_no_output, (_X,)),
    "scan_empty": Flow(_scan, (_X[:0],), differentiable=False),
    "map": Flow(_map, (_X,)),
    "map_empty": Flow(_map, (_X[:0],), differentiable=False),
    "vectorized_map": Flow(_vectorized, (_X,)),
    "associative_scan": Flow(_associative, (_X,), sized=True),
    "custom_gradient": Flow(_custom, (_X,)),
}
