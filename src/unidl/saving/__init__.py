"""Files: whole models, weights, checkpoints, and configurations.

Nothing here loads an engine before it is needed, so that ``unidl inspect`` works without one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from unidl.saving._checkpoint import Checkpoint


def __getattr__(name: str) -> Any:
    if name == "Checkpoint":
        from unidl.saving import _checkpoint

        return _checkpoint.Checkpoint
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Checkpoint", "CustomObjectScope", "KerasFileEditor", "custom_object_scope", "deserialize_keras_object",
    "get_custom_objects", "get_registered_name", "get_registered_object", "load_model", "load_weights",
    "register_keras_serializable", "save_model", "save_weights", "serialize_keras_object",
]  # fmt: skip
