"""Sequences of different lengths as one array."""

from __future__ import annotations

from typing import Any

import numpy as np


def pad_sequences(
    sequences: Any,
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Sequences, padded or cut to one length.

    Args:
        sequences: lists or arrays, each of shape ``(length, *rest)`` with the same `rest`.
        maxlen: the length; by default that of the longest.
        dtype: of the result; ``object`` for strings.
        padding: "pre" or "post", where `value` goes.
        truncating: "pre" or "post", where longer sequences lose their elements.

    Returns:
        An array of shape ``(number of sequences, maxlen, *rest)``.

    Raises:
        ValueError: if an item is no sequence or has another `rest`, or an argument is none of its values.
    """
    for name, given in (("padding", padding), ("truncating", truncating)):
        if given not in ("pre", "post"):
            raise ValueError(f"pad_sequences: `{name}` must be 'pre' or 'post', not {given!r}.")
    if not hasattr(sequences, "__len__"):
        raise ValueError(f"pad_sequences needs a list of sequences, not a {type(sequences).__name__}.")
    for i, item in enumerate(sequences):
        if not hasattr(item, "__len__"):
            raise ValueError(f"pad_sequences: item {i} is {item!r}, not a sequence.")
    kind = np.dtype(dtype)
    if isinstance(value, str) and kind.kind not in "OUS":
        raise ValueError(f"pad_sequences: a `value` of {value!r} needs dtype=object, not {kind}.")
    length = max((len(s) for s in sequences), default=0) if maxlen is None else int(maxlen)
    rest: tuple[int, ...] = next((np.shape(s)[1:] for s in sequences if len(s)), ())
    result = np.full((len(sequences), length, *rest), value, kind)
    for i, item in enumerate(sequences):
        if not len(item) or not length:
            continue
        part = np.asarray(item[-length:] if truncating == "pre" else item[:length], kind)
        if part.shape[1:] != rest:
            raise ValueError(
                f"pad_sequences: item {i} has elements of shape {part.shape[1:]}, those before have {rest}."
            )
        if padding == "pre":
            result[i, length - len(part) :] = part
        else:
            result[i, : len(part)] = part
    return result


def split_dataset(
    dataset: Any,
    left_size: float | int | None = None,
    right_size: float | int | None = None,
    shuffle: bool = False,
    seed: int | None = None,
) -> tuple[Any, Any]:
    """Arrays (or structures of arrays) in two parts.

    Args:
        dataset: arrays with the same number of samples, e.g. ``(x, y)``.
        left_size, right_size: numbers of samples (ints) or parts of the whole (floats below 1); one may be left out.
        shuffle: draw the samples instead of taking them in order.
        seed: for `shuffle`; the global seed by default. The split is the same on every backend.

    Returns:
        Two structures like `dataset`; NumPy arrays for host data, tensors for tensors.

    Raises:
        ValueError: if the sizes are missing, not positive or too large together.
    """
    from unidl import _seed, tree
    from unidl.backend import active
    from unidl.training.data._convert import arrays_of, check_lengths

    data = arrays_of(dataset, "dataset")
    total = check_lengths(data, None, None)

    def count(size: float | int | None, name: str) -> int | None:
        if size is None:
            return None
        if isinstance(size, bool) or size <= 0 or (isinstance(size, float) and size >= 1):
            raise ValueError(
                f"split_dataset: `{name}` must be an int of samples or a float between 0 and 1, not {size!r}."
            )
        return round(size * total) if isinstance(size, float) else int(size)

    left, right = count(left_size, "left_size"), count(right_size, "right_size")
    if left is None and right is None:
        raise ValueError("split_dataset needs `left_size` or `right_size`.")
    left = total - (right or 0) if left is None else left
    right = total - left if right is None else right
    if left + right > total or left < 1 or right < 1:
        raise ValueError(
            f"split_dataset: {left} and {right} samples of {total} are asked for; both parts must have some."
        )
    if shuffle:
        order = _seed.stream("split", _seed.next_index("split") if seed is None else 0, seed=seed).permutation(total)
    else:
        order = np.arange(total)

    def cut(indices: np.ndarray) -> Any:
        def pick(array: Any) -> Any:
            if active.is_tensor(array):
                return active.table["take"](array, active.to_tensor(indices.astype(np.int32)), 0)
            return array[indices]

        return tree.map_structure(pick, data)

    return cut(order[:left]), cut(order[left : left + right])
