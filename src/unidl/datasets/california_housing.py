"""Prices of houses in California by the census of 1990, with 8 features each (R. Pace and R. Barry, 1997)."""

from __future__ import annotations

from unidl.datasets._common import Split, check_split, housing, keras_arrays

__all__ = ["load_data"]


def load_data(
    version: str = "large", path: str = "california_housing.npz", test_split: float = 0.2, seed: int = 113
) -> Split:
    """Features and median prices in dollars.

    A sample is a block of houses: where it lies, the age and size of its houses, its inhabitants and their income.

    Args:
        version: "large" for all 20,640 samples, "small" for 600.
        path: the file's name in the cache.
        test_split: the part of the samples that is for testing.
        seed: of the order.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: arrays of shape (samples, 8) and (samples,).

    Raises:
        ValueError: for another `version`, or a `test_split` that is not from 0 to 1.
    """
    if version not in ("small", "large"):
        raise ValueError(f"`version` must be one of 'small' and 'large'; received: version={version!r}.")
    check_split(test_split)
    name = "california_housing.npz"
    found = keras_arrays(path, name, "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f")
    return housing(found, test_split, seed, 600 if version == "small" else None)
