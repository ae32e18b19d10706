"""Small colour pictures of 100 kinds of things, in 20 groups (A. Krizhevsky, 2009)."""

from __future__ import annotations

from unidl.datasets._common import Split, cifar

__all__ = ["load_data"]


def load_data(label_mode: str = "fine") -> Split:
    """Pictures and classes. The binary version of the data is used: the other one is a pickle.

    Args:
        label_mode: "fine" for the 100 classes, "coarse" for the 20 groups.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: uint8 pictures of shape (50000, 32, 32, 3) and (10000, 32, 32, 3) (the
        channels first if that is the configured layout), and class indices of shape (50000, 1) and (10000, 1).

    Raises:
        ValueError: for another `label_mode`.
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(f"`label_mode` must be one of 'fine' and 'coarse'; received: label_mode={label_mode!r}.")
    return cifar(
        "cifar-100", "cifar-100-binary", "03b5dce01913d631647c71ecec9e9cb8", ["train.bin"], "test.bin", 2,
        1 if label_mode == "fine" else 0,
    )  # fmt: skip
