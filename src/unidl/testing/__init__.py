"""The conformance kit, and what tests of code written with unidl need.

The author of a backend writes one file, ``tests/test_conformance.py``::

    from unidl.testing.suite import *

and runs pytest with ``UNIDL_BACKEND`` set to the backend's name (the extra ``unidl[testing]`` brings
what is needed, the NumPy backend is the oracle). What the engine cannot do goes into
``known_gaps.txt`` in the backend's package, one test id a line with `` # `` and the reason; a gap
that closes fails until its line is removed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from unidl.testing.comparing import Comparison, compare

#: Relative and absolute tolerance of values that two engines compute in a dtype.
TOLERANCES = {
    "float64": (1e-9, 1e-11),
    "float32": (2e-5, 2e-6),
    "float16": (8e-3, 4e-3),
    "bfloat16": (5e-2, 4e-2),
    "complex64": (2e-5, 2e-6),
    "complex128": (1e-9, 1e-11),
}


def assert_close(a: Any, b: Any, rtol: float | None = None, atol: float | None = None, what: str = "") -> None:
    """Check that `a` has the shape of `b` and values close to it: ``|a - b| <= atol + rtol * |b|``.

    Args:
        a, b: tensors, arrays or numbers. NaN equals NaN, and infinities must agree.
        rtol, atol: None: by the less precise dtype of the two; integers and bools must be equal.
        what: put in front of the message.

    Raises:
        AssertionError: saying how many elements differ, the worst one, where it is, and both values.
    """
    from unidl.ops import convert_to_numpy

    x, y = convert_to_numpy(a), convert_to_numpy(b)
    start = f"{what}: " if what else ""
    if x.shape != y.shape:
        raise AssertionError(f"{start}shape {x.shape} instead of {y.shape}")
    loosest = max((TOLERANCES.get(v.dtype.name, (0.0, 0.0)) for v in (x, y)), default=(0.0, 0.0))
    rtol, atol = (loosest[0] if rtol is None else rtol), (loosest[1] if atol is None else atol)
    kind = "complex128" if "c" in (x.dtype.kind, y.dtype.kind) else "float64"
    if x.dtype.kind in "biu" and y.dtype.kind in "biu":
        wrong, p, q = x != y, x, y
    else:
        p, q = x.astype(kind), y.astype(kind)
        with np.errstate(invalid="ignore", over="ignore"):
            near = np.abs(p - q) <= atol + rtol * np.abs(q)
        wrong = ~(near & np.isfinite(p) & np.isfinite(q) | (p == q) | np.isnan(p) & np.isnan(q))
    if not wrong.any():
        return
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.where(wrong, np.abs(p.astype(kind) - q.astype(kind)), -1.0)
    distance[wrong & ~np.isfinite(distance)] = np.inf
    place = np.unravel_index(int(np.argmax(distance)), distance.shape)
    raise AssertionError(
        f"{start}{int(wrong.sum())} of {wrong.size} elements differ (rtol={rtol:g}, atol={atol:g}); the worst, at "
        f"{tuple(int(i) for i in place)}: {x[place]!s} instead of {y[place]!s} ({x.dtype}, {y.dtype})"
    )


def count_python_calls(fn: Callable[[], Any]) -> int:
    """How many Python functions run when ``fn()`` does, `fn` itself not counted.

    Functions written in C do not count. No noise of the machine changes the number.
    """
    count = 0

    def profile(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    previous = sys.getprofile()
    sys.setprofile(profile)
    try:
        fn()
    finally:
        sys.setprofile(previous)
    return count - 1


__all__ = ["TOLERANCES", "Comparison", "assert_close", "compare", "count_python_calls"]
