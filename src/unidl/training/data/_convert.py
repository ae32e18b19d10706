"""What data may be made of, and how it becomes native tensors.

Dtypes: Python floats and floating NumPy arrays become the default float, as do float64 tensors;
integers and bools stay as they are, except that an unsigned type which the engine lacks becomes the
next wider signed one.
"""

from __future__ import annotations

import numbers
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from unidl import tree
from unidl.backend import active
from unidl.dtypes import FLOATS, dtype_name, floatx
from unidl.errors import OpError
from unidl.graph.symbolic import SymbolicTensor
from unidl.ops._bind import host_array, numpy_dtype

_WIDER = {"uint8": "int16", "uint16": "int32", "uint32": "int64", "uint64": "int64"}


# -- leaves ----------------------------------------------------------------------------------------


def arrays_of(value: Any, name: str) -> Any:
    """`value` with every leaf an array: NumPy, native, or one that lies in a file.

    A list whose first innermost element is a number (or a string, which is then refused) is one
    array; any other list, tuple or dict is a structure. None stays None.

    Raises:
        ValueError: for strings, objects, ragged lists and 0-d values; names the place, e.g. ``x['a']``.
        TypeError: for anything that is no array.
    """
    if value is None:
        return None
    if isinstance(value, dict):
        entries = {key: arrays_of(item, f"{name}[{key!r}]") for key, item in value.items()}
        return OrderedDict(entries) if isinstance(value, OrderedDict) else entries
    if isinstance(value, (list, tuple)) and not _is_numbers(value):
        items = [arrays_of(item, f"{name}[{i}]") for i, item in enumerate(value)]
        if isinstance(value, list):
            return items
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return array_of(value, name)


def _is_numbers(value: Any) -> bool:
    while isinstance(value, (list, tuple)):
        if not value:
            return True
        value = value[0]
    return isinstance(value, (numbers.Number, np.generic, str, bytes))


def is_native(value: Any) -> bool:
    """Whether `value` is a tensor of the engine. NumPy arrays count as host data, on the NumPy backend too."""
    return not isinstance(value, np.ndarray) and active.is_tensor(value)


def is_lazy(value: Any) -> bool:
    """Whether `value` is an array in a file, of which parts are read by indexing (h5py, zarr)."""
    return type(value).__module__.partition(".")[0] in ("h5py", "zarr") and hasattr(value, "shape")


def array_of(value: Any, name: str) -> Any:
    """One leaf, see `arrays_of`."""
    if isinstance(value, SymbolicTensor):
        raise TypeError(f"`{name}` is a symbolic tensor, which has no values: give arrays to train on, not Input().")
    if is_native(value):
        if active.dtype(value) == "float64" != floatx():
            value = active.cast(value, floatx())
    elif not isinstance(value, np.ndarray) and not is_lazy(value):
        value = _host(value, name)
    if active.strings and isinstance(value, np.ndarray) and value.dtype.kind in "US" and value.ndim:
        value = active.to_tensor(value)
    shape = active.shape(value) if is_native(value) else value.shape
    if len(shape) == 0:
        raise ValueError(
            f"`{name}` is a single number, not an array: its first dimension must count the samples. "
            "Wrap it, e.g. np.array([value])."
        )
    if not is_native(value) and value.dtype.kind not in "biufc" and value.dtype.name != "bfloat16":
        raise ValueError(
            f"`{name}` has NumPy dtype {value.dtype}, which no tensor can have: tensors hold numbers and bools. "
            "Encode strings as integers (e.g. np.unique(…, return_inverse=True)), objects by .astype('float32')."
        )
    return value


def _host(value: Any, name: str) -> np.ndarray:
    """A NumPy array of a list, of another library's array or of another engine's tensor."""
    if hasattr(value, "toarray"):
        raise TypeError(f"`{name}` is a sparse {type(value).__name__}: make it dense with {name}.toarray().")
    try:
        if isinstance(value, (list, tuple, numbers.Number, np.generic, str, bytes)):
            return host_array(value)
        if hasattr(value, "detach") and hasattr(value, "cpu"):
            return host_array(value.detach().cpu().numpy())
        for method in ("asnumpy", "numpy"):
            if callable(getattr(value, method, None)):
                return host_array(np.asarray(getattr(value, method)()))
        if hasattr(value, "__array__"):
            return host_array(np.asarray(value))
    except OpError as error:
        raise ValueError(f"`{name}`: {error}") from None
    raise TypeError(f"`{name}` is a {type(value).__name__}, which is no array. {ACCEPTED}")


