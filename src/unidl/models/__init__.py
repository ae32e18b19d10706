"""Models."""

from unidl.models.model import Model
from unidl.models.sequential import Sequential

__all__ = ["Model", "Sequential"]
