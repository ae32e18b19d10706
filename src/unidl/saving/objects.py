"""Objects as plain configurations."""

from __future__ import annotations

import inspect
from typing import Any

_BASE = ("name", "trainable", "dtype")


def constructor_config(obj: Any) -> dict[str, Any]:
    """What `obj` was constructed with, defaults included, as plain data.

    Arguments that every layer takes are left out.

    Raises:
        TypeError: if an argument has no plain form (an arbitrary function, say).
    """
    args, kwargs = obj._arguments
    signature = inspect.signature(type(obj).__init__)
    bound = signature.bind(obj, *args, **kwargs)
    bound.apply_defaults()
    config: dict[str, Any] = {}
    for name, parameter in list(signature.parameters.items())[1:]:
        value = bound.arguments.get(name)
        if parameter.kind is parameter.VAR_KEYWORD:
            config.update({k: plain(v, f"{obj!r}.{k}") for k, v in (value or {}).items() if k not in _BASE})
        elif parameter.kind is parameter.VAR_POSITIONAL:
            if value:
                raise TypeError(f"{type(obj).__name__} takes *{name}: give it a get_config of its own.")
        elif name not in _BASE:
            config[name] = plain(value, f"argument {name!r} of {obj!r}")
    return config


def plain(value: Any, what: str = "value") -> Any:
    """`value` as JSON-like data: objects by class name and configuration, functions by name."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return (
            type(value)(plain(v, what) for v in value)
            if type(value) in (list, tuple)
            else [plain(v, what) for v in value]
        )
    if isinstance(value, dict):
        return {str(k): plain(v, what) for k, v in value.items()}
    if hasattr(value, "get_config"):
        return {"class_name": type(value).__name__, "config": value.get_config()}
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return value.item()
    if hasattr(value, "tolist") and type(value).__module__ == "numpy":
        return value.tolist()
    module = getattr(value, "__module__", "") or ""
    if callable(value) and module.startswith("unidl.") and hasattr(value, "__name__"):
        return value.__name__
    raise TypeError(f"{what} is {value!r}, which has no plain form: override get_config and from_config in the class.")
