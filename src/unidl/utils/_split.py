"""`split_dataset`: samples in two parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from unidl import _seed, tree
from unidl.backend import active
from unidl.graph.symbolic import TensorSpec
from unidl.utils._dataset import Dataset, delivered, native


class Rows(Dataset):
    """Samples that can be had by their number, as PyTorch's `DataLoader` wants."""

    def __init__(self, pick: Any, places: np.ndarray) -> None:
        super().__init__(self._all, len(places))
        self._pick, self._places = pick, places

    def _all(self, n: int) -> Iterator[Any]:
        return (self[i] for i in range(len(self._places)))

    def __getitem__(self, index: int) -> Any:
        return self._pick(int(self._places[index]))


def split_dataset(
    dataset: Any,
    left_size: float | int | None = None,
    right_size: float | int | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Any, Any]:
    """Samples in two parts, for training and for testing.

    Args:
        dataset: arrays with the same number of samples, e.g. ``(x, y)``, or a dict of them; a `tf.data.Dataset`,
            a `utils.Dataset`, or a PyTorch data set with a length.
        left_size, right_size: numbers of samples (ints) or parts of the whole (floats below 1); one may be left out.
            The left part is the beginning, the right one the end.
        shuffle: draw the samples instead of taking them in order.
        seed: for `shuffle`; the global seed by default. The split is the same on every backend.
        preferred_backend: "tensorflow" or "torch"; None: the active one.

    Returns:
        Two data sets whose elements are samples: `tf.data.Dataset`s on TensorFlow (unless "torch" is preferred),
        `utils.Dataset`s with a length and items by number elsewhere. ``.batch(32)`` makes them ready for `fit`. Batches
        of a `tf.data.Dataset` stay batches of that size.

    Raises:
        ValueError: if the sizes are missing, not positive or too large together, or the data is empty.
        TypeError: if `dataset` or a size is of no such type.

    Example:
        >>> import numpy as np, unidl
        >>> left, right = unidl.utils.split_dataset((np.arange(10), np.ones(10)), left_size=0.8)
        >>> len(left), len(right)
        (8, 2)
    """
    if preferred_backend not in (None, "tensorflow", "torch"):
        raise ValueError(f"`preferred_backend` must be 'tensorflow', 'torch' or None; received: {preferred_backend!r}.")
    pick, total, batched = _samples(dataset)
    left, right = _sizes(left_size, right_size, total)
    order = np.arange(total)
    if shuffle:
        order = _seed.stream("split", _seed.next_index("split") if seed is None else 0, seed=seed).permutation(total)
    parts = []
    for places in (order[:left], order[total - right :]):
        rows = Rows(pick, places)
        spec = tree.map_structure(_spec, pick(int(places[0])))
        part: Any = rows if batched is None else rows.batch(batched)
        if batched is not None:
            spec = tree.map_structure(lambda s: _Leaf(TensorSpec((None, *s.spec.shape), s.spec.dtype)), spec)
        spec = tree.map_structure(lambda s: s.spec, spec)
        if active.name == "tensorflow" and preferred_backend != "torch":
            parts.append(delivered(_host(part), spec, True))
        else:
            parts.append(part if batched is not None else Rows(lambda i: _native(pick(i)), places))
    return parts[0], parts[1]


class _Leaf:
    """Holds a `TensorSpec`, which is a named tuple, as one leaf."""

    def __init__(self, spec: TensorSpec) -> None:
        self.spec = spec


def _spec(leaf: Any) -> _Leaf:
    if active.is_tensor(leaf):
        return _Leaf(TensorSpec(tuple(active.shape(leaf)), active.dtype(leaf)))
    array = np.asarray(leaf)
    return _Leaf(TensorSpec(array.shape, "string" if array.dtype.kind in "OUS" else array.dtype.name))


def _native(sample: Any) -> Any:
    return next(iter(native(Dataset(lambda n: [sample], 1))))


def _host(dataset: Dataset) -> Dataset:
    """The data set with NumPy arrays in the place of tensors."""
    return dataset.map(
        lambda *e: tree.map_structure(
            lambda v: active.to_numpy(v) if active.is_tensor(v) else v, e if len(e) > 1 else e[0]
        )
    )


def _samples(dataset: Any) -> tuple[Any, int, int | None]:
    """A function of a sample's number, the number of samples, and the size of the batches that they came in."""
    from unidl.training.data._convert import arrays_of, check_lengths

    if isinstance(dataset, (list, tuple, dict, np.ndarray)) or active.is_tensor(dataset):
        if not len(dataset):
            raise ValueError("split_dataset: the dataset is empty.")
        data = arrays_of(dataset, "dataset")
        total = check_lengths(data, None, None)
        if isinstance(data, list):
            data = tuple(data)
        return (lambda i: tree.map_structure(lambda a: a[i], data)), total, None
    if hasattr(dataset, "as_numpy_iterator"):
        size = getattr(dataset, "_batch_size", None)
        batched = None if size is None else int(size)
        rows = list((dataset if batched is None else dataset.unbatch()).as_numpy_iterator())
        if not rows:
            raise ValueError("split_dataset: the dataset is empty.")
        return rows.__getitem__, len(rows), batched
    if hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__"):
        return dataset.__getitem__, len(dataset), None
    raise TypeError(
        "split_dataset: the `dataset` argument must be a list, tuple or dict of arrays, a tf.data.Dataset, a "
        f"utils.Dataset or a PyTorch data set; received: {type(dataset).__name__}."
    )


def _sizes(left_size: Any, right_size: Any, total: int) -> tuple[int, int]:
    """How many samples go to either side."""
    if left_size is None and right_size is None:
        raise ValueError("split_dataset: `left_size` and `right_size` are both None; give one of them, or both.")

    def count(size: Any, name: str) -> int | None:
        if size is None:
            return None
        if isinstance(size, bool) or not isinstance(size, (int, float, np.integer)):
            raise TypeError(f"Invalid `{name}` type: an int or a float was expected; received: {size!r}.")
        whole = not isinstance(size, float)
        if size < 0 or (whole and size > total) or (not whole and size > 1):
            raise ValueError(
                f"`{name}` should be an int up to {total} (samples) or a float from 0 to 1 (a share), not {size}."
            )
        return int(size) if whole else round(size * total)

    if isinstance(left_size, float) and isinstance(right_size, float) and left_size + right_size > 1:
        raise ValueError(f"`left_size` and `right_size` are more than 1 in sum: {left_size} and {right_size}.")
    left, right = count(left_size, "left_size"), count(right_size, "right_size")
    left = total - (right or 0) if left is None else left
    right = total - left if right is None else right
    if left + right > total:
        raise ValueError(f"`left_size` and `right_size` ask for {left + right} samples; the dataset has {total}.")
    if left < 1 or right < 1:
        raise ValueError(
            f"split_dataset: {left} and {right} samples of {total} would leave a side empty; both must have some."
        )
    return left, right
