"""Anything as one of a number of bins, by hashing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from unidl import dtypes, ops
from unidl.graph.symbolic import SymbolicTensor, TensorSpec
from unidl.layers.preprocessing._encoding import check_output, encode, encode_on_host, encoded_shape
from unidl.layers.preprocessing._hashes import buckets, combine64, fingerprint64, siphash64
from unidl.layers.preprocessing._host import HostLayer, dense, is_text, strings_of
from unidl.layers.preprocessing._integer_hashes import combined, integer_buckets
from unidl.layers.preprocessing._words import Words

__all__ = ["HashedCrossing", "Hashing"]

_CROSSING_KEY = 0xDECAFCAFFE


def hash_key(salt: Any, layer: str) -> tuple[int, int] | None:
    """The key of SipHash that an int or two say; None without `salt`."""
    if salt is None:
        return None
    key = (salt, salt) if isinstance(salt, int) else tuple(salt) if isinstance(salt, (list, tuple)) else ()
    if len(key) != 2:
        raise ValueError(f"{layer}: `salt` must be one int or a tuple of two; it is {salt!r}.")
    return int(key[0]), int(key[1])


def hash_function(key: tuple[int, int] | None) -> Callable[[bytes], int]:
    """FarmHash without `key`, SipHash with it."""
    return fingerprint64 if key is None else lambda text: siphash64(text, key)


def output_dtype(layer: str, mode: str, dtype: Any) -> Any:
    """The dtype of a layer that puts out int64 indices or floats, unless `dtype` says more."""
    if dtype is None:
        return "int64" if mode == "int" else None
    name = getattr(dtype, "name", dtype)
    if mode == "int" and isinstance(name, str) and name in dtypes.ALL and not dtypes.is_integer(name):
        raise ValueError(
            f'{layer}: `output_mode="int"` puts out integers, but `dtype` is {dtype!r}. Give an integer type, or none.'
        )
    return dtype


class _Binned(HostLayer):
    """A layer that puts out indices of bins, or vectors of them."""

    num_bins: int
    output_mode: str

    def _check(self, num_bins: Any, mode: Any, modes: tuple[str, ...], sparse: Any) -> None:
        name = type(self).__name__
        if num_bins is None or num_bins <= 0:
            raise ValueError(f"The `num_bins` for `{name}` cannot be `None` or non-positive; it is {num_bins!r}.")
        self.num_bins, self.output_mode, self.sparse = num_bins, check_output(name, mode, modes, sparse), sparse

    def output_spec(self, *specs: TensorSpec) -> TensorSpec:
        return TensorSpec(encoded_shape(specs[0].shape, self.output_mode, self.num_bins), self.compute_dtype)


class Hashing(_Binned):
    """Strings and integers as indices of bins: FarmHash's 64-bit fingerprint, or SipHash-2-4 if there is a salt.

    The bins are those of TensorFlow and Keras, on every backend. Integers are hashed as they are written in decimals.

    Args:
        num_bins: how many bins.
        mask_value: what gets index 0; then the rest is hashed to 1 … ``num_bins - 1``.
        salt: an int, or two, as the key of SipHash.
        output_mode: "int", "one_hot", "multi_hot" or "count".

    Example:
        >>> import unidl
        >>> layer = unidl.layers.Hashing(num_bins=3)
        >>> unidl.ops.convert_to_numpy(layer([["A"], ["B"], ["C"], ["D"], ["E"]])).tolist()
        [[1], [0], [1], [1], [2]]
    """

    def __init__(
        self,
        num_bins: int,
        mask_value: Any = None,
        salt: Any = None,
        output_mode: str = "int",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        kwargs["dtype"] = output_dtype("Hashing", output_mode, kwargs.get("dtype"))
        super().__init__(**kwargs)
        self._check(num_bins, output_mode, ("int", "one_hot", "multi_hot", "count"), sparse)
        self.mask_value = mask_value
        self.salt = salt
        self._key = hash_key(salt, "Hashing")
        self._hash = hash_function(self._key)

    def call(self, inputs: Any) -> Any:
        whole = type(inputs) is SymbolicTensor and inputs.dtype in dtypes.INTEGERS and inputs.dtype != "uint64"
        return self._recorded(ops.cast(inputs, "int64")) if whole else self.on_host(inputs)

    def _recorded(self, values: Any) -> Any:
        """Symbolic integers hashed with ops."""
        bins, mask = self.num_bins, None if self.mask_value is None else strings_of(self.mask_value)[0]
        if mask is None or bins == 1:
            indices = integer_buckets(values, self._key, bins)
        else:
            indices = ops.add(integer_buckets(values, self._key, bins - 1), 1)
            if (number := _decimal(mask)) is not None:
                indices = ops.where(ops.equal(values, number), 0, indices)
        return encode(indices, self.output_mode, bins, self.compute_dtype)

    def compute(self, *arrays: np.ndarray) -> np.ndarray:
        (values,) = arrays
        if not is_text(values) and values.dtype.kind == "f":
            if values.size and not np.array_equal(values, np.floor(values)):
                raise ValueError(f"Layer {self.path!r} hashes strings and integers, not fractions.")
            values = values.astype(np.int64)
        texts = strings_of(values)
        bins = self.num_bins
        if self.mask_value is None or bins == 1:
            indices = buckets(texts, self._hash, bins)
        else:
            mask = strings_of(self.mask_value)[0]
            hashed = buckets(texts, self._hash, bins - 1)
            indices = [0 if text == mask else index + 1 for text, index in zip(texts, hashed, strict=True)]
        shaped = np.array(indices, np.int64).reshape(np.shape(values))
        return encode_on_host(shaped, self.output_mode, bins, self.compute_dtype)


class HashedCrossing(_Binned):
    """Combinations of categories as indices of bins; each input is of shape (), (batch,) or (batch, 1).

    The bins are those of TensorFlow and Keras, on every backend.

    Args:
        num_bins: how many bins.
        output_mode: "int" or "one_hot".

    Example:
        >>> import numpy as np, unidl
        >>> layer = unidl.layers.HashedCrossing(num_bins=5)
        >>> cities, years = np.array(["A", "B", "A"]), np.array([101, 101, 102])
        >>> unidl.ops.convert_to_numpy(layer((cities, years))).tolist()
        [1, 4, 1]
    """

    def __init__(
        self,
        num_bins: int,
        output_mode: str = "int",
        sparse: bool = False,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, dtype=output_dtype("HashedCrossing", output_mode, dtype), **kwargs)
        self._check(num_bins, output_mode, ("int", "one_hot"), sparse)

    def _converted(self, value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"Layer {self.path!r} crosses inputs that come as a list or tuple, not {value!r}.")
        if len(value) < 2:
            raise ValueError(f"Layer {self.path!r} needs at least two inputs to cross, {len(value)} came.")
        return [super(HashedCrossing, self)._converted(dense(v, self.path)) for v in value]

    def call(self, inputs: Any) -> Any:
        whole = True
        for value in inputs:
            shape = tuple(value.shape)
            if len(shape) > 2 or (len(shape) == 2 and shape[1] not in (1, None)):
                raise ValueError(
                    f"Layer {self.path!r}: inputs should have shape (), (batch,) or (batch, 1), not {shape}."
                )
            dtype = value.dtype if type(value) is SymbolicTensor else dtypes_name(value)
            if not (dtype == "string" or dtype in dtypes.INTEGERS or dtype == "bool"):
                raise ValueError(f"Layer {self.path!r}: inputs need an integer or string dtype, not {dtype}.")
            whole = whole and dtype != "string" and type(value) is SymbolicTensor
        return self._recorded(inputs) if whole else self.on_host(*inputs)

    def _recorded(self, inputs: Any) -> Any:
        """Symbolic integers crossed with ops."""
        key = Words(np.int64(_CROSSING_KEY))
        for value in inputs:
            if len(value.shape) != len(inputs[0].shape):
                value = ops.reshape(value, ops.shape(inputs[0]))
            key = combined(key, Words(ops.cast(value, "int64")))
        return encode(key.modulo(self.num_bins), self.output_mode, self.num_bins, self.compute_dtype)

    def compute(self, *arrays: np.ndarray) -> np.ndarray:
        columns = []
        for array in arrays:
            if is_text(array):
                columns.append([fingerprint64(t.encode("utf-8", "surrogateescape")) for t in strings_of(array)])
            else:
                columns.append([int(v) & 0xFFFFFFFFFFFFFFFF for v in array.ravel().tolist()])
        indices = []
        for row in zip(*columns, strict=True):
            key = _CROSSING_KEY
            for word in row:
                key = combine64(key, word)
            indices.append(key % self.num_bins)
        shaped = np.array(indices, np.int64).reshape(arrays[0].shape)
        return encode_on_host(shaped, self.output_mode, self.num_bins, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.output_spec(TensorSpec(tuple(input_shape[0]), "string")).shape


def _decimal(text: str) -> int | None:
    """The int64 that is written so; None if there is none."""
    number = int(text) if text.lstrip("-").isdecimal() else None
    return number if number is not None and str(number) == text and -(2**63) <= number < 2**63 else None


def dtypes_name(value: Any) -> str:
    """The dtype's name of any array or tensor; "string" for text."""
    if is_text(value):
        return "string"
    return dtypes.dtype_name(value.dtype)
