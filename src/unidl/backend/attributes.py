"""Checking and completing the attributes of window ops and padding: for declarations and backends alike.

Nothing here needs a bound backend, so a backend's modules may import it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from unidl.config import checked_data_format
from unidl.errors import OpError


def require(condition: bool, message: str) -> None:
    """Raise OpError with `message` unless `condition` holds."""
    if not condition:
        raise OpError(message)


class Geometry(NamedTuple):
    """The attributes of a window op, one number for each spatial dimension.

    Attributes:
        strides, dilation: in elements.
        padding: "valid" or "same".
        channels_last: whether channels are the last axis (else axis 1).
    """

    strides: tuple[int, ...]
    padding: str
    dilation: tuple[int, ...]
    channels_last: bool

    @property
    def spatial(self) -> range:
        """The axes of the spatial dimensions."""
        n = len(self.strides)
        return range(1, n + 1) if self.channels_last else range(2, n + 2)

    @property
    def channel(self) -> int:
        """The axis of the channels."""
        return len(self.strides) + 1 if self.channels_last else 1


def sized(value: Any, n: int, what: str) -> tuple[int, ...]:
    """`value` (an int or a sequence of n) as n positive ints."""
    values = (value,) * n if isinstance(value, int) else tuple(value)
    if len(values) == 1:
        values = values * n
    if len(values) != n or not all(isinstance(v, int) and v > 0 for v in values):
        raise OpError(f"`{what}` must be a positive int or {n} of them, not {value!r}.")
    return values


def geometry(n: int, strides: Any, padding: str, dilation: Any, data_format: str | None) -> Geometry:
    """Checked and completed attributes for n spatial dimensions."""
    require(1 <= n <= 3, f"inputs need 3 to 5 dimensions (batch, 1 to 3 spatial, channels), not {n + 2}.")
    padding = str(padding).lower()
    require(padding in ("valid", "same"), f"`padding` must be 'valid' or 'same', not {padding!r}.")
    strides, dilation = sized(strides, n, "strides"), sized(dilation, n, "dilation_rate")
    return Geometry(strides, padding, dilation, checked_data_format(data_format) == "channels_last")


def check_window(sizes: Iterable[int | None], window: Sequence[int], g: Geometry) -> None:
    """Raise OpError if a spatial size (None: unknown) is 0, or smaller than a "valid" window."""
    for size, w, d in zip(sizes, window, g.dilation, strict=True):
        reach = (w - 1) * d + 1
        require(w > 0 and size != 0, f"a window of {w} elements meets a dimension of size {size}: nothing to compute.")
        if g.padding == "valid" and size is not None and size < reach:
            raise OpError(
                f"the window covers {reach} elements, but the input has only {size} there. "
                "Use padding='same', a smaller window, or a larger input."
            )


def same_padding(size: int, window: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Elements to add (before, after) so that the output has ``ceil(size / stride)`` elements.

    If their number is odd, the extra one goes after, as in TensorFlow.
    """
    require(size > 0, "a dimension of size 0 cannot be padded.")
    total = max((-(-size // stride) - 1) * stride + (window - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def output_paddings(value: Any, n: int) -> tuple[int | None, ...]:
    """`value` (None, an int, or a sequence of n) as one number or None for each spatial dimension."""
    values = (value,) * n if value is None or isinstance(value, int) else tuple(value)
    require(len(values) == n, f"`output_padding` must be None, an int or {n} of them, not {value!r}.")
    return values


def transpose_padding(
    window: int, stride: int, dilation: int, padding: str, output_padding: int | None
) -> tuple[int, int]:
    """How a transposed convolution crops its full output: elements (before, after) along one dimension.

    The full output has ``(size - 1) * stride + reach`` elements. "same" leaves ``size * stride``, and
    "valid" ``size * stride + max(reach - stride, 0)``; a negative number adds zeros.

    Raises:
        OpError: if `output_padding` is not below `stride`.
    """
    if output_padding is not None:
        fits = isinstance(output_padding, int) and 0 <= output_padding < stride
        require(fits, f"`output_padding` must be at least 0 and below the stride {stride}, not {output_padding}.")
    reach = (window - 1) * dilation + 1
    if padding == "same":
        total = reach - stride if output_padding is None else 2 * (reach // 2) - output_padding
        before = max(total, 0) // 2
        return before, total - before
    return 0, min(reach - stride, 0) if output_padding is None else -output_padding


def pad_pairs(pad_width: Any, rank: int) -> tuple[tuple[int, int], ...]:
    """`pad_width` (an int, one pair, or a pair for each dimension) as one (before, after) pair for each dimension."""
    wide = np.asarray(pad_width, dtype=object)
    valid = wide.ndim <= 2 and all(hasattr(n, "__index__") and not isinstance(n, bool) and n >= 0 for n in wide.flat)
    try:
        pairs = np.broadcast_to(wide, (rank, 2)) if valid else None
    except ValueError:
        pairs = None
    if pairs is None:
        raise OpError(
            f"`pad_width` {pad_width} must give a (before, after) pair of ints from 0 on for each of {rank} dimensions."
        )
    return tuple((int(a), int(b)) for a, b in pairs)


def copied_places(size: int, before: int, after: int, mode: str) -> list[int]:
    """Which elements of a dimension of `size` stand in its form padded by `mode`: edge, reflect, symmetric or wrap."""
    places = range(-before, size + after)
    if mode == "edge":
        return [min(max(i, 0), size - 1) for i in places]
    if mode == "wrap":
        return [i % size for i in places]
    # Both mirrored forms repeat with a period; reflecting leaves the elements at the edge out.
    more = int(mode == "symmetric")
    period = max(2 * size - 2 + 2 * more, 1)
    return [min(i % period, period - i % period - more) for i in places]
