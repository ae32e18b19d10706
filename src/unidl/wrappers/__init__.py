"""Models as estimators of scikit-learn; needs scikit-learn 1.6 or later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unidl.wrappers._sklearn import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer

__all__ = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from sklearn.utils.validation import validate_data
    except ImportError:
        raise ImportError(f"{name} needs scikit-learn 1.6 or later: pip install 'unidl[sklearn]'") from None
    from unidl.wrappers import _sklearn

    return getattr(_sklearn, name)
