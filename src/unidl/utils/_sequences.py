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
        raise ValueError(f"pad_sequences: `dtype` {kind} is not compatible with `value` {value!r}: use dtype=object.")
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
