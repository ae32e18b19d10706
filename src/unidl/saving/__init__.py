"""Files: weights, and configurations."""

from __future__ import annotations

from unidl.saving.weights import load_weights, save_weights

__all__ = ["load_weights", "save_weights"]
