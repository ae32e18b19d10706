"""`Dataset`: elements that are made while they are iterated over, with methods that chain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice
from typing import Any

import numpy as np

from unidl import _seed, tree
from unidl.backend import active

Source = Callable[[int], Iterable[Any]]


class Strings(np.ndarray):
    """An array of strings, with the `numpy()` that scripts call on TensorFlow's string tensors."""

    def numpy(self) -> np.ndarray:
        """The strings as a plain NumPy array."""
        return self.view(np.ndarray)


def strings(values: Iterable[str]) -> Strings:
    """Python strings as an array."""
    return np.array(list(values), np.str_).view(Strings)


class Dataset:
    """Elements (batches, or samples) that are made while they are iterated over.

    An element is an array or tensor, or a tuple or dict of them. What reads files returns one, and `fit`, `evaluate`
    and `predict` take one whose elements are batches. Methods return a new `Dataset` and are named like those of
    `tf.data.Dataset`; functions are called on tensors of the active engine, so they may use `unidl.ops` and layers.

    Args:
        source: ``source(n)`` begins the pass number n (0, 1, …) over the data.
        length: number of elements; None if it is not known.
        endless: whether it has no end.

    Attributes:
        class_names: names of the classes that labels count, or None.
        file_paths: the files it is made of, if any.

    Example:
        >>> import numpy as np, unidl
        >>> data = unidl.utils.Dataset.from_tensor_slices((np.arange(5), np.ones(5)))
        >>> data = data.map(lambda x, y: (x * 2, y)).batch(2)
        >>> [x.tolist() for x, y in data.as_numpy_iterator()], len(data)
        ([[0, 2], [4, 6], [8]], 3)
    """

    class_names: list[str] | None = None
    file_paths: list[str] | None = None

    def __init__(self, source: Source, length: int | None = None, endless: bool = False) -> None:
        self._source, self._length, self._endless = source, length, endless
        self._passes = count()

    @staticmethod
    def from_tensor_slices(tensors: Any) -> Dataset:
        """The rows of arrays (or of a structure of arrays with as many rows).

        Raises:
            ValueError: if the numbers of rows differ, or there are none.
        """
        from unidl.training.data._convert import arrays_of, check_lengths

        data = arrays_of(tensors, "tensors")
        length = check_lengths(data, None, None)
        return Dataset(lambda n: (row_of(data, i) for i in range(length)), length)

    @staticmethod
    def from_generator(generator: Callable[[], Iterable[Any]]) -> Dataset:
        """What a function yields; it is called for each pass."""
        return Dataset(lambda n: generator())

    @staticmethod
    def zip(*datasets: Any) -> Dataset:
        """Elements of several data sets side by side, until one ends."""
        sets = datasets[0] if len(datasets) == 1 else datasets
        lengths = [d._length for d in sets if not d._endless]
        known = None if None in lengths or not lengths else min(v for v in lengths if v is not None)
        return Dataset(lambda n: zip(*(d.iterate(n) for d in sets), strict=False), known, not lengths)

    # -- iteration ----------------------------------------------------------------------------

    def iterate(self, epoch: int) -> Iterator[Any]:
        """The elements of pass number `epoch`: what is random in it depends on the number."""
        return iter(self._source(epoch))

    def __iter__(self) -> Iterator[Any]:
        return self.iterate(next(self._passes))

    def __len__(self) -> int:
        if self._length is None:
            what = "has no end" if self._endless else "is not known beforehand"
            raise TypeError(f"The length of this Dataset {what}.")
        return self._length

    def __bool__(self) -> bool:
        return True

    def cardinality(self) -> int:
        """Number of elements; -1 if there is no end, -2 if it is not known."""
        return -1 if self._endless else -2 if self._length is None else self._length

    def as_numpy_iterator(self) -> Iterator[Any]:
        """The elements with NumPy arrays in the place of tensors."""
        for element in self:
            yield tree.map_structure(lambda v: active.to_numpy(v) if active.is_tensor(v) else v, element)

    # -- changing -----------------------------------------------------------------------------

    def _like(self, source: Source, length: int | None, endless: bool = False) -> Dataset:
        made = Dataset(source, length, endless)
        made.class_names, made.file_paths, made._passes = self.class_names, self.file_paths, self._passes
        return made

    def map(self, map_func: Callable[..., Any], num_parallel_calls: Any = None, **options: Any) -> Dataset:
        """The results of a function of each element; tuples are spread over its arguments.

        Args:
            map_func: called without recording gradients.
            num_parallel_calls, options: accepted as in tf.data; calls are made one after another.
        """

        def source(n: int) -> Iterator[Any]:
            for element in self.iterate(n):
                with active.no_grad():
                    result = map_func(*element) if isinstance(element, tuple) else map_func(element)
                yield tuple(result) if isinstance(result, list) else result

        return self._like(source, self._length, self._endless)

    def filter(self, predicate: Callable[..., Any]) -> Dataset:
        """The elements for which a function is true."""

        def source(n: int) -> Iterator[Any]:
            for element in self.iterate(n):
                if predicate(*element) if isinstance(element, tuple) else predicate(element):
                    yield element

        return self._like(source, None, self._endless)

    def batch(self, batch_size: int, drop_remainder: bool = False, **options: Any) -> Dataset:
        """So many elements stacked to one; the last may have fewer."""
        _positive(batch_size, "batch_size")

        def source(n: int) -> Iterator[Any]:
            elements = self.iterate(n)
            while rows := list(islice(elements, batch_size)):
                if drop_remainder and len(rows) < batch_size:
                    return
                yield stacked(rows)

        length = self._length
        if length is not None:
            length = length // batch_size if drop_remainder else -(-length // batch_size)
        return self._like(source, length, self._endless)

    def unbatch(self) -> Dataset:
        """The rows of each element."""

        def source(n: int) -> Iterator[Any]:
            for element in self.iterate(n):
                rows = min(len(leaf) for leaf in tree.flatten(element))
                for i in range(rows):
                    yield row_of(element, i)

        return self._like(source, None, self._endless)

    def shuffle(
        self, buffer_size: int, seed: int | None = None, reshuffle_each_iteration: bool = True, **options: Any
    ) -> Dataset:
        """Another order: each element is drawn from the next `buffer_size`; the same on every backend for one seed."""
        _positive(buffer_size, "buffer_size")
        index = _seed.next_index("shuffle") if seed is None else 0

        def source(n: int) -> Iterator[Any]:
            random = _seed.stream("shuffle buffer", index, n if reshuffle_each_iteration else 0, seed=seed)
            elements = self.iterate(n)
            buffer = list(islice(elements, buffer_size))
            for element in elements:
                place = int(random.integers(len(buffer)))
                yield buffer[place]
                buffer[place] = element
            while buffer:
                place = int(random.integers(len(buffer)))
                buffer[place], buffer[-1] = buffer[-1], buffer[place]
                yield buffer.pop()

        return self._like(source, self._length, self._endless)

    def repeat(self, count: int | None = None) -> Dataset:
        """The data again and again: `count` times, or without end."""
        forever = count is None or count < 0

        def source(n: int) -> Iterator[Any]:
            for i in _rounds(None if forever else count):
                empty = True
                for element in self.iterate(n * (count or 1) + i):
                    empty = False
                    yield element
                if empty:
                    return

        length = None if forever or self._length is None else self._length * int(count or 0)
        return self._like(source, length, forever or self._endless)

    def take(self, count: int) -> Dataset:
        """The first elements."""
        length = count if self._endless else None if self._length is None else min(count, self._length)
        return self._like(lambda n: islice(self.iterate(n), count), length)

    def skip(self, count: int) -> Dataset:
        """All but the first elements."""
        length = None if self._length is None else max(self._length - count, 0)
        return self._like(lambda n: islice(self.iterate(n), count, None), length, self._endless)

    def concatenate(self, dataset: Dataset) -> Dataset:
        """These elements, then those of another."""

        def source(n: int) -> Iterator[Any]:
            yield from self.iterate(n)
            yield from dataset.iterate(n)

        known = self._length is not None and dataset._length is not None
        length = self._length + dataset._length if known else None  # type: ignore[operator]
        return self._like(source, length, self._endless or dataset._endless)

    def enumerate(self, start: int = 0) -> Dataset:
        """Pairs of number and element."""
        return self._like(lambda n: enumerate(self.iterate(n), start), self._length, self._endless)

    def cache(self, filename: str = "") -> Dataset:
        """Keep the elements of the first whole pass in memory, for all later ones.

        Raises:
            ValueError: for a file name.
        """
        if filename:
            raise ValueError("Dataset.cache keeps elements in memory: leave out `filename`.")
        kept: list[list[Any]] = []

        def source(n: int) -> Iterator[Any]:
            if kept:
                yield from kept[0]
                return
            seen = []
            for element in self.iterate(n):
                seen.append(element)
                yield element
            kept[:] = [seen]

        return self._like(source, self._length, self._endless)

    def prefetch(self, buffer_size: Any = None) -> Dataset:
        """Itself: what reads files already reads ahead, in threads."""
        return self


