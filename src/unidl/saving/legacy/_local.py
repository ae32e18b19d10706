"""Layers that Keras 3 has no more: convolutions whose kernel is another one at each place."""

from __future__ import annotations

import itertools
import math
from typing import Any

from unidl import ops
from unidl.backend.attributes import sized
from unidl.config import checked_data_format
from unidl.layers import Layer
from unidl.layers._common import activation_of, positive, require_known, require_rank, resolve, weight_settings


class _LocallyConnected(Layer):
    """``y[p] = activation(patch(x, p) · kernel[p] + bias[p])`` at each place p of the output.

    A patch is flattened: with channels last by the place in the window, then the channel; with channels first the other
    way round. Weights: kernel (places, size of a patch, filters), bias (*places of each axis, filters).
    """

    _rank: int

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        implementation: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        kind = type(self).__name__
        if padding != "valid" or implementation != 1:
            raise ValueError(
                f"{kind} {self.name!r} has padding={padding!r} and implementation={implementation!r}; only 'valid' and "
                "1 are read, what Keras took by default. Save the model with these in Keras 2."
            )
        self.filters = positive(self, "filters", filters)
        self.kernel_size = sized(kernel_size, self._rank, "kernel_size")
        self.strides = sized(strides, self._rank, "strides")
        self.padding, self.implementation, self.data_format = padding, implementation, checked_data_format(data_format)
        self.activation, self.use_bias = activation_of(activation), use_bias
        self.bias: Any = None
        resolve(self, **weight_settings(locals()))

    @property
    def _last(self) -> bool:
        return self.data_format == "channels_last"

    def _places(self, shape: Any) -> tuple[int, ...]:
        """The places of the output along each axis."""
        first = 1 if self._last else 2
        sizes = [require_known(shape, first + i, "places") for i in range(self._rank)]
        found = tuple((n - k) // s + 1 for n, k, s in zip(sizes, self.kernel_size, self.strides))
        if min(found) < 1:
            raise ValueError(
                f"{type(self).__name__} {self.name!r}: a window of {self.kernel_size} does not fit into an input of "
                f"shape {tuple(shape)}."
            )
        return found

    def build(self, input_shape: Any) -> None:
        require_rank(input_shape, self._rank + 2, "(batch, places, channels)")
        places = self._places(input_shape)
        channels = require_known(input_shape, -1 if self._last else 1, "channels")
        self.kernel = self.add_weight(
            (math.prod(places), math.prod(self.kernel_size) * channels, self.filters), self.kernel_initializer,
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint, name="kernel",
        )  # fmt: skip
        if self.use_bias:
            self.bias = self.add_weight(
                (*places, self.filters), self.bias_initializer, regularizer=self.bias_regularizer,
                constraint=self.bias_constraint, name="bias",
            )  # fmt: skip

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """(batch, *places, filters), or with the filters second."""
        places = self._places(input_shape)
        return (input_shape[0], *places, self.filters) if self._last else (input_shape[0], self.filters, *places)

    def call(self, inputs: Any) -> Any:
        places = self._places(inputs.shape)
        axes = tuple(range(self._rank))
        x = inputs if self._last else ops.transpose(inputs, (0, *(2 + i for i in axes), 1))
        windows = []
        for start in itertools.product(*map(range, self.kernel_size)):
            ends = [a + (n - 1) * s + 1 for a, n, s in zip(start, places, self.strides)]
            key = (slice(None), *map(slice, start, ends, self.strides))
            windows.append(x[key])
        patches = ops.stack(windows, axis=-2 if self._last else -1)
        flat = ops.reshape(patches, (-1, self.kernel.shape[0], self.kernel.shape[1]))
        y = ops.matmul(ops.transpose(flat, (1, 0, 2)), self.kernel)
        y = ops.reshape(ops.transpose(y, (1, 0, 2)), (-1, *places, self.filters))
        if self.bias is not None:
            y = ops.add(y, self.bias)
        y = self._activated(self.activation, y)
        return y if self._last else ops.transpose(y, (0, self._rank + 1, *(1 + i for i in axes)))


class LocallyConnected1D(_LocallyConnected):
    """`LocallyConnected1D` of Keras 1 and 2: (batch, steps, channels) to (batch, steps, filters).

    Args: as those of `layers.Conv1D`, with ``padding="valid"``.

    Example:
        >>> import unidl
        >>> from unidl.saving.legacy import LocallyConnected1D
        >>> layer = LocallyConnected1D(2, 3)
        >>> tuple(layer(unidl.ops.ones((1, 5, 4))).shape), tuple(layer.kernel.shape)
        ((1, 3, 2), (3, 12, 2))
    """

    _rank = 1


class LocallyConnected2D(_LocallyConnected):
    """`LocallyConnected2D` of Keras 1 and 2: (batch, rows, columns, channels) to (batch, rows, columns, filters).

    Args: as those of `layers.Conv2D`, with ``padding="valid"``.

    Example:
        >>> import unidl
        >>> from unidl.saving.legacy import LocallyConnected2D
        >>> layer = LocallyConnected2D(2, (3, 2))
        >>> tuple(layer(unidl.ops.ones((1, 5, 4, 1))).shape), tuple(layer.kernel.shape)
        ((1, 3, 3, 2), (9, 6, 2))
    """

    _rank = 2
