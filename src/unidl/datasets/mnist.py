"""Handwritten digits: 70,000 grey pictures of 28 x 28 (Y. LeCun, C. Cortes; CC BY-SA 3.0)."""

from __future__ import annotations

from unidl.datasets._common import Split, keras_arrays

__all__ = ["load_data"]


def load_data(path: str = "mnist.npz") -> Split:
    """Pictures and digits.

    Args:
        path: the file's name in the cache.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: uint8 pictures of shape (60000, 28, 28) and (10000, 28, 28), and
        digits of shape (60000,) and (10000,).
    """
    found = keras_arrays(path, "mnist.npz", "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1")
    return (found["x_train"], found["y_train"]), (found["x_test"], found["y_test"])