ACCEPTED = (
    "Data may be NumPy arrays, tensors, lists of numbers, and dicts, tuples or lists of those; or a generator, an "
    "iterable of batches (such as torch's DataLoader), a tf.data.Dataset or a utils.PyDataset."
)


def batch_dtype(dtype: Any) -> str:
    """The dtype in which host data of `dtype` is given to the engine."""
    name = dtype_name(dtype)
    if name in FLOATS:
        return floatx()
    while name not in active.dtypes and name in _WIDER:
        name = _WIDER[name]
    return name


def to_native(array: Any, borrow: bool = False) -> Any:
    """A leaf as a native tensor; with `borrow` one that is read only, and may share the leaf's memory."""
    if is_native(array):
        return active.to_tensor(array)
    array = np.asarray(array)
    name = batch_dtype(array.dtype)
    if dtype_name(array.dtype) != name or not array.dtype.isnative:
        array = array.astype(numpy_dtype(name))
    return active.borrow(array) if borrow else active.to_tensor(array)


def length(array: Any) -> int:
    """Number of samples of a leaf."""
    return int((active.shape(array) if is_native(array) else array.shape)[0] or 0)


def check_lengths(x: Any, y: Any, sample_weight: Any) -> int:
    """The common number of samples.

    Raises:
        ValueError: if the parts differ, or hold no sample.
    """
    parts = {"x": x, "y": y, "sample_weight": sample_weight}
    counts = {k: [length(a) for a in tree.flatten(v) if a is not None] for k, v in parts.items()}
    if not counts["x"]:
        raise ValueError("`x` holds no array.")
    distinct = {n for c in counts.values() for n in c}
    if len(distinct) > 1:
        text = ", ".join(f"`{k}` has {' and '.join(map(str, c))}" for k, c in counts.items() if c)
        raise ValueError(
            f"The arrays have different numbers of samples (first dimension): {text}. "
            "Note that a list of arrays is a list of inputs; np.stack makes one array of it."
        )
    if distinct == {0}:
        raise ValueError("The data is empty: `x` has 0 samples.")
    return distinct.pop()


# -- batches ---------------------------------------------------------------------------------------


def unpacked(item: Any) -> tuple[Any, Any, Any]:
    """What a source yielded, as (x, y, sample_weight)."""
    if not isinstance(item, (tuple, list)) or hasattr(item, "_fields"):
        return item, None, None
    if not 1 <= len(item) <= 3:
        raise ValueError(
            f"A batch must be x, (x,), (x, y) or (x, y, sample_weight); a {type(item).__name__} of {len(item)} came."
        )
    return (*item, *(None,) * (3 - len(item)))  # type: ignore[return-value]


def native_batch(item: Any, class_weight: dict[int, float] | None) -> tuple[Any, Any, Any]:
    """What a source yielded, as structures of native tensors."""
    x, y, sample_weight = unpacked(item)
    x, y, sample_weight = arrays_of(x, "x"), arrays_of(y, "y"), arrays_of(sample_weight, "sample_weight")
    check_lengths(x, y, sample_weight)
    if class_weight is not None:
        sample_weight = with_class_weight(y, sample_weight, class_weight)
    return _all_native(x), _all_native(y), _all_native(sample_weight, weights=True)


def _all_native(value: Any, weights: bool = False) -> Any:
    if value is None:
        return None
    convert = weight_native if weights else to_native
    if isinstance(value, (dict, list, tuple)):
        return tree.map_structure(lambda a: None if a is None else convert(a), value)
    return convert(value)


def weight_native(array: Any) -> Any:
    """Sample weights as a native tensor of a float dtype."""
    tensor = to_native(array)
    return tensor if active.dtype(tensor) in FLOATS else active.cast(tensor, floatx())


