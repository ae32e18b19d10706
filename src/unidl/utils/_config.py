"""`Config`: named values, as attributes and as items."""

from __future__ import annotations

import difflib
import json
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import Any


class Config:
    """A dict whose entries are attributes too, and which can be frozen.

    Args:
        kwargs: the first entries.

    Attributes:
        frozen: whether entries can no longer be changed.

    Example:
        >>> import unidl
        >>> config = unidl.utils.Config(units=8)
        >>> config.rate = 0.1
        >>> config["units"], config.rate
        (8, 0.1)
        >>> config.to_json()
        '{"units": 8, "rate": 0.1}'
    """

    def __init__(self, **kwargs: Any) -> None:
        object.__setattr__(self, "_entries", dict(kwargs))
        object.__setattr__(self, "_frozen", False)

    @property
    def frozen(self) -> bool:
        """Whether entries can no longer be changed."""
        return bool(self.__dict__["_frozen"])

    def freeze(self) -> None:
        """Refuse every change from now on."""
        object.__setattr__(self, "_frozen", True)

    def unfreeze(self) -> None:
        """Allow changes again."""
        object.__setattr__(self, "_frozen", False)

    def as_dict(self) -> dict[str, Any]:
        """The entries as a new dict."""
        return dict(self._own())

    def to_json(self) -> str:
        """The entries as JSON text."""
        return json.dumps(self._own())

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._own().keys()

    def values(self) -> ValuesView[Any]:
        """The values."""
        return self._own().values()

    def items(self) -> ItemsView[str, Any]:
        """Pairs of name and value."""
        return self._own().items()

    def get(self, keyname: str, value: Any = None) -> Any:
        """The entry `keyname`, or `value` if there is none."""
        return self._own().get(keyname, value)

    def pop(self, *args: Any) -> Any:
        """Take an entry out, as ``dict.pop``."""
        return self._changed().pop(*args)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Add entries, as ``dict.update``."""
        given = [dict(a.items()) if isinstance(a, Config) else a for a in args]
        self._changed().update(*given, **kwargs)

    def _own(self) -> dict[str, Any]:
        entries: dict[str, Any] = self.__dict__["_entries"]
        return entries

    def _changed(self) -> dict[str, Any]:
        """The entries, to be changed."""
        if self.frozen:
            raise ValueError("This Config is frozen, so its entries cannot be changed; `unfreeze()` allows it.")
        return self._own()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_entries" not in self.__dict__:
            raise AttributeError(name)
        try:
            return self._own()[name]
        except KeyError:
            close = difflib.get_close_matches(name, self._own(), n=1)
            hint = f" Is {close[0]!r} meant?" if close else ""
            raise AttributeError(f"Unknown entry {name!r}; this Config has {sorted(self._own())}.{hint}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name):
            raise AttributeError(f"{name!r} is a method of Config and cannot be an attribute; set config[{name!r}].")
        self._changed()[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self._own():
            raise AttributeError(f"Unknown entry {name!r}; this Config has {sorted(self._own())}.")
        del self._changed()[name]

    def __getitem__(self, name: str) -> Any:
        return self._own()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._changed()[name] = value

    def __delitem__(self, name: str) -> None:
        del self._changed()[name]

    def __contains__(self, name: object) -> bool:
        return name in self._own()

    def __iter__(self) -> Iterator[str]:
        return iter(self._own())

    def __len__(self) -> int:
        return len(self._own())

    def __repr__(self) -> str:
        return f"<Config {self._own()}>"
