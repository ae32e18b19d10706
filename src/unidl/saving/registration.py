"""Names for the user's own classes and functions, by which configurations refer to them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from unidl._state import state

#: Registered name to class or function; `get_custom_objects` hands it out to be changed.
_registered: dict[str, Any] = {}
_names: dict[Any, str] = {}


class CustomObjectScope:
    """A context in which names in configurations also mean the given classes and functions.

    Args:
        custom_objects: name to class or function; None for none.

    Example:
        >>> import unidl
        >>> class Mine(unidl.layers.Layer):
        ...     def call(self, x):
        ...         return x
        >>> config = unidl.saving.serialize_keras_object(Mine(name="mine"))
        >>> with unidl.saving.CustomObjectScope({"Mine": Mine}):
        ...     unidl.saving.deserialize_keras_object(config).name
        'mine'
    """

    def __init__(self, custom_objects: dict[str, Any] | None) -> None:
        self.custom_objects = custom_objects or {}

    def __enter__(self) -> CustomObjectScope:
        self._outer = state.custom_objects
        state.custom_objects = {**self._outer, **self.custom_objects}
        return self

    def __exit__(self, *exc: object) -> None:
        state.custom_objects = self._outer


custom_object_scope = CustomObjectScope


def get_custom_objects() -> dict[str, Any]:
    """The dictionary of registered names, live: what is put into it is known from then on."""
    return _registered


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[Any], Any]:
    """Decorator: register a class or function under ``package>name``, so that configurations with it can be read.

    Raises:
        ValueError: for a class without `get_config`.

    Example:
        >>> import unidl
        >>> @unidl.saving.register_keras_serializable("my_package")
        ... class Doubled(unidl.layers.Layer):
        ...     def call(self, x):
        ...         return 2 * x
        >>> unidl.saving.get_registered_name(Doubled)
        'my_package>Doubled'
    """

    def decorator(member: Any) -> Any:
        full = f"{package}>{name or member.__name__}"
        if inspect.isclass(member) and not hasattr(member, "get_config"):
            raise ValueError(
                f"Cannot register the class {member.__name__!r}: it has no get_config() method, so its objects have no "
                "configuration. Define get_config, and from_config if the constructor does not take it."
            )
        _registered[full] = member
        _names[member] = full
        return member

    return decorator


def get_registered_name(obj: Any) -> str:
    """``package>name`` of a registered class or function, else its own name."""
    try:
        return _names.get(obj, obj.__name__)
    except TypeError:  # not hashable: it cannot have been registered
        return str(obj.__name__)


def get_registered_object(
    name: str | None, custom_objects: dict[str, Any] | None = None, module_objects: dict[str, Any] | None = None
) -> Any:
    """The class or function that `name` means: in a scope, passed, registered, or of a module; None if nothing."""
    for known in (state.custom_objects, custom_objects or {}, _registered, module_objects or {}):
        if name in known:
            return known[name]
    return None


__all__ = [
    "CustomObjectScope", "custom_object_scope", "get_custom_objects", "get_registered_name", "get_registered_object",
    "register_keras_serializable",
]  # fmt: skip
