"""What an initializer is, and how a variable gets its first value."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import _seed
from unidl._objects import Configurable
from unidl._state import state
from unidl.backend import active
from unidl.dtypes import dtype_name, is_float
from unidl.ops._bind import host_array, numpy_dtype


class Initializer(Configurable):
    """Makes starting values. Subclasses define `values`.

    A subclass that overrides ``__call__(shape, dtype)`` instead, as in Keras, works as well.
    """

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """The array of `shape`, in any dtype that can be cast to `dtype`."""
        raise NotImplementedError(f"{type(self).__name__} must define `values(shape, dtype)` or `__call__`.")

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        """A native tensor of `shape`; `dtype` None: the default float."""
        name = dtype_name(dtype)
        return active.to_tensor(self._array(shape, name), name)

    def _array(self, shape: Any, dtype: str) -> np.ndarray:
        shape = (int(shape),) if isinstance(shape, int) else tuple(int(d) for d in shape)
        return np.asarray(self.values(shape, dtype)).astype(numpy_dtype(dtype), copy=False)

    def clone(self) -> Any:
        """An initializer with the same configuration."""
        return type(self).from_config(self.get_config())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.get_config()}>"


class RandomInitializer(Initializer):
    """Draws its values.

    Attributes:
        seed: None (other values at each call, determined by `utils.set_random_seed` and the order
            of calls), an int (the same values at each call), or a `unidl.random.SeedGenerator`
            (advanced by each call).
    """

    def __init__(self, seed: Any = None) -> None:
        from unidl.random import checked_seed

        self.seed = checked_seed(seed)

    def stream(self) -> np.random.Generator:
        """The generator for one call."""
        if self.seed is None:
            return _seed.stream("initializer", _seed.next_index("initializer"))
        if isinstance(self.seed, int):
            return _seed.stream("initializer", seed=self.seed)
        return self.seed.stream()

    def _array(self, shape: Any, dtype: str) -> np.ndarray:
        if not is_float(dtype):
            raise ValueError(f"{type(self).__name__} draws real numbers: dtype {dtype!r} does not hold them.")
        return super()._array(shape, dtype)


def host_value(initializer: Any, shape: Any, dtype: str) -> np.ndarray:
    """The first value of a variable, as an array of `shape` and `dtype`.

    Args:
        initializer: an `Initializer`, or a function ``(shape, dtype=…)`` that returns a tensor or array.

    Raises:
        ValueError: if what a function returned has another shape.
    """
    shape = tuple(int(d) for d in shape)
    if isinstance(initializer, Initializer) and type(initializer).__call__ is Initializer.__call__:
        return initializer._array(shape, dtype)
    previous, state.trace = state.trace, None  # its ops make a value now; they are no part of the graph
    try:
        array = host_array(initializer(shape, dtype=dtype), dtype)
    finally:
        state.trace = previous
    if array.shape != shape:
        raise ValueError(f"Initializer {initializer!r} returned shape {array.shape}; the variable has shape {shape}.")
    return array
