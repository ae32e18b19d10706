"""Cases of activations."""

from __future__ import annotations

from typing import Any

from unidl.testing.draw import FLOAT, SPECIALS, Draw, Tolerance, add

_WITH_INT = (*FLOAT, "int32")
_SIDES = (float("nan"), 0.0, 30.0, -30.0)
_LOOSE = Tolerance(4)


def _any(r: Draw) -> tuple[Any, ...]:
    return (r.tensor(specials=SPECIALS),)


def _finite(r: Draw) -> tuple[Any, ...]:
    return (r.tensor(specials=_SIDES),)


add("relu6 leaky_relu elu selu hard_sigmoid hard_tanh tanh_shrink", _any, _WITH_INT, gradient="x")
add("sparse_plus sparse_sigmoid", _any, _WITH_INT, gradient="x")
add("softplus log_sigmoid squareplus", _any, _WITH_INT, gradient="x", tolerance=_LOOSE)
add("softsign silu hard_silu mish", _finite, _WITH_INT, gradient="x", tolerance=_LOOSE)
add("gelu", lambda r: (*_finite(r), r.flag()), gradient="x", tolerance=_LOOSE)
add("celu", lambda r: (*_any(r), r.choice(1.0, 0.5, 2)), _WITH_INT, gradient="x")
add("hard_shrink soft_shrink", lambda r: (*_any(r), r.choice(0.5, 1, 0.0)), _WITH_INT, gradient="x")
add("threshold", lambda r: (*_any(r), r.choice(0.5, 1), r.choice(2.5, -1)), _WITH_INT, gradient="x")


def _glu(r: Draw) -> tuple[Any, ...]:
    shape = list(r.shape(1, 3))
    axis = r.axis(len(shape))
    shape[axis] *= 2
    return r.array(shape), axis


def _softmax(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(1, 3, low=-20, high=20, specials=(-float("inf"),))
    if r.die(3) == 0:
        return (x,)
    return x, r.axis(x.ndim) if r.flag() else r.choice(None, tuple(range(-r.integer(1, x.ndim), 0)))


def _sparsemax(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(1, 3, 1, low=-2, high=2)
    return x, r.axis(x.ndim)


add("glu", _glu, _WITH_INT, refuses=True, gradient="x")
add("softmax log_softmax", _softmax, _WITH_INT, gradient="x", tolerance=_LOOSE)
add("sparsemax", _sparsemax, _WITH_INT, gradient="x", tolerance=_LOOSE)
