"""Nested states as JSON and arrays: what checkpoints hold of things that are no weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.backend import active


def packed(value: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    """`value` as JSON has it; its arrays go to `arrays`, under names made of `path` and their place.

    A state is made of None, bools, ints, floats, strings, NumPy arrays and numbers, tensors, and lists, tuples and
    dicts (with strings as keys) of them.

    Raises:
        TypeError: for anything else; names the place.
    """
    if value is None or isinstance(value, (bool, str)) or type(value) in (int, float):
        return value
    if active.is_tensor(value):
        value = active.to_numpy(value)
    if isinstance(value, (np.ndarray, np.generic)):
        if value.dtype.hasobject:
            raise TypeError(f"{path} is an array of Python objects, which a checkpoint cannot hold.")
        name = path
        while name in arrays:
            name += "'"
        arrays[name] = np.asarray(value)
        return {"$array": name}
    if isinstance(value, dict):
        if wrong := [key for key in value if not isinstance(key, str)]:
            raise TypeError(
                f"{path} is a dict with the key {wrong[0]!r}; a checkpoint holds dicts with strings as keys."
            )
        return {f"${k}" if k.startswith("$") else k: packed(v, f"{path}.{k}", arrays) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        items = [packed(item, f"{path}.{i}", arrays) for i, item in enumerate(value)]
        return {"$tuple": items} if isinstance(value, tuple) else items
    raise TypeError(
        f"{path} is a {type(value).__name__}, which a checkpoint cannot hold. A state is made of numbers, strings, "
        "arrays, and lists, tuples and dicts of them."
    )


def unpacked(data: Any, arrays: dict[str, np.ndarray]) -> Any:
    """What `packed` was given; NumPy arrays stand for tensors and NumPy's numbers.

    Raises:
        ValueError: if an array is missing.
    """
    if isinstance(data, list):
        return [unpacked(item, arrays) for item in data]
    if not isinstance(data, dict):
        return data
    if set(data) == {"$array"}:
        if data["$array"] not in arrays:
            raise ValueError(f"there is no array {data['$array']!r}")
        return arrays[data["$array"]]
    if set(data) == {"$tuple"}:
        return tuple(unpacked(item, arrays) for item in data["$tuple"])
    return {k[1:] if k.startswith("$") else k: unpacked(v, arrays) for k, v in data.items()}
