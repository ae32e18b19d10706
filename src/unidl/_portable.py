"""`UNIDL_PORTABLE_RANDOM=1`: in-graph random numbers that are the same on every backend."""

from __future__ import annotations

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
    for name in [n for n in backend.table if n.startswith("random_") and n not in kinds]:
        del backend.table[name]
    for name, draw in kinds.items():
        backend.table[name] = _kernel(backend, draw)


def _kernel(backend: Backend, draw: Callable[..., np.ndarray]) -> Callable[..., Any]:
    def random(shape: Any, dtype: Any = None, generator: Any = None) -> Any:
        name = dtype_name(dtype)
        host = "float64" if name == "float64" else "float32"

        def make(sizes: tuple[int, ...]) -> np.ndarray:
            stream = _seed.stream("graph", _seed.next_index("graph")) if generator is None else generator.stream()
            values = draw(stream, sizes, host)
            if name == host:
                return values
            from unidl.ops._bind import numpy_dtype

            return values.astype(numpy_dtype(name))

        return backend.host_call(make, shape, name)

    return random
