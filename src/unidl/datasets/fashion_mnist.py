"""Pieces of clothing: 70,000 grey pictures of 28 x 28 in 10 classes (Zalando; MIT licence)."""

from __future__ import annotations

import gzip
import os

import numpy as np

from unidl.datasets._common import KERAS_FILES, Split
from unidl.utils._get_file import get_file

__all__ = ["load_data"]

_MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}


def load_data() -> Split:
    """Pictures and classes (T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot).

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: uint8 pictures of shape (60000, 28, 28) and (10000, 28, 28), and class
        indices of shape (60000,) and (10000,).
    """
    folder = os.path.join("datasets", "fashion-mnist")

    def read(name: str, header: int) -> np.ndarray:
        path = get_file(name, KERAS_FILES + name, md5_hash=_MD5[name], cache_subdir=folder)
        with gzip.open(path) as file:
            return np.frombuffer(file.read(), np.uint8, offset=header).copy()

    def part(name: str) -> tuple[np.ndarray, np.ndarray]:
        labels = read(f"{name}-labels-idx1-ubyte.gz", 8)
        return read(f"{name}-images-idx3-ubyte.gz", 16).reshape(len(labels), 28, 28), labels

    return part("train"), part("t10k")
