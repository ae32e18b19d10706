"""Families of small objects that users name by string: finding, writing out and reading them back.

Nothing is imported or executed for a configuration: only classes of the family, and those passed
as `custom_objects`, are ever built.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from unidl.saving.objects import plain
from unidl.saving.registration import CustomObjectScope, get_registered_object


class Configurable:
    """Has a configuration: its constructor's parameters, kept in attributes of the same names."""

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data."""
        return {
            name: plain(getattr(self, name), f"{name} of {type(self).__name__}") for name in parameter_names(type(self))
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The object that `get_config` described."""
        return cls(**config)


class Cache(dict[Any, Any]):
    """Compiled functions. They belong to the variables of what holds them: a copy of it starts without."""

    def __deepcopy__(self, memo: Any) -> Cache:
        return Cache()

    def __reduce__(self) -> Any:
        return Cache, ()


def parameter_names(cls: type) -> list[str]:
    """Names of a constructor's parameters, ``*args`` and ``**kwargs`` left out."""
    parameters = inspect.signature(cls).parameters.values()
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def snake_case(name: str) -> str:
    """``MeanSquaredError`` as ``mean_squared_error``."""
    letters: list[str] = []
    for i, c in enumerate(name):
        after_small = i > 0 and (name[i - 1].islower() or name[i - 1].isdigit())
        before_small = i > 0 and name[i - 1] != "_" and name[i + 1 : i + 2].islower()
        letters.append("_" + c if c.isupper() and (after_small or before_small) else c)
    return "".join(letters).lower()


def _bare(name: str) -> str:
    return name.replace("_", "").lower()


class Registry:
    """The members of one family by name.

    Args:
        kind: what messages call a member, e.g. "initializer".
        members: classes and functions; each is known by its own name and that in snake case.
        aliases: further names.
        base: instances of this class are taken as they are.
    """

    def __init__(
        self, kind: str, members: Iterable[Any], aliases: dict[str, Any] | None = None, base: type = Configurable
    ) -> None:
        self.kind = kind
        self.base = base
        self.names: dict[str, Any] = {}
        for member in members:
            self.names.setdefault(member.__name__, member)
            self.names.setdefault(snake_case(member.__name__), member)
        self.names.update(aliases or {})
        self._loose = {_bare(name): member for name, member in reversed(self.names.items())}

    def find(self, name: str, custom_objects: dict[str, Any] | None = None) -> Any:
        """The class or function called `name`.

        Raises:
            ValueError: listing the names there are.
        """
        for candidate in (name, name.lower()):
            found = get_registered_object(candidate, custom_objects, self.names)
            if found is not None:
                return found
        if _bare(name) in self._loose:
            return self._loose[_bare(name)]
        names = sorted({n for n in self.names if n == n.lower()})
        raise ValueError(f"Unknown {self.kind} {name!r}. unidl knows {', '.join(names)}.")

    def get(self, identifier: Any, custom_objects: dict[str, Any] | None = None) -> Any:
        """The object for a name, configuration, class, object or function; None for None."""
        if identifier is None or isinstance(identifier, self.base):
            return identifier
        if isinstance(identifier, dict):
            return self.deserialize(identifier, custom_objects)
        if isinstance(identifier, str):
            identifier = self.find(identifier, custom_objects)
        if inspect.isclass(identifier):
            return identifier()
        if callable(identifier):
            return identifier
        raise ValueError(f"Not a {self.kind}: {identifier!r}. Give a name, an object, a function or a configuration.")

    def serialize(self, member: Any) -> Any:
        """`member` as plain data: a name for a function, class name and configuration for an object.

        Raises:
            TypeError: for a function that is not one of unidl's.
        """
        return plain(member, self.kind)

    def deserialize(self, config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
        """What `serialize` wrote; Keras's configurations are read as well.

        Raises:
            ValueError: if the class is not one of this family, or the configuration is malformed.
        """
        if config is None:
            return None
        if isinstance(config, str):
            return self.get(config, custom_objects)
        if not isinstance(config, dict) or "class_name" not in config:
            raise ValueError(f"Not the configuration of a {self.kind}: {config!r}. It needs a `class_name`.")
        name, arguments = config["class_name"], config.get("config")
        if name == "function":  # how Keras writes functions
            return self.find(str(config.get("registered_name") or arguments), custom_objects)
        member = get_registered_object(config.get("registered_name"), custom_objects)
        member = self.find(str(name), custom_objects) if member is None else member
        from_config: Callable[..., Any] | None = getattr(member, "from_config", None)
        if from_config is None:
            return member
        with CustomObjectScope(custom_objects):  # for what is inside
            return from_config(dict(arguments or {}))


__all__ = ["Cache", "Configurable", "Registry", "parameter_names", "snake_case"]
