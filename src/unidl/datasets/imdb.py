"""50,000 film reviews as numbers of words, good or bad (A. Maas et al., ACL 2011)."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from unidl.datasets._common import KERAS_FILES, Split, keras_arrays, limited, not_longer, numbered, of_objects
from unidl.utils._get_file import get_file

__all__ = ["get_word_index", "load_data"]


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
    **kwargs: Any,
) -> Split:
    """Reviews and their verdict. Words are numbered by how frequent they are; 0 is left for padding.

    Args:
        path: the file's name in the cache.
        num_words: words numbered so high or higher become `oov_char`; None keeps all.
        skip_top: so many of the most frequent words become `oov_char`.
        maxlen: reviews of this length or longer are left out.
        seed: of the order.
        start_char: put before each review; None: nothing.
        oov_char: in the place of words that are left out; None: nothing.
        index_from: added to the numbers of words.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: arrays of lists of ints, and of 0 (bad) and 1 (good).
    """
    if kwargs:
        raise TypeError(f"imdb.load_data does not take {sorted(kwargs)}.")
    found = keras_arrays(path, "imdb.npz", "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f")
    random = np.random.RandomState(seed)  # one generator for both parts, as in Keras
    parts = []
    for part in ("train", "test"):
        order = np.arange(len(found[f"x_{part}"]))
        random.shuffle(order)
        sequences = numbered(found[f"x_{part}"][order], start_char, index_from)
        parts.append(not_longer(maxlen, sequences, found[f"y_{part}"][order]))
    (x_train, y_train), (x_test, y_test) = parts
    xs = limited(x_train + x_test, num_words, skip_top, oov_char)
    border = len(x_train)
    return (of_objects(xs[:border]), y_train), (of_objects(xs[border:]), y_test)


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """Words to their numbers, before `index_from` is added.

    Args:
        path: the file's name in the cache.
    """
    found = get_file(path, KERAS_FILES + "imdb_word_index.json", file_hash="bfafd718b763782e994055a2d397834f")
    with open(found, encoding="utf-8") as file:
        index: dict[str, int] = json.load(file)
    return index