def _rounds(times: int | None) -> Iterable[int]:
    return count() if times is None else range(times)


def _positive(value: Any, name: str) -> None:
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < 1:
        raise ValueError(f"Dataset: `{name}` must be a positive int, not {value!r}.")


def row_of(structure: Any, index: int) -> Any:
    """Row `index` of each array of a structure."""
    return tree.map_structure(lambda leaf: leaf[index], structure)


def stacked(rows: list[Any]) -> Any:
    """Elements of one structure as one, with a new first dimension."""

    def stack(*leaves: Any) -> Any:
        first = leaves[0]
        if active.is_tensor(first):
            from unidl import ops

            return ops.stack(leaves)
        if isinstance(first, str):
            return strings(leaves)
        return np.stack([np.asarray(leaf) for leaf in leaves])

    return tree.map_structure(stack, *rows)


def native(dataset: Dataset) -> Dataset:
    """The data set with arrays of numbers as tensors of the active engine."""
    from unidl.training.data._convert import to_native

    def convert(leaf: Any) -> Any:
        if isinstance(leaf, Strings):
            return active.to_tensor(leaf.astype(object)) if active.name == "tensorflow" else leaf
        numeric = isinstance(leaf, (np.ndarray, np.generic)) and leaf.dtype.kind in "biuf"
        return to_native(leaf) if numeric else leaf

    return dataset._like(
        lambda n: (tree.map_structure(convert, element) for element in dataset.iterate(n)),
        dataset._length,
        dataset._endless,
    )


def delivered(host: Dataset, spec: Any, engines_own: bool) -> Any:
    """A data set of NumPy arrays as users get it.

    Args:
        spec: structure of `TensorSpec`s (dtype "string" for strings), for the engine's own type.
        engines_own: return that of the engine (`tf.data.Dataset`) if it has one.
    """
    if engines_own and (own := active.dataset(lambda: iter(host), spec, host._length)) is not None:
        own.class_names, own.file_paths = host.class_names, host.file_paths
        return own
    return native(host)
