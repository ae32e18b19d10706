"""Models."""

from __future__ import annotations

from unidl.models.cloning import clone_model
from unidl.models.model import Model, model_from_json
from unidl.models.sequential import Sequential
from unidl.saving.archive import load_model, save_model

#: What `Model(inputs, outputs)` makes; the name under which Keras writes it.
Functional = Model

__all__ = ["Functional", "Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]
