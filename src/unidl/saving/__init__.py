"""Files: weights, and configurations."""

from __future__ import annotations

from unidl.saving._checkpoint import Checkpoint
from unidl.saving.archive import load_model, save_model
from unidl.saving.editor import KerasFileEditor
from unidl.saving.objects import deserialize_keras_object, serialize_keras_object
from unidl.saving.registration import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from unidl.saving.weights import load_weights, save_weights

__all__ = [
    "Checkpoint", "CustomObjectScope", "KerasFileEditor", "custom_object_scope", "deserialize_keras_object",
    "get_custom_objects", "get_registered_name", "get_registered_object", "load_model", "load_weights",
    "register_keras_serializable", "save_model", "save_weights", "serialize_keras_object",
]  # fmt: skip
