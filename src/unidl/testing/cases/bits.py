"""Cases of ops on bits."""

from __future__ import annotations

from typing import Any

from unidl.testing.draw import INTEGER, SMALL, Draw, add

_INTEGERS = (*INTEGER, *SMALL)


def _two(r: Draw) -> tuple[Any, ...]:
    shape = r.shape()
    first, second = r.array(shape, low=-99, high=99), r.array(r.broadcasting(shape), low=-99, high=99)
    return (first, second) if r.flag() or "int" not in r.dtype else (first, r.choice(0, 1, 5, 12))


def _shift(r: Draw) -> tuple[Any, ...]:
    shape = r.shape()
    return r.array(shape, low=-99, high=99), r.array(r.broadcasting(shape), low=-1, high=r.choice(7, 70))


add("bitwise_and bitwise_or bitwise_xor", _two, (*_INTEGERS, "bool"))
add("bitwise_invert", lambda r: (r.tensor(low=-99, high=99),), (*_INTEGERS, "bool"))
add("bitwise_left_shift bitwise_right_shift", _shift, _INTEGERS)
