"""What data sets of files in a directory share: finding the files, labels, splits, reading ahead."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from unidl import _seed
from unidl.graph.symbolic import TensorSpec
from unidl.training.progress import tell
from unidl.utils._dataset import Dataset, delivered


@dataclass
class Request:
    """What all ``…_dataset_from_directory`` take, by their names.

    Attributes:
        kind: what the files are, for messages: "image", "text", "audio".
        formats: endings of file names, in lower case.
        engines_own: whether the engine's own type of data set shall be returned.
    """

    kind: str
    formats: tuple[str, ...]
    directory: Any
    labels: Any
    label_mode: Any
    class_names: Any
    batch_size: int | None
    shuffle: bool
    seed: int | None
    validation_split: float | None
    subset: str | None
    follow_links: bool
    verbose: bool
    engines_own: bool

    def check(self) -> None:
        """Raise a `ValueError` for arguments that do not go together; make the rest definite."""
        if self.labels is not None and not isinstance(self.labels, (list, tuple)) and self.labels != "inferred":
            raise ValueError(
                f"The `labels` argument should be 'inferred' (from the names of folders), None, or a list of ints, one "
                f"for each {self.kind} file; received: {self.labels!r}."
            )
        if self.class_names and self.labels != "inferred":
            raise ValueError(
                '`class_names` choose among folders: only pass `class_names` if `labels="inferred"`, not with '
                f"labels={self.labels!r} and class_names={self.class_names!r}."
            )
        if self.label_mode not in ("int", "categorical", "binary", None):
            raise ValueError(
                f"The `label_mode` argument must be 'int', 'categorical', 'binary' or None, not {self.label_mode!r}."
            )
        if self.labels is None or self.label_mode is None:
            self.labels = self.label_mode = None
        split, subset = self.validation_split, self.subset
        if split and not 0 < split < 1:
            raise ValueError(f"`validation_split` is a share, between 0 and 1, not {split}.")
        if bool(split) != bool(subset):
            raise ValueError(
                "`subset` and `validation_split` go together: `validation_split` must be set for a `subset`, and a "
                f"`subset` named for a split; received: validation_split={split}, subset={subset!r}."
            )
        if subset not in ("training", "validation", "both", None):
            raise ValueError(f'`subset` must be either "training", the rest ("validation"), or "both"; not {subset!r}.')
        if split and self.shuffle and self.seed is None:
            raise ValueError(
                "With `validation_split` and shuffled files you must provide a `seed`: else training and validation "
                "data of two calls would overlap."
            )
        if self.batch_size is not None and (isinstance(self.batch_size, bool) or self.batch_size < 1):
            raise ValueError(f"`batch_size` must be a positive int or None, received: {self.batch_size!r}.")
        if self.seed is None:
            self.seed = _seed.derived_seed("files")

    # -- files --------------------------------------------------------------------------------

    def index(self) -> tuple[list[str], np.ndarray | None, list[str] | None]:
        """Files, their labels, and the names of the classes."""
        directory = os.fspath(self.directory)
        if not os.path.isdir(directory):
            raise ValueError(f"There is no directory {directory!r}.")
        names: list[str] | None
        if self.labels == "inferred":
            folders = sorted(
                name
                for name in os.listdir(directory)
                if not name.startswith(".") and os.path.isdir(os.path.join(directory, name))
            )
            names = list(self.class_names or folders)
            if not set(names) <= set(folders):
                raise ValueError(
                    f"These `class_names` passed did not match folders of {directory!r}: {folders} or some of them "
                    f"were expected, and {names} came."
                )
            found = [self._files(os.path.join(directory, name)) for name in names]
            paths = [path for group in found for path in group]
            labels = np.repeat(np.arange(len(names)), [len(group) for group in found]).astype(np.int32)
        else:
            paths, names = self._files(directory), None
            if self.labels is not None:
                if len(self.labels) != len(paths):
                    raise ValueError(
                        f"`labels` must match the number of files: {len(self.labels)} labels were given for "
                        f"{len(paths)} files in {directory!r}."
                    )
                names = [str(label) for label in sorted(set(self.labels))]
            labels = np.asarray(self.labels if self.labels is not None else [], np.int32)
        if self.verbose:
            classes = "" if names is None else f" belonging to {len(names)} classes"
            tell(f"Found {len(paths)} files{classes}.")
        if self.shuffle:  # the order that Keras gives for the same seed
            order = np.arange(len(paths))
            np.random.RandomState(self.seed).shuffle(order)
            paths = [paths[i] for i in order]
            labels = labels[order] if names is not None else labels
        return paths, labels if names is not None else None, names

    def _files(self, directory: str) -> list[str]:
        return [
            os.path.join(root, name)
            for root, _, files in sorted(os.walk(directory, followlinks=self.follow_links))
            for name in sorted(files)
            if name.lower().endswith(self.formats)
        ]

    # -- data sets ----------------------------------------------------------------------------

    def datasets(
        self, load: Callable[[str], Any], spec: TensorSpec, join: Callable[[list[Any]], Any], none_found: str
    ) -> Any:
        """One `Dataset`, or a list of two for ``subset="both"``.

        Args:
            load: what one file becomes.
            spec: of that.
            join: several of those as one batch.
            none_found: what to say if there is no file.
        """
        paths, labels, names = self.index()
        if self.label_mode == "binary" and len(names or ()) != 2:
            raise ValueError(f"For binary labels there must be exactly 2 `class_names`; they are {names}.")
        held = int((self.validation_split or 0.0) * len(paths))
        parts = {
            None: (slice(None), self.shuffle, ""),
            "training": (slice(0, len(paths) - held), self.shuffle, "training "),
            "validation": (slice(len(paths) - held, None), False, "validation "),
        }
        made = []
        for subset in ("training", "validation") if self.subset == "both" else (self.subset,):
            part, shuffle, word = parts[subset]
            own_paths = paths[part]
            if self.verbose and subset:
                tell(f"Using {len(own_paths)} files for {subset}.")
            if not own_paths:
                raise ValueError(
                    f"{none_found.format(word)} found in directory {os.fspath(self.directory)!r}: names must end in "
                    f"{', '.join(self.formats)}."
                )
            own_labels = None if labels is None else encoded(labels[part], self.label_mode, len(names or ()))
            host = self._host(own_paths, own_labels, load, join, shuffle)
            host.class_names, host.file_paths = names, own_paths
            rows: tuple[int | None, ...] = () if self.batch_size is None else (None,)
            full: Any = TensorSpec((*rows, *spec.shape), spec.dtype)
            if own_labels is not None:
                full = (full, TensorSpec((*rows, *own_labels.shape[1:]), own_labels.dtype.name))
            made.append(delivered(host, full, self.engines_own))
        return made if self.subset == "both" else made[0]

    def _host(
        self,
        paths: Sequence[str],
        labels: np.ndarray | None,
        load: Callable[[str], Any],
        join: Callable[[list[Any]], Any],
        shuffle: bool,
    ) -> Dataset:
        size = self.batch_size

        def samples(n: int) -> Iterator[Any]:
            order: Any = range(len(paths))
            if shuffle:
                order = _seed.stream("files", n, seed=self.seed).permutation(len(paths))
            items = ahead(load, (paths[i] for i in order))
            yield from items if labels is None else zip(items, (labels[i] for i in order), strict=True)

        def batches(n: int) -> Iterator[Any]:
            rows = samples(n)
            while part := list(islice(rows, size)):
                if labels is None:
                    yield join(part)
                else:
                    yield join([x for x, _ in part]), np.stack([y for _, y in part])

        if size is None:
            return Dataset(samples, len(paths))
        return Dataset(batches, -(-len(paths) // size))


def encoded(labels: np.ndarray, mode: str, classes: int) -> np.ndarray:
    """Class indices in the form that `label_mode` says."""
    if mode == "binary":
        return labels.astype(np.float32)[:, None]
    if mode == "categorical":
        return np.eye(classes, dtype=np.float32)[labels]
    return labels


def ahead(load: Callable[[str], Any], paths: Iterable[str]) -> Iterator[Any]:
    """``load(path)`` for all paths in order, some of them made ahead by threads."""
    workers = min(8, os.cpu_count() or 1)
    queue: deque[Future[Any]] = deque()
    executor = ThreadPoolExecutor(workers, thread_name_prefix="unidl-files")
    try:
        for path in paths:
            queue.append(executor.submit(load, path))
            if len(queue) >= 4 * workers:
                yield queue.popleft().result()
        while queue:
            yield queue.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def checked_format(value: Any) -> bool:
    """Whether `format` asks for the engine's own type of data set."""
    if value not in ("tf", "grain"):
        raise ValueError(f'`format` should be "tf" or "grain", not {value!r}.')
    return bool(value == "tf")
