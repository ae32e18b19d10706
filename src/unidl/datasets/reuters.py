"""11,228 news texts of 1987 as numbers of words, in 46 classes (D. Lewis, Reuters-21578)."""

from __future__ import annotations

import json

from unidl.datasets._common import (
    KERAS_FILES,
    Split,
    check_split,
    keras_arrays,
    limited,
    not_longer,
    numbered,
    of_objects,
    shuffled,
)
from unidl.utils._get_file import get_file

__all__ = ["get_label_names", "get_word_index", "load_data"]

_LABELS = """cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves ship cotton
carcass crude nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin strategic-metal livestock retail ipi
iron-steel rubber heat jobs lei bop zinc orange pet-chem dlr gas silver wpi hog lead"""


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> Split:
    """Texts and their class. Arguments and results are those of `imdb.load_data`, and besides:

    Args:
        test_split: the part of the texts that is for testing.
    """
    check_split(test_split)
    found = keras_arrays(path, "reuters.npz", "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916")
    texts, labels = shuffled(seed, found["x"], found["y"])
    xs, labels = not_longer(maxlen, numbered(texts, start_char, index_from), labels)
    xs = limited(xs, num_words, skip_top, oov_char)
    border = int(len(xs) * (1 - test_split))
    return (of_objects(xs[:border]), labels[:border]), (of_objects(xs[border:]), labels[border:])


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """Words to their numbers, before `index_from` is added.

    Args:
        path: the file's name in the cache.
    """
    found = get_file(path, KERAS_FILES + "reuters_word_index.json", file_hash="4d44cc38712099c9e383dc6e5f11a921")
    with open(found, encoding="utf-8") as file:
        index: dict[str, int] = json.load(file)
    return index


def get_label_names() -> tuple[str, ...]:
    """Names of the classes, by their index."""
    return tuple(_LABELS.split())
