"""Whole models in HDF5 files: those of Keras 1, Keras 2 and tf.keras, and what Keras 3 writes to ``.h5``.

The architecture is in the attribute ``model_config``, weights are in ``model_weights`` by layer, the optimizer's state
is in ``optimizer_weights``, and how the model was compiled in ``training_config``.
"""

from __future__ import annotations

from unidl.saving.legacy._config import current_config
from unidl.saving.legacy._local import LocallyConnected1D, LocallyConnected2D
from unidl.saving.legacy._reading import load_model, load_weights
from unidl.saving.legacy._writing import save_model

__all__ = ["LocallyConnected1D", "LocallyConnected2D", "current_config", "load_model", "load_weights", "save_model"]
