"""Normalization over the batch."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.backend.attributes import require
from unidl.config import epsilon as fuzz
from unidl.layers._base import InputSpec
from unidl.layers._common import require_known, weight_settings
from unidl.layers.normalization import _Normalization
from unidl.ops._declare import axis_index

__all__ = ["BatchNormalization"]


class BatchNormalization(_Normalization):
    """Mean 0 and variance 1 of each feature over the batch, times `gamma` plus `beta`.

    (Ioffe & Szegedy, arXiv:1502.03167.) In training, while the layer is trainable, with the batch's
    own moments, which also move the averages ``moving = moving * momentum + batch * (1 - momentum)``;
    otherwise with those averages. Masked elements do not count towards the moments.

    With `renorm` (Ioffe, arXiv:1702.03275) training normalizes almost as inference does: the result is
    multiplied by ``r = stddev / renorm_stddev`` and moved by ``d = (mean - renorm_mean) / renorm_stddev``,
    both taken as constants, where the ``renorm_`` averages move with a momentum of their own.

    Args:
        axis: the features' axis.
        momentum: of the moving averages.
        epsilon: added to the variance.
        center, scale: whether there is a `beta`, a `gamma`.
        renorm: whether to renormalize.
        renorm_clipping: bounds "rmin", "rmax" of r and "dmax" of the size of d; what is left out is no bound.
        renorm_momentum: of the averages that r and d come from.
        synchronized: whether the moments are those of the whole batch when several processes share it. One
            process has the whole batch, so that this changes nothing there.

    Weights: gamma, beta, moving_mean, moving_variance, each (features,); with `renorm` also moving_stddev,
    renorm_mean, renorm_stddev.
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = int(axis)
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.renorm = renorm
        self.renorm_clipping = _checked_clipping(renorm_clipping) if renorm else renorm_clipping
        self.renorm_momentum = renorm_momentum
        self.synchronized = synchronized
        self.moving_mean: Any = None
        self.moving_variance: Any = None
        self._settings(center, scale, weight_settings(locals()))

    def build(self, input_shape: Any) -> None:
        features = require_known(input_shape, self.axis)
        self._affine((features,))
        self.moving_mean = self._average("moving_mean", features, self.moving_mean_initializer)
        self.moving_variance = self._average("moving_variance", features, self.moving_variance_initializer)
        if self.renorm:

            def root(shape: Any, dtype: Any = None) -> Any:
                return ops.sqrt(self.moving_variance_initializer(shape, dtype=dtype))

            # The average of the deviations, and not of their squares, is what r is a ratio of.
            self.moving_stddev = self._average("moving_stddev", features, root)
            self.renorm_mean = self._average("renorm_mean", features, self.moving_mean_initializer)
            self.renorm_stddev = self._average("renorm_stddev", features, root)
        self.input_spec = InputSpec(min_ndim=2, axes={self.axis: features})

    def _average(self, name: str, features: int, initializer: Any) -> Any:
        return self.add_weight((features,), initializer, trainable=False, autocast=False, name=name)

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        x = ops.cast(inputs, "float32") if self._short else inputs
        if not training or not self._trainable:
            result = ops.batch_normalization(
                x, self.moving_mean, self.moving_variance, self.axis, self.beta, self.gamma, self.epsilon
            )
        elif mask is None and not self.renorm:
            result, mean, variance = ops.batch_normalization_training(x, self.axis, self.beta, self.gamma, self.epsilon)
            self._move(self.moving_mean, mean, self.momentum)
            self._move(self.moving_variance, variance, self.momentum)
        else:
            result = self._by_moments(x, mask)
        return ops.cast(result, self.compute_dtype) if self._short else result

    def _move(self, average: Any, value: Any, momentum: float) -> Any:
        moved = ops.add(ops.multiply(average, momentum), ops.multiply(value, 1.0 - momentum))
        average.assign(moved)
        return moved

    def _by_moments(self, x: Any, mask: Any) -> Any:
        """Training where elements do not count, or where the result is corrected."""
        mean, variance = self._moments(x, mask)
        constant_mean, constant_variance = ops.stop_gradient(mean), ops.stop_gradient(variance)
        if not self.renorm:
            result = ops.batch_normalization(x, mean, variance, self.axis, self.beta, self.gamma, self.epsilon)
            self._move(self.moving_mean, constant_mean, self.momentum)
            self._move(self.moving_variance, constant_variance, self.momentum)
            return result
        deviation = ops.sqrt(ops.add(constant_variance, self.epsilon))
        factor, shift = self._correction(constant_mean, deviation)
        if self.gamma is not None:
            factor, shift = ops.multiply(factor, self.gamma), ops.multiply(shift, self.gamma)
        if self.beta is not None:
            shift = ops.add(shift, self.beta)
        result = ops.batch_normalization(x, mean, variance, self.axis, shift, factor, self.epsilon)
        self._move(self.renorm_mean, constant_mean, self.renorm_momentum)
        self._move(self.renorm_stddev, deviation, self.renorm_momentum)
        self._move(self.moving_mean, constant_mean, self.momentum)
        moved = self._move(self.moving_stddev, deviation, self.momentum)
        # Inference adds epsilon, which is in the deviations already; rounding must not make this negative.
        self.moving_variance.assign(ops.relu(ops.subtract(ops.square(moved), self.epsilon)))
        return result

    def _correction(self, mean: Any, deviation: Any) -> tuple[Any, Any]:
        """r and d."""
        bounds = self.renorm_clipping
        # An average that started at 0 must not divide.
        reference = ops.maximum(self.renorm_stddev, self.epsilon**0.5)
        r = ops.divide(deviation, reference)
        d = ops.divide(ops.subtract(mean, self.renorm_mean), reference)
        if (least := bounds.get("rmin")) is not None:
            r = ops.maximum(r, least)
        if (most := bounds.get("rmax")) is not None:
            r = ops.minimum(r, most)
        if (size := bounds.get("dmax")) is not None:
            d = ops.clip(d, -size, size)
        return r, d

    def _moments(self, x: Any, mask: Any) -> tuple[Any, Any]:
        """Mean and variance of the elements that count; the fuzz factor keeps a batch of none finite."""
        rank = len(x.shape)
        a = axis_index(self.axis, rank)
        over = tuple(i for i in range(rank) if i != a)
        if mask is None:
            return ops.moments(x, over)
        require(
            len(mask.shape) <= rank,
            f"a mask of {len(mask.shape)} dimensions is too many for inputs of {rank}.",
        )
        counts = ops.expand_dims(ops.cast(mask, "bool"), tuple(range(len(mask.shape), rank)))
        # Chosen and not multiplied: what does not count may be infinite or no number.
        weights = ops.where(counts, ops.ones_like(x), 0.0)
        count = ops.add(ops.sum(weights, over, True), fuzz())
        mean = ops.divide(ops.sum(ops.where(counts, x, 0.0), over, True), count)
        squares = ops.where(counts, ops.square(ops.subtract(x, mean)), 0.0)
        variance = ops.divide(ops.sum(squares, over, True), count)
        return ops.squeeze(mean, over), ops.squeeze(variance, over)


def _checked_clipping(bounds: Any) -> dict[str, float]:
    """The bounds of r and d."""
    bounds = dict(bounds or {})
    known = ("rmax", "rmin", "dmax")
    if unknown := sorted(set(bounds) - set(known)):
        raise ValueError(f"BatchNormalization: `renorm_clipping`: Received invalid keys {unknown}; it takes {known}.")
    rmax, rmin, dmax = (bounds.get(name) for name in known)
    if rmax is not None and rmin is not None and rmax < rmin:
        raise ValueError(f"BatchNormalization: `renorm_clipping`: rmax should be at least rmin, not {rmax} and {rmin}.")
    if dmax is not None and dmax < 0:
        raise ValueError(f"BatchNormalization: `renorm_clipping`: dmax should be non-negative, not {dmax}.")
    return bounds
