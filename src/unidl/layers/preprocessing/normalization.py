"""Normalization of features by the mean and variance of data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from unidl import ops
from unidl.config import epsilon
from unidl.layers.preprocessing._adapting import batches, is_one_batch, numbers
from unidl.layers.preprocessing._host import DataLayer, host_values

__all__ = ["Normalization"]


class Normalization(DataLayer):
    """``(inputs - mean) / sqrt(variance)``, mean and variance learned by `adapt` or given.

    Args:
        axis: axis (or axes) whose indices have a mean and variance of their own; None: one for all.
        mean, variance: given together: then nothing needs to be learned. They broadcast to the sizes of `axis`.
        invert: whether to compute ``inputs * sqrt(variance) + mean`` instead.

    Example:
        >>> import numpy as np, unidl
        >>> layer = unidl.layers.Normalization()
        >>> layer.adapt(np.array([[0.0, 7.0], [2.0, 9.0]]))
        >>> unidl.ops.convert_to_numpy(layer([[0.0, 10.0]])).tolist()
        [[-1.0, 2.0]]
    """

    def __init__(self, axis: Any = -1, mean: Any = None, variance: Any = None, invert: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        self.invert = invert
        self.supports_masking = True
        if (mean is None) != (variance is None):
            raise ValueError(f"Normalization: both `mean` and `variance` must be set, or none; got {mean}, {variance}.")
        self._given = None if mean is None else tuple(np.asarray(host_values(v), np.float64) for v in (mean, variance))
        if self._given is not None:
            shapes = [v.shape for v in self._given]
            if shapes[0] != shapes[1]:
                raise ValueError(f"Normalization: `mean` and `variance` have different shapes: {shapes}.")
            if len(shapes[0]) > len(self.axis):
                raise ValueError(
                    f"Normalization: a `mean` of shape {shapes[0]} has more dimensions than `axis` {self.axis} axes."
                )
        self.adapt_mean: Any = None

    def build(self, input_shape: Sequence[int | None]) -> None:
        rank = len(input_shape)
        if any(not -rank <= a < rank for a in self.axis):
            raise ValueError(
                f"Layer {self.path!r}: inputs of shape {tuple(input_shape)} have no `axis` {self.axis}; it must "
                f"be in the range [-{rank}, {rank})."
            )
        kept = self._kept = sorted(a % rank for a in self.axis)
        if unknown := [a for a in kept if input_shape[a] is None]:
            raise ValueError(
                f"Layer {self.path!r}: what `axis` names must have a known size, but axes {unknown} are unknown in "
                f"{tuple(input_shape)}."
            )
        self._sizes = tuple(int(input_shape[a] or 0) for a in kept)
        self._broadcast = tuple(int(input_shape[a] or 0) if a in kept else 1 for a in range(rank))
        if self._given is None:
            self.adapt_mean = self.add_weight(self._sizes, "zeros", trainable=False, name="mean")
            self.adapt_variance = self.add_weight(self._sizes, "ones", trainable=False, name="variance")
            self.count = self.add_weight((), "zeros", "int32", trainable=False, name="count")
        else:
            mean, variance = (np.broadcast_to(v, self._sizes).reshape(self._broadcast) for v in self._given)
            self._mean = mean.astype("float32" if self.compute_dtype == "bfloat16" else self.compute_dtype)
            self._scale = np.maximum(np.sqrt(variance), epsilon()).astype(self._mean.dtype)
            self._variance = variance.astype(self._mean.dtype)

    @property
    def mean(self) -> Any:
        """The mean, with as many dimensions as the inputs; None before the layer is built."""
        return self._statistic("mean")

    @property
    def variance(self) -> Any:
        """The variance, with as many dimensions as the inputs; None before the layer is built."""
        return self._statistic("variance")

    def _statistic(self, name: str) -> Any:
        if not self.built:
            return None
        if self._given is not None:
            return ops.convert_to_tensor(getattr(self, f"_{name}"))
        return ops.reshape(ops.convert_to_tensor(getattr(self, f"adapt_{name}")), self._broadcast)

    def adapt(self, data: Any) -> None:
        """Learn mean and variance.

        Args:
            data: an array, or an iterable of batches (list, generator, `PyDataset`, `tf.data.Dataset`, `DataLoader`);
                of tuples the first entry counts.
        """
        if self._given is not None:
            raise ValueError(f"Layer {self.path!r} was given `mean` and `variance`: there is nothing to adapt.")
        total, mean, variance = 0, np.zeros(()), np.zeros(())
        whole = is_one_batch(data)
        for batch in batches(data, None, self.path):
            if not whole and not hasattr(batch, "shape"):
                raise TypeError(
                    f"Layer {self.path!r}: adapt() takes batches that are arrays, with a `.shape`, not {batch!r}."
                )
            values = numbers(batch)
            if not self.built:
                self.build((None, *values.shape[1:]) if 0 not in [a % max(1, values.ndim) for a in self.axis]
                           else values.shape)  # fmt: skip
            kept = tuple(values.shape[a] for a in self._kept) if values.ndim == len(self._broadcast) else None
            if kept != self._sizes:
                raise ValueError(
                    f"Layer {self.path!r} was built for {self._sizes} elements along `axis` {self.axis}, but adapt() "
                    f"was given data of an incompatible shape: {values.shape}."
                )
            rest = tuple(a for a in range(values.ndim) if a not in self._kept)
            count = math.prod(values.shape[a] for a in rest)
            part_mean, part_variance = values.mean(rest), values.var(rest)
            share = count / max(1, total + count)
            new = mean * (1 - share) + part_mean * share
            variance = (variance + (mean - new) ** 2) * (1 - share) + (part_variance + (part_mean - new) ** 2) * share
            mean, total = new, total + count
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(variance)
        self.count.assign(min(total, 2**31 - 1))
        self.finalize_state()

    def finalize_state(self) -> None:
        """Nothing is left to do after `adapt`: mean and variance are variables."""

    def call(self, inputs: Any) -> Any:
        inputs = ops.cast(inputs, self.compute_dtype)
        if self._given is not None:
            mean, scale = self._mean, self._scale
        else:
            mean = ops.reshape(self.adapt_mean, self._broadcast)
            scale = ops.maximum(ops.sqrt(ops.reshape(self.adapt_variance, self._broadcast)), epsilon())
        if self.invert:
            return ops.cast(ops.add(mean, ops.multiply(inputs, scale)), self.compute_dtype)
        return ops.cast(ops.divide(ops.subtract(inputs, mean), scale), self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        given = (None, None) if self._given is None else tuple(v.tolist() for v in self._given)
        return {**super().get_config(), "axis": self.axis or None, "mean": given[0], "variance": given[1]}
