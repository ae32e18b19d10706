"""Small colour pictures of 10 kinds of things (A. Krizhevsky, 2009)."""

from __future__ import annotations

from unidl.datasets._common import Split, cifar

__all__ = ["load_data"]


def load_data() -> Split:
    """Pictures and classes (airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck).

    The binary version of the data is used: the other one is a pickle.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: uint8 pictures of shape (50000, 32, 32, 3) and (10000, 32, 32, 3) (the
        channels first if that is the configured layout), and class indices of shape (50000, 1) and (10000, 1).
    """
    return cifar(
        "cifar-10", "cifar-10-batches-bin", "c32a1d4ab5d03f1284b67883e8d87530",
        [f"data_batch_{i}.bin" for i in range(1, 6)], "test_batch.bin", 1, 0,
    )  # fmt: skip
