"""Functions of Keras 2 under their old signatures; new code uses `unidl.saving`."""

from __future__ import annotations

from typing import Any

from unidl.saving import CustomObjectScope
from unidl.saving import deserialize_keras_object as _deserialize
from unidl.saving import serialize_keras_object as _serialize

__all__ = ["deserialize_keras_object", "serialize_keras_object"]


def serialize_keras_object(instance: Any) -> Any:
    """An object as ``{"class_name", "config"}``; a function as its name.

    Example:
        >>> import unidl
        >>> unidl.utils.legacy.serialize_keras_object(unidl.regularizers.L1(0.5))
        {'class_name': 'L1', 'config': {'l1': 0.5}}
    """
    if instance is None:
        return None
    if hasattr(instance, "get_config"):
        written = _serialize(instance)
        return {"class_name": written["registered_name"] or written["class_name"], "config": written["config"]}
    if hasattr(instance, "__name__"):
        return instance.__name__
    raise ValueError(f"Cannot serialize {instance!r}: it has neither get_config() nor a name.")


def deserialize_keras_object(
    identifier: Any,
    module_objects: dict[str, Any] | None = None,
    custom_objects: dict[str, Any] | None = None,
    printable_module_name: str = "object",
) -> Any:
    """The object that `serialize_keras_object` described.

    Args:
        identifier: what it gave, or a name.
        module_objects, custom_objects: names that are known besides unidl's own and the registered ones.
        printable_module_name: what is looked for, for messages.

    Raises:
        ValueError: for a name that nobody knows.
    """
    if identifier is None:
        return None
    known = {**(module_objects or {}), **(custom_objects or {})}
    if isinstance(identifier, str):
        if identifier not in known:
            raise ValueError(f"Unknown {printable_module_name} {identifier!r}; there are {sorted(known)}.")
        found = known[identifier]
        return found() if isinstance(found, type) else found
    if not isinstance(identifier, dict) or "class_name" not in identifier or "config" not in identifier:
        raise ValueError(f"A {printable_module_name} is described by its class_name and config, not by {identifier!r}.")
    with CustomObjectScope(known):
        return _deserialize(identifier)
