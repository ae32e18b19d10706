"""Prices of houses around Boston in 1978, with 13 features each (D. Harrison and D. Rubinfeld, 1978).

One of the features counts the share of black inhabitants, as the authors did to study segregation; take
`california_housing` for anything else.
"""

from __future__ import annotations

from unidl.datasets._common import Split, check_split, housing, keras_arrays

__all__ = ["load_data"]


def load_data(path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113) -> Split:
    """Features and median prices in 1000 dollars.

    Args:
        path: the file's name in the cache.
        test_split: the part of the 506 samples that is for testing.
        seed: of the order.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: float64 arrays of shape (samples, 13) and (samples,).

    Raises:
        ValueError: if `test_split` is not from 0 to 1.
    """
    check_split(test_split)
    name = "boston_housing.npz"
    found = keras_arrays(path, name, "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5")
    return housing(found, test_split, seed)
