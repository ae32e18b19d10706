"""Well-known data sets, downloaded once and kept in the cache.

Each module has a function `load_data`. Files are checked by their hash; none is read with pickle. Where the files lie:
`unidl.utils.get_file`.
"""

from __future__ import annotations

from unidl.datasets import (
    boston_housing,
    california_housing,
    cifar10,
    cifar100,
    fashion_mnist,
    imdb,
    mnist,
    reuters,
)

__all__ = [
    "boston_housing",
    "california_housing",
    "cifar10",
    "cifar100",
    "fashion_mnist",
    "imdb",
    "mnist",
    "reuters",
]
