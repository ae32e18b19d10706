"""`timeseries_dataset_from_array`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from unidl import _seed
from unidl.backend import active
from unidl.graph.symbolic import TensorSpec
from unidl.utils._dataset import Dataset, delivered
from unidl.utils._directories import checked_format


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> Any:
    """Batches of windows that move over a series.

    Window number i holds ``data[i * sequence_stride + k * sampling_rate]`` for k below `sequence_length`.

    Args:
        data: array whose first dimension is time.
        targets: array of the same length: ``targets[i * sequence_stride]`` belongs to window i; or None.
        sequence_length: time steps in a window.
        sequence_stride: steps between the beginnings of windows.
        sampling_rate: steps between those in a window.
        batch_size: windows in a batch; None for single windows.
        shuffle: another order in each pass, the same on every backend for one seed.
        seed: of the order.
        start_index, end_index: use only this part of the data; the end is not part of it.
        format: "tf": on TensorFlow a `tf.data.Dataset`, elsewhere a `utils.Dataset`; "grain": a `utils.Dataset` always.

    Returns:
        A data set of windows, shape (batch, sequence_length, …), or of pairs of windows and targets.

    Raises:
        ValueError: for an index or a step outside of the data.

    Example:
        >>> import numpy as np, unidl
        >>> data = unidl.utils.timeseries_dataset_from_array(np.arange(6.0), None, 3, batch_size=None, format="grain")
        >>> [window.tolist() for window in data.as_numpy_iterator()][:2]
        [[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]]
    """
    series = _array(data)
    total = len(series)
    _check(total, sequence_length, sequence_stride, sampling_rate, start_index, end_index)
    engines_own = checked_format(format)
    part = slice(start_index or 0, total if end_index is None else end_index)
    series = series[part]
    goals = None if targets is None else _array(targets)
    windows = len(series) - (sequence_length - 1) * sampling_rate
    if goals is not None:
        windows = min(windows, len(goals))
        goals = goals[part]
        windows = min(windows, len(goals))
    starts = np.arange(0, max(windows, 0), sequence_stride)
    if not len(starts):
        raise ValueError(
            f"The data is too short: a window covers {(sequence_length - 1) * sampling_rate + 1} time steps, "
            f"there are {len(series)}."
        )
    inside = np.arange(sequence_length) * sampling_rate
    index = _seed.next_index("shuffle") if shuffle and seed is None else 0

    def batches(n: int) -> Iterator[Any]:
        order = starts
        if shuffle:
            order = starts[_seed.stream("series", index, n, seed=seed).permutation(len(starts))]
        if batch_size is None:
            for start in order:
                window = series[start + inside]
                yield window if goals is None else (window, goals[start])
            return
        for first in range(0, len(order), batch_size):
            chosen = order[first : first + batch_size]
            window = series[chosen[:, None] + inside]
            yield window if goals is None else (window, goals[chosen])

    rows: tuple[int | None, ...] = () if batch_size is None else (None,)
    spec: Any = TensorSpec((*rows, sequence_length, *series.shape[1:]), series.dtype.name)
    if goals is not None:
        spec = (spec, TensorSpec((*rows, *goals.shape[1:]), goals.dtype.name))
    length = len(starts) if batch_size is None else -(-len(starts) // batch_size)
    return delivered(Dataset(batches, length), spec, engines_own)


def _array(value: Any) -> np.ndarray:
    return active.to_numpy(value) if active.is_tensor(value) else np.asarray(value)


def _check(
    total: int,
    sequence_length: int,
    sequence_stride: int,
    sampling_rate: int,
    start_index: int | None,
    end_index: int | None,
) -> None:
    """Refuse an index or a step outside of `total` time steps.

    Raises:
        ValueError: naming the argument.
    """
    if start_index is not None and not 0 <= start_index < max(total, 1):
        what = "0 or greater" if start_index < 0 else f"lower than the length of the data, {total}"
        raise ValueError(f"`start_index` must be {what}; received: start_index={start_index}.")
    if end_index is not None:
        if start_index and end_index <= start_index:
            raise ValueError(
                f"`end_index` must be above `start_index`, where a window begins: it is {end_index}, and "
                f"start_index={start_index}."
            )
        if not 0 < end_index < total:
            what = "higher than 0" if end_index <= 0 else f"lower than the length of the data, {total}"
            raise ValueError(f"`end_index` must be {what}; received: end_index={end_index}.")
    for name, value in (("sampling_rate", sampling_rate), ("sequence_stride", sequence_stride)):
        if not 0 < value < total:
            what = "higher than 0" if value <= 0 else f"lower than the length of the data, {total}"
            raise ValueError(f"`{name}` must be {what}; received: {name}={value}.")
    if sequence_length < 1:
        raise ValueError(f"`sequence_length` must be a positive int, not {sequence_length!r}.")
