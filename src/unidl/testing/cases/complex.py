"""Cases of complex numbers."""

from __future__ import annotations

from typing import Any

from unidl.testing.cases.elementwise import numbers
from unidl.testing.draw import ANY, COMPLEX, Draw, add

_PARTS = ("float32", "float64")


def _polar(r: Draw) -> tuple[Any, ...]:
    shape = r.shape()
    return r.array(shape, low=0.1), r.array(r.broadcasting(shape))


add("real imag conjugate isreal", lambda r: (numbers(r, r.shape()),), (*ANY, *COMPLEX))
add("angle", lambda r: (numbers(r, r.shape()),), ("float32", "float64", "int32", *COMPLEX))
add("view_as_real", lambda r: (numbers(r, r.shape()),), COMPLEX)
add("view_as_complex", lambda r: (r.array((*r.shape(0, 2), 2)),), _PARTS)
add("polar", _polar, _PARTS)
