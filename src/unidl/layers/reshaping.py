"""Layers that rearrange, repeat, pad and crop."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.backend.attributes import require, sized
from unidl.config import checked_data_format
from unidl.layers._base import InputSpec, Layer
from unidl.layers._common import leading, require_rank

__all__ = [
    "Cropping1D", "Cropping2D", "Cropping3D", "Flatten", "Permute", "RepeatVector", "Reshape", "UpSampling1D",
    "UpSampling2D", "UpSampling3D", "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D",
]  # fmt: skip


class Flatten(Layer):
    """(batch, …) to (batch, product of the rest).

    Args:
        data_format: under "channels_first" channels are moved last before, so that weights after this
            layer do not depend on the layout.
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = checked_data_format(data_format)

    def build(self, input_shape: Any) -> None:
        require(len(input_shape) >= 1, "takes at least one dimension (batch), but a scalar came.")

    def call(self, inputs: Any) -> Any:
        rank = len(inputs.shape)
        if rank == 1:
            return ops.expand_dims(inputs, -1)
        if self.data_format == "channels_first" and rank > 2:
            inputs = ops.transpose(inputs, (0, *range(2, rank), 1))
        rest = tuple(inputs.shape)[1:]
        if None in rest:
            return ops.reshape(inputs, (leading(inputs), -1))
        count = math.prod(rest)
        # With an element count of 0 the batch could not be inferred.
        return ops.reshape(inputs, (-1 if count else leading(inputs), count))


