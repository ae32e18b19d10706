"""What several data sets share."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from unidl.config import image_data_format
from unidl.datasets._npz import load_npz
from unidl.utils._get_file import get_file

Split = tuple[tuple[Any, Any], tuple[Any, Any]]

KERAS_FILES = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_CIFAR_FILES = "https://www.cs.toronto.edu/~kriz/"


def keras_arrays(path: str, name: str, file_hash: str) -> dict[str, np.ndarray]:
    """The arrays of one of the files that Keras publishes."""
    return load_npz(get_file(path, KERAS_FILES + name, file_hash=file_hash))


def shuffled(seed: int, *arrays: Any) -> list[Any]:
    """Arrays in one other order: that of Keras for the same seed."""
    order = np.arange(len(arrays[0]))
    np.random.RandomState(seed).shuffle(order)
    return [array[order] for array in arrays]


def check_split(test_split: float) -> None:
    if not 0 <= test_split < 1:
        raise ValueError(f"Invalid `test_split`: it must be at least 0 and below 1, not {test_split!r}.")


def housing(arrays: dict[str, np.ndarray], test_split: float, seed: int, samples: int | None = None) -> Split:
    """Shuffled samples, the last part for testing."""
    x, y = shuffled(seed, arrays["x"][:samples], arrays["y"][:samples])
    border = int(len(x) * (1 - test_split))
    return (x[:border], y[:border]), (x[border:], y[border:])


def cifar(name: str, folder: str, md5: str, train: list[str], test: str, label_bytes: int, label: int) -> Split:
    """Pictures and labels of the binary version: rows of labels and 3 * 32 * 32 colours."""
    root = os.path.join(
        get_file(f"{name}-binary", f"{_CIFAR_FILES}{name}-binary.tar.gz", md5_hash=md5, extract=True), folder
    )

    def read(files: list[str]) -> tuple[np.ndarray, np.ndarray]:
        rows = np.concatenate([np.fromfile(os.path.join(root, file), np.uint8) for file in files])
        rows = rows.reshape(-1, label_bytes + 3072)
        x = rows[:, label_bytes:].reshape(-1, 3, 32, 32)
        if image_data_format() == "channels_last":
            x = x.transpose(0, 2, 3, 1)
        return np.ascontiguousarray(x), rows[:, label : label + 1].copy()

    return read(train), read([test])


# -- words ------------------------------------------------------------------------------------------------


def numbered(sequences: Any, start_char: int | None, index_from: int) -> list[list[int]]:
    """Sequences of word numbers, moved up by `index_from`, after `start_char`."""
    if start_char is not None:
        return [[start_char, *(w + index_from for w in s)] for s in sequences]
    return [[w + (index_from or 0) for w in s] for s in sequences]


def not_longer(maxlen: int | None, sequences: list[list[int]], labels: Any) -> tuple[list[list[int]], Any]:
    """The sequences shorter than `maxlen`, with their labels."""
    if not maxlen:
        return sequences, labels
    kept = [i for i, s in enumerate(sequences) if len(s) < maxlen]
    if not kept:
        raise ValueError(f"No sequence is shorter than maxlen={maxlen}, so none was kept. Increase maxlen.")
    return [sequences[i] for i in kept], labels[kept]


def limited(sequences: list[list[int]], num_words: int | None, skip_top: int, oov_char: int | None) -> list[list[int]]:
    """Sequences without the `skip_top` most frequent words and those beyond `num_words`.

    Without `num_words` the rarest word of all is left out, as in Keras.
    """
    most = num_words or max(max(s) for s in sequences)
    if oov_char is None:
        return [[w for w in s if skip_top <= w < most] for s in sequences]
    return [[w if skip_top <= w < most else oov_char for w in s] for s in sequences]


def of_objects(sequences: list[list[int]]) -> np.ndarray:
    """Lists of different lengths as an array of lists."""
    result = np.empty(len(sequences), object)
    result[:] = sequences
    return result
