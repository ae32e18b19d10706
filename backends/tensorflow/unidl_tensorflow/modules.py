"""SavedModels as unidl's layers hold them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from unidl.backend.native import NativeModule
from unidl_tensorflow._engine import tensorflow as tf
from unidl_tensorflow.variable import Variable


class SavedModel(NativeModule):
    """A SavedModel read from `path`, with the functions it calls for inference and for training.

    Raises:
        ValueError: if there is no SavedModel, or it has no such endpoint.
    """

    def __init__(self, path: Any, endpoint: str, training_endpoint: str | None) -> None:
        if not Path(path, "saved_model.pb").exists():
            raise ValueError(
                f"There is no SavedModel in {str(path)!r}: a folder with a file saved_model.pb is expected."
            )
        self.source = tf.saved_model.load(str(path))
        self._function = self._endpoint(endpoint)
        self._training = self._function if training_endpoint is None else self._endpoint(training_endpoint)

    def _endpoint(self, name: str) -> Callable[..., Any]:
        loaded = self.source
        found = getattr(loaded, name, None)
        if callable(found):
            return found  # type: ignore[no-any-return]
        signatures = getattr(loaded, "signatures", {})
        if name not in signatures:
            own = [n for n in dir(loaded) if not n.startswith("_") and callable(getattr(loaded, n, None))]
            raise ValueError(f"The SavedModel has no endpoint {name!r}; it has {sorted({*own, *signatures})}.")
        signature = signatures[name]
        keys = list(signature.structured_input_signature[1])

        def call(*args: Any, **kwargs: Any) -> Any:
            if len(args) == 1 and isinstance(args[0], dict):
                return signature(**args[0], **kwargs)
            return signature(**dict(zip(keys, args, strict=False)), **kwargs)

        return call

    def variables(self) -> list[Any]:
        found = list(getattr(self.source, "variables", None) or _variables(self.source))
        for index, variable in enumerate(found):
            if not isinstance(variable, Variable):
                handle = variable.name.partition(":")[0]
                variable.__class__ = Variable  # the same object, which the functions have captured
                variable._name = handle.rpartition("/")[2] or f"variable_{index}"
        return found

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any], training: bool) -> Any:
        return (self._training if training else self._function)(*args, **kwargs)


def _variables(loaded: Any) -> list[Any]:
    """The variables among the attributes of a loaded object and of the objects inside it, each once."""
    found: dict[int, Any] = {}
    seen: set[int] = set()
    todo = [loaded]
    while todo:
        item = todo.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, tf.Variable):
            found[id(item)] = item
        elif hasattr(item, "_trackable_children"):
            todo.extend(item._trackable_children().values())
    return sorted(found.values(), key=lambda v: str(v.name))
