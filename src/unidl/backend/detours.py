"""Dtypes in which an engine lacks a kernel: the op is computed in another dtype, and the results are cast back.

A backend says in `Backend.detours` which dtypes may stand in for which. They are tried only after the engine has
refused, so that dtypes which it has kernels for cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def detoured(backend: Any, function: Callable[..., Any], args: Sequence[Any], dtypes: Sequence[str]) -> Any:
    """``function(*args)`` by way of the dtypes that `backend` offers instead of those of the tensors in `args`.

    Args:
        dtypes: those of the results.

    Returns:
        The results, or `NotImplemented` if nothing stands in for these dtypes, or the engine refuses those as well.
    """
    present = {d for d in _dtypes(backend, args) if d in backend.detours}
    ways = max((len(backend.detours[d]) for d in present), default=0)
    for way in range(ways):
        instead = {d: backend.detours[d][min(way, len(backend.detours[d]) - 1)] for d in present}
        try:
            results = function(*_cast(backend, args, instead))
        except Exception:
            continue
        if not isinstance(results, (tuple, list)):
            return backend.cast(results, dtypes[0])
        return type(results)([backend.cast(r, d) for r, d in zip(results, dtypes, strict=True)])
    return NotImplemented


def guarded(backend: Any, function: Callable[..., Any], dtypes: Sequence[str]) -> Callable[..., Any]:
    """`function` that takes the detour when the engine refuses; `dtypes` are those of its results."""

    def call(*args: Any) -> Any:
        try:
            return function(*args)
        except Exception:
            results = detoured(backend, function, args, dtypes)
            if results is NotImplemented:
                raise
            return results

    return call


def _dtypes(backend: Any, value: Any) -> set[str]:
    if isinstance(value, (list, tuple)):
        return {d for v in value for d in _dtypes(backend, v)}
    return {backend.dtype(value)} if backend.is_tensor(value) else set()


def _cast(backend: Any, value: Any, instead: dict[str, str]) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)([_cast(backend, v, instead) for v in value])
    if backend.is_tensor(value) and (dtype := backend.dtype(value)) in instead:
        return backend.cast(value, instead[dtype])
    return value


__all__ = ["detoured", "guarded"]