class Reshape(Layer):
    """(batch, …) to (batch, *target_shape), in which one size may be -1."""

    def __init__(self, target_shape: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = (target_shape,) if isinstance(target_shape, int) else tuple(target_shape)
        if not all(isinstance(d, int) and d >= -1 for d in self.target_shape):
            raise ValueError(
                "Reshape: a size is a non-negative integer, or -1 for what is left; this is not: "
                f"target_shape={self.target_shape}."
            )
        if self.target_shape.count(-1) > 1:
            raise ValueError(
                f"Reshape: at most one unknown dimension (-1) can be found, not: target_shape={self.target_shape}."
            )

    def call(self, inputs: Any) -> Any:
        rest, target = tuple(inputs.shape)[1:], self.target_shape
        if None not in rest:
            have, known = math.prod(rest), math.prod(d for d in target if d != -1)
            require(
                have == known if -1 not in target else known > 0 and have % known == 0,
                f"cannot make {target} of the {have} elements in {rest}.",
            )
            target = tuple(have // known if d == -1 else d for d in target)
        return ops.reshape(inputs, (leading(inputs), *target))


class Permute(Layer):
    """The dimensions after the batch in another order.

    Args:
        dims: the old places in their new order, counted from 1; ``Permute((2, 1))`` swaps two.
    """

    def __init__(self, dims: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                f"Permute: Invalid permutation `dims` {self.dims}, which is no order of the dimensions "
                f"1 to {len(self.dims)}."
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def build(self, input_shape: Any) -> None:
        require_rank(input_shape, len(self.dims) + 1, f"(the batch and {len(self.dims)} to permute)")

    def call(self, inputs: Any) -> Any:
        return ops.transpose(inputs, (0, *self.dims))


class RepeatVector(Layer):
    """(batch, features) to (batch, n, features)."""

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = _count("RepeatVector", "n", n)
        self.input_spec = InputSpec(ndim=2)

    def build(self, input_shape: Any) -> None:
        require_rank(input_shape, 2, "(batch, features)")

    def call(self, inputs: Any) -> Any:
        return ops.repeat(ops.expand_dims(inputs, 1), self.n, 1)


def _count(layer: str, name: str, value: Any) -> int:
    """`value` as a positive int."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{layer}: Expected an integer value for `{name}`, not {value!r}.")
    if value <= 0:
        raise ValueError(f"{layer}: `{name}` should be a positive integer, not {value}.")
    return value


def _pairs(value: Any, n: int, what: str) -> tuple[tuple[int, int], ...]:
    """An int, n ints, or n (before, after) pairs, as n pairs."""
    items = [value] * n if isinstance(value, int) else list(value)
    flat = n == 1 and len(items) == 1 and isinstance(items[0], int) and not isinstance(value, int)
    if n == 1 and len(items) == 2 and all(isinstance(v, int) for v in items):
        items = [tuple(items)]
    pairs = [(v, v) if isinstance(v, int) else tuple(v) for v in items]
    if flat or len(pairs) != n or not all(len(p) == 2 and all(isinstance(v, int) and v >= 0 for v in p) for p in pairs):
        raise ValueError(f"{what} must be an int, {n} ints, or {n} pairs of ints (all at least 0), not {value!r}.")
    return tuple(pairs)


class _Spatial(Layer):
    """What layers on `spatial` spatial dimensions share."""

    spatial = 1

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = checked_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.spatial + 2)

    def build(self, input_shape: Any) -> None:
        require_rank(input_shape, self.spatial + 2, f"(batch, {self.spatial} spatial, channels)")

    def _placed(self, values: Any, other: Any) -> tuple[Any, ...]:
        """One value for each axis: `values` for the spatial ones, `other` for batch and channels."""
        return (other, *values, other) if self.data_format == "channels_last" else (other, other, *values)


class _ZeroPadding(_Spatial):
    def __init__(self, padding: Any, data_format: str | None, kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        pairs = _pairs(padding, self.spatial, f"{type(self).__name__}: `padding`")
        self.padding = pairs if self.spatial > 1 else pairs[0]
        self._widths = self._placed(pairs, (0, 0))

    def call(self, inputs: Any) -> Any:
        return ops.pad(inputs, self._widths)

    def get_config(self) -> dict[str, Any]:
        """As for all layers, `padding` as pairs."""
        return {**super().get_config(), "padding": self.padding}


class ZeroPadding1D(_ZeroPadding):
    """Zeros before and after along time; `padding` is an int or a pair (before, after)."""

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(padding, data_format, kwargs)


class ZeroPadding2D(_ZeroPadding):
    """Zeros around images; `padding` is an int, one for height and width, or a pair (before, after) for each."""

    spatial = 2

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(padding, data_format, kwargs)


class ZeroPadding3D(_ZeroPadding):
    """Zeros around volumes; `padding` is an int, three ints, or three pairs (before, after)."""

    spatial = 3

    def __init__(self, padding: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(padding, data_format, kwargs)


class _Cropping(_Spatial):
    def __init__(self, cropping: Any, data_format: str | None, kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self._pairs = _pairs(cropping, self.spatial, f"{type(self).__name__}: `cropping`")
        self.cropping = self._pairs if self.spatial > 1 else self._pairs[0]
        cuts = [slice(before, -after or None) for before, after in self._pairs]
        self._key = self._placed(cuts, slice(None))

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        sizes = input_shape[1:-1] if self.data_format == "channels_last" else input_shape[2:]
        require(
            all(d is None or d > sum(c) for d, c in zip(sizes, self._pairs, strict=True)),
            f"crops {self._pairs}, which leaves nothing of an input of shape {tuple(input_shape)}.",
        )

    def call(self, inputs: Any) -> Any:
        return ops.getitem(inputs, self._key)

    def get_config(self) -> dict[str, Any]:
        """As for all layers, `cropping` as pairs."""
        return {**super().get_config(), "cropping": self.cropping}


class Cropping1D(_Cropping):
    """Cuts off steps before and after: `cropping` is an int or a pair."""

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any) -> None:
        super().__init__(cropping, "channels_last", kwargs)


class Cropping2D(_Cropping):
    """Cuts the edges off images: `cropping` is an int, two ints, or two pairs (before, after)."""

    spatial = 2

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(cropping, data_format, kwargs)


class Cropping3D(_Cropping):
    """Cuts the edges off volumes: `cropping` is an int, three ints, or three pairs (before, after)."""

    spatial = 3

    def __init__(self, cropping: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(cropping, data_format, kwargs)


class _UpSampling(_Spatial):
    def __init__(self, size: Any, data_format: str | None, kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.size = sized(size, self.spatial, "size")

    def call(self, inputs: Any) -> Any:
        first = 1 if self.data_format == "channels_last" else 2
        for axis, times in enumerate(self.size, first):
            if times != 1:
                inputs = ops.repeat(inputs, times, axis)
        return inputs


class UpSampling1D(_UpSampling):
    """Each time step `size` times in a row."""

    def __init__(self, size: Any = 2, **kwargs: Any) -> None:
        super().__init__(_count("UpSampling1D", "size", size), "channels_last", kwargs)


class UpSampling2D(_UpSampling):
    """Images enlarged `size` times.

    Args:
        size: an int, or (rows, columns).
        interpolation: "nearest", or as in `ops.image.resize`: "bilinear", "bicubic", "lanczos3", "lanczos5".
    """

    spatial = 2

    def __init__(
        self, size: Any = (2, 2), data_format: str | None = None, interpolation: str = "nearest", **kwargs: Any
    ) -> None:
        super().__init__(size, data_format, kwargs)
        known = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
        if interpolation not in known:
            raise ValueError(f"UpSampling2D: `interpolation` must be one of {known}, not {interpolation!r}.")
        self.interpolation = interpolation

    def call(self, inputs: Any) -> Any:
        if self.interpolation == "nearest":
            return super().call(inputs)
        height, width = (1, 2) if self.data_format == "channels_last" else (2, 3)
        have = inputs.shape[height], inputs.shape[width]
        require(None not in have, f"{self.interpolation} interpolation needs a known height and width, not {have}.")
        want = have[0] * self.size[0], have[1] * self.size[1]
        return ops.image.resize(inputs, want, self.interpolation, data_format=self.data_format)


class UpSampling3D(_UpSampling):
    """Each element of a volume repeated `size` times along its three dimensions."""

    spatial = 3

    def __init__(self, size: Any = (2, 2, 2), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(size, data_format, kwargs)