def packer(structure: tuple[Any, Any, Any]) -> Callable[[Iterator[tuple[Any, ...]]], Iterator[tuple[Any, Any, Any]]]:
    """A function that puts rows of flat leaves into the nesting of (x, y, sample_weight).

    The usual shapes (one leaf or None in each place) cost no more than a tuple.
    """
    x, y, sample_weight = structure
    if not tree.is_nested(x) and not tree.is_nested(y) and not tree.is_nested(sample_weight):
        if y is None and sample_weight is None:
            return lambda rows: ((row[0], None, None) for row in rows)
        if sample_weight is None:
            return lambda rows: ((row[0], row[1], None) for row in rows)
        if y is None:
            return lambda rows: ((row[0], None, row[1]) for row in rows)
        return lambda rows: rows  # type: ignore[return-value]
    present = [leaf is not None for leaf in tree.flatten(structure)]

    def nested(row: tuple[Any, ...]) -> Any:
        leaves = iter(row)
        return tree.pack_sequence_as(structure, [next(leaves) if here else None for here in present])

    return lambda rows: map(nested, rows)


# -- class weights ---------------------------------------------------------------------------------


def checked_class_weight(class_weight: Any) -> dict[int, float] | None:
    """`class_weight` as a dict of ints and floats."""
    if class_weight is None:
        return None
    if not isinstance(class_weight, dict) or not class_weight:
        raise ValueError(f"`class_weight` must be a dict of class index to weight, not {class_weight!r}.")
    for key, weight in class_weight.items():
        if isinstance(key, bool) or not isinstance(key, (int, np.integer)) or key < 0:
            raise ValueError(f"`class_weight` has the key {key!r}; keys are class indices (0, 1, …).")
        if not np.isfinite(float(weight)) or weight < 0:
            raise ValueError(f"`class_weight` gives class {key} the weight {weight!r}; weights are numbers >= 0.")
    return {int(k): float(w) for k, w in class_weight.items()}


def with_class_weight(y: Any, sample_weight: Any, class_weight: dict[int, float]) -> np.ndarray:
    """One weight a sample: that of its class, times its own if there is one.

    `y` is one array of class indices, of shape (n,) or (n, 1), or one-hot (n, classes).

    Raises:
        ValueError: if a class of `y` has no weight, or `y` is neither.
    """
    if y is None or tree.is_nested(y):
        raise ValueError("`class_weight` needs one array of targets `y`; give `sample_weight` for anything else.")
    labels = active.to_numpy(y) if active.is_tensor(y) else np.asarray(y)
    if labels.ndim > 2:
        raise ValueError(
            f"`class_weight` needs class indices of shape (n,) or (n, 1), or one-hot rows (n, classes); `y` has shape "
            f"{labels.shape}. Give `sample_weight` instead."
        )
    if labels.ndim == 2 and labels.shape[1] > 1:
        if beyond := sorted(k for k in class_weight if k >= labels.shape[1]):
            raise ValueError(f"`class_weight` names the classes {beyond}, but `y` has {labels.shape[1]} columns.")
        indices = labels.argmax(1)
    else:
        indices = labels.reshape(-1)
        if indices.dtype.kind == "f" and not np.array_equal(indices, np.floor(indices)):
            raise ValueError("`class_weight` needs class indices in `y`, but it holds fractions.")
        indices = indices.astype(np.int64)
    classes, place = np.unique(indices, return_inverse=True)
    if unknown := [int(c) for c in classes if int(c) not in class_weight]:
        raise ValueError(
            f"`y` holds the classes {unknown[:10]}, which have no weight in `class_weight` "
            f"(it has {sorted(class_weight)[:20]}). Give every class one; 1.0 is neutral."
        )
    weights = np.array([class_weight[int(c)] for c in classes], numpy_dtype(floatx()))[place.reshape(-1)]
    if sample_weight is None:
        return weights
    if tree.is_nested(sample_weight):
        raise ValueError("`class_weight` goes with a single array of `sample_weight`.")
    own = active.to_numpy(sample_weight) if active.is_tensor(sample_weight) else np.asarray(sample_weight)
    return own * weights.reshape(-1, *(1,) * (own.ndim - 1))
