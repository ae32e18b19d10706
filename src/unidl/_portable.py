"""`UNIDL_PORTABLE_RANDOM=1`: in-graph random numbers that are the same on every backend."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from unidl import _draws, _seed
from unidl.dtypes import dtype_name

if TYPE_CHECKING:
    from unidl.backend.contract import Backend


def make_portable(backend: Backend) -> None:
    """Have `backend` draw on the host, and decompose whatever other random kernels it has.

    Each run of an op takes the next numbers of its generator, or of one common sequence that
    starts afresh when the global seed is set.
    """
    kinds = {"random_uniform": _draws.uniform, "random_normal": _draws.normal}
    own = (*kinds, "random_gamma", "random_binomial")
    for name in [n for n in backend.table if n.startswith("random_") and n not in own]:
        del backend.table[name]
    for name, draw in kinds.items():
        backend.table[name] = _kernel(backend, draw)
    run = functools.partial(_drawn, backend)

    def random_gamma(shape: Any, alpha: Any, dtype: Any = None, generator: Any = None) -> Any:
        return run(_draws.gamma, shape, dtype, generator, alpha)

    def random_binomial(shape: Any, counts: Any, probabilities: Any, dtype: Any = None, generator: Any = None) -> Any:
        return run(_draws.binomial, shape, dtype, generator, counts, probabilities)

    backend.table["random_gamma"], backend.table["random_binomial"] = random_gamma, random_binomial


def _kernel(backend: Backend, draw: Callable[..., np.ndarray]) -> Callable[..., Any]:
    def random(shape: Any, dtype: Any = None, generator: Any = None) -> Any:
        return _drawn(backend, draw, shape, dtype, generator)

    return random


def _drawn(
    backend: Backend, draw: Callable[..., np.ndarray], shape: Any, dtype: Any, generator: Any, *tensors: Any
) -> Any:
    """What ``draw(stream, shape, dtype, *tensors)`` gives on the host."""
    name = dtype_name(dtype)
    host = "float64" if name == "float64" else "float32"

    def make(sizes: tuple[int, ...], *values: np.ndarray) -> np.ndarray:
        stream = _seed.stream("graph", _seed.next_index("graph")) if generator is None else generator.stream()
        drawn = draw(stream, sizes, host, *values)
        if name == host:
            return drawn
        from unidl.ops._bind import numpy_dtype

        return drawn.astype(numpy_dtype(name))

    return backend.host_call(make, shape, name, *tensors)
