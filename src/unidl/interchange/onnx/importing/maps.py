"""`ai.onnx.ml`: maps, which are dicts on the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from unidl.interchange.onnx._tensors import text
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import ML, operator


@operator("ZipMap", domain=ML)
def _zip_map(call: Call, x: Any) -> Any:
    """Rows as dicts from class to number, on the host."""
    keys = call.get("classlabels_int64s") or call.need("classlabels_strings")
    rows = np.atleast_2d(call.array(x, "the scores"))
    if rows.shape[-1] != len(keys):
        raise call.error(f"there are {len(keys)} classes for {rows.shape[-1]} columns")
    return [dict(zip(keys, row, strict=True)) for row in rows.tolist()]


@operator("DictVectorizer", domain=ML)
def _dict_vectorizer(call: Call, x: Any) -> Any:
    """The values in the order of the vocabulary, (1, words); 0, or an empty text, for those that are missing."""
    words = call.get("string_vocabulary") or call.need("int64_vocabulary")
    if unknown := sorted(set(_checked(call, x)) - set(words)):
        raise call.error(f"{unknown[0]!r} is not in the vocabulary")
    return _row([x.get(word) for word in words])


@operator("CastMap", domain=ML)
def _cast_map(call: Call, x: Any) -> Any:
    """The values by ascending key, (1, values), or each at the place that its key says (SPARSE)."""
    cast = _CASTS[call.get("cast_to", "TO_FLOAT")]
    values = {key: cast(value) for key, value in sorted(_checked(call, x).items())}
    if call.get("map_form", "DENSE") == "DENSE":
        return _row(list(values.values()))
    size = call.get("max_map", 1)
    if values and not (min(values) >= 0 and max(values) < size):
        raise call.error(f"the keys are {min(values)} to {max(values)}, but max_map is {size}")
    return _row([values.get(place) for place in range(size)])


def _checked(call: Call, x: Any) -> dict[Any, Any]:
    if not isinstance(x, dict):
        raise call.error("the input is not a map: give a dict")
    return x


def _shown(value: Any) -> str:
    """A text as it is, a number as the C++ function `std::to_string` writes it."""
    return value if isinstance(value, str) else f"{value:f}"


_CASTS: dict[str, Callable[[Any], Any]] = {"TO_FLOAT": np.float32, "TO_INT64": np.int64, "TO_STRING": _shown}


def _row(row: list[Any]) -> np.ndarray:
    """Numbers or texts as (1, values); None where there is none."""
    values = [v for v in row if v is not None]
    if values and isinstance(values[0], str):
        return text([v or "" for v in row]).reshape(1, -1)
    first = np.asarray(values[0] if values else 0.0)
    dtype = np.float32 if first.dtype == np.float64 and not isinstance(values[0], np.generic) else first.dtype
    return np.array([0 if v is None else v for v in row], dtype).reshape(1, -1)
