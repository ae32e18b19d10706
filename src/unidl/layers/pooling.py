"""Pooling over windows, and over everything."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.backend.attributes import sized
from unidl.config import checked_data_format
from unidl.layers._base import InputSpec, Layer

__all__ = [
    "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D", "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D",
    "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "AvgPool1D", "AvgPool2D", "AvgPool3D",
    "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D", "GlobalAvgPool1D", "GlobalAvgPool2D",
    "GlobalAvgPool3D", "GlobalMaxPool1D", "GlobalMaxPool2D", "GlobalMaxPool3D", "GlobalMaxPooling1D",
    "GlobalMaxPooling2D", "GlobalMaxPooling3D", "MaxPool1D", "MaxPool2D", "MaxPool3D", "MaxPooling1D", "MaxPooling2D",
    "MaxPooling3D",
]  # fmt: skip


class _Pooling(Layer):
    """The attributes and checks of pooling over windows of `spatial` dimensions."""

    spatial = 1
    _stateless = True

    def __init__(
        self, pool_size: Any, strides: Any, padding: str, data_format: str | None, name: str | None, kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.pool_size = sized(pool_size, self.spatial, "pool_size")
        self.strides = self.pool_size if strides is None else sized(strides, self.spatial, "strides")
        self.padding = str(padding).lower()
        if self.padding not in ("valid", "same"):
            raise ValueError(f"{type(self).__name__}: `padding` must be 'valid' or 'same', not {padding!r}.")
        self.data_format = checked_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.spatial + 2)


class _MaxPooling(_Pooling):
    def call(self, inputs: Any) -> Any:
        return ops.max_pool(inputs, self.pool_size, self.strides, self.padding, self.data_format)


class _AveragePooling(_Pooling):
    def call(self, inputs: Any) -> Any:
        return ops.average_pool(inputs, self.pool_size, self.strides, self.padding, self.data_format)


class MaxPooling1D(_MaxPooling):
    """The largest element of each window along time: (batch, time, channels) to (batch, time', channels).

    Args:
        pool_size: window, in steps.
        strides: distance of the windows; None: `pool_size`.
        padding: "valid", or "same" (then time' is ``ceil(time / strides)``).
        data_format: "channels_last" or "channels_first".
    """

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, kwargs)


class MaxPooling2D(_MaxPooling):
    """The largest element of each window of an image; arguments as in `MaxPooling1D`, for two dimensions."""

    spatial = 2

    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, kwargs)


class MaxPooling3D(_MaxPooling):
    """The largest element of each window of a volume; arguments as in `MaxPooling1D`, for three dimensions."""

    spatial = 3

    def __init__(
        self,
        pool_size: Any = (2, 2, 2),
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, kwargs)


class AveragePooling1D(_AveragePooling):
    """The mean of each window along time; padding does not count. Arguments as in `MaxPooling1D`."""

    def __init__(
        self,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, kwargs)


class AveragePooling2D(_AveragePooling):
    """The mean of each window of an image; padding does not count. Arguments as in `MaxPooling2D`."""

    spatial = 2

    def __init__(
        self,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, kwargs)


class AveragePooling3D(_AveragePooling):
    """The mean of each window of a volume; padding does not count. Arguments as in `MaxPooling3D`."""

    spatial = 3

    def __init__(
        self,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, kwargs)


class _AdaptivePooling(Layer):
    """Pooling over as many bins as `output_size` says.

    Args:
        output_size: number of bins, an int or one for each spatial dimension.
    """

    spatial = 1
    _stateless = True

    def __init__(self, output_size: Any, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(output_size, (int, tuple, list)):
            raise TypeError(
                f"{type(self).__name__}: `output_size` must be an int or {self.spatial} ints, not {output_size!r}."
            )
        self.output_size = sized(output_size, self.spatial, "output_size")
        self.data_format = checked_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.spatial + 2)

    def get_config(self) -> dict[str, Any]:
        """As for all layers, `output_size` as a tuple."""
        return {**super().get_config(), "output_size": self.output_size, "data_format": self.data_format}


class AdaptiveAveragePooling1D(_AdaptivePooling):
    """The means of `output_size` bins that together cover the time: (batch, time, channels) to (batch, bins, channels).

    Bin i of n covers the steps from ``floor(i * time / n)`` to below ``ceil((i + 1) * time / n)``; the time must be
    known.

    Args:
        output_size: number of bins.
        data_format: "channels_last" or "channels_first".

    Example:
        >>> from unidl import layers, ops
        >>> x = ops.reshape([1.0, 2.0, 3.0, 4.0, 5.0], (1, 5, 1))
        >>> print(ops.convert_to_numpy(ops.ravel(layers.AdaptiveAveragePooling1D(2)(x))))
        [2. 4.]
    """

    def call(self, inputs: Any) -> Any:
        return ops.adaptive_average_pool(inputs, self.output_size, self.data_format)


class AdaptiveAveragePooling2D(AdaptiveAveragePooling1D):
    """The means of ``output_size`` = (rows, columns) bins that cover an image; as `AdaptiveAveragePooling1D`."""

    spatial = 2


class AdaptiveAveragePooling3D(AdaptiveAveragePooling1D):
    """The means of bins that cover a volume; as `AdaptiveAveragePooling1D`, for three dimensions."""

    spatial = 3


class AdaptiveMaxPooling1D(_AdaptivePooling):
    """The largest element of each bin of `AdaptiveAveragePooling1D`.

    Args:
        output_size: number of bins.
        data_format: "channels_last" or "channels_first".
    """

    def call(self, inputs: Any) -> Any:
        return ops.adaptive_max_pool(inputs, self.output_size, self.data_format)


class AdaptiveMaxPooling2D(AdaptiveMaxPooling1D):
    """The largest element of each bin of `AdaptiveAveragePooling2D`."""

    spatial = 2


class AdaptiveMaxPooling3D(AdaptiveMaxPooling1D):
    """The largest element of each bin of `AdaptiveAveragePooling3D`."""

    spatial = 3


class _GlobalPooling(Layer):
    """Pooling over all spatial dimensions.

    Args:
        keepdims: keep them, of size 1.
    """

    spatial = 1
    _stateless = True

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = checked_data_format(data_format)
        self.keepdims = keepdims
        first = 1 if self.data_format == "channels_last" else 2
        self._axes = tuple(range(first, first + self.spatial))
        self.input_spec = InputSpec(ndim=self.spatial + 2)


class GlobalAveragePooling1D(_GlobalPooling):
    """The mean over time: (batch, time, channels) to (batch, channels). Masked steps do not count."""

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(data_format, keepdims, **kwargs)
        self.supports_masking = True
        self.makes_mask = False

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return ops.mean(inputs, self._axes, self.keepdims)
        weights = ops.expand_dims(ops.cast(mask, self.compute_dtype), 3 - self._axes[0])
        total = ops.sum(ops.multiply(inputs, weights), self._axes, self.keepdims)
        # A sequence in which nothing counts has mean 0.
        return ops.divide(total, ops.maximum(ops.sum(weights, self._axes, self.keepdims), 1.0))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None


class GlobalAveragePooling2D(_GlobalPooling):
    """The mean of each channel of an image: (batch, height, width, channels) to (batch, channels)."""

    spatial = 2

    def call(self, inputs: Any) -> Any:
        return ops.mean(inputs, self._axes, self.keepdims)


class GlobalAveragePooling3D(GlobalAveragePooling2D):
    """The mean of each channel of a volume: (batch, …, channels) to (batch, channels)."""

    spatial = 3


class GlobalMaxPooling1D(_GlobalPooling):
    """The largest element over time: (batch, time, channels) to (batch, channels)."""

    def call(self, inputs: Any) -> Any:
        return ops.max(inputs, self._axes, self.keepdims)


class GlobalMaxPooling2D(GlobalMaxPooling1D):
    """The largest element of each channel of an image: (batch, height, width, channels) to (batch, channels)."""

    spatial = 2


class GlobalMaxPooling3D(GlobalMaxPooling1D):
    """The largest element of each channel of a volume: (batch, …, channels) to (batch, channels)."""

    spatial = 3


# Keras's other names for the same layers.
AvgPool1D = AveragePooling1D
AvgPool2D = AveragePooling2D
AvgPool3D = AveragePooling3D
MaxPool1D = MaxPooling1D
MaxPool2D = MaxPooling2D
MaxPool3D = MaxPooling3D
GlobalAvgPool1D = GlobalAveragePooling1D
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D
GlobalMaxPool1D = GlobalMaxPooling1D
GlobalMaxPool2D = GlobalMaxPooling2D
GlobalMaxPool3D = GlobalMaxPooling3D
