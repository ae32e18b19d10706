"""Objects as plain configurations, and back.

The vocabulary is that of Keras 3: ``{"module", "class_name", "config", "registered_name"}``. Reading one runs no
code and imports nothing: a name means one of unidl's classes, or what the user has registered or passed.
"""

from __future__ import annotations

import inspect
import sys
import types
from typing import Any

import numpy as np

from unidl._state import state
from unidl.saving.registration import CustomObjectScope, get_registered_name, get_registered_object

_BASE = ("name", "trainable", "dtype")
_PLAIN = (str, int, float, bool)
#: What says that several configurations mean one layer: a number.
_SHARED = "shared_object_id"
#: Modules that hold classes which configurations may name, in the order in which they are searched.
FAMILIES = (
    "layers", "models", "optimizers", "optimizers.schedules", "losses", "metrics", "initializers", "regularizers",
    "constraints", "activations", "dtype_policies", "random", "distillation", "utils", "quantizers", "callbacks", "ops",
    "onnx", "saving.legacy",
)  # fmt: skip
#: Those whose functions configurations may name: functions of tensors, which neither read files nor make objects.
_PURE = ("activations", "losses", "metrics", "ops")
_NOT_PURE = frozenset({"get", "serialize", "deserialize"})


class SafeModeScope:
    """A context that says whether configurations which hold code are refused."""

    def __init__(self, safe_mode: bool | None = True) -> None:
        self.safe_mode = safe_mode

    def __enter__(self) -> SafeModeScope:
        self._outer, state.safe_mode = state.safe_mode, self.safe_mode
        return self

    def __exit__(self, *exc: object) -> None:
        state.safe_mode = self._outer


def in_safe_mode(given: bool | None = None) -> bool:
    """Whether code is refused: as the enclosing scope says, else as `given`, else yes."""
    if state.safe_mode is not None:
        return state.safe_mode
    return True if given is None else given


# -- writing ---------------------------------------------------------------------------------------


def serialize_keras_object(obj: Any) -> Any:
    """`obj` as JSON-like data, which `deserialize_keras_object` reads.

    Objects with `get_config` are written by class name and configuration; layers that are built say for which shapes.

    Raises:
        TypeError: for an object without `get_config`.

    Example:
        >>> import unidl
        >>> config = unidl.saving.serialize_keras_object(unidl.initializers.Constant(0.5))
        >>> config["module"], config["class_name"], config["config"]
        ('keras.initializers', 'Constant', {'value': 0.5})
    """
    if state.written is None:
        state.written = {}
        try:
            found = serialize_keras_object(obj)
            counts: dict[int, int] = {}
            _count_shared(found, counts)
            _keep_shared(found, {number for number, count in counts.items() if count > 1})
            return found
        finally:
            state.written = None
    if obj is None or type(obj) in _PLAIN:
        return obj
    if isinstance(obj, (list, tuple)):
        items = [serialize_keras_object(v) for v in obj]
        return tuple(items) if isinstance(obj, tuple) else items
    if isinstance(obj, dict):
        return {k: serialize_keras_object(v) for k, v in obj.items()}
    special = _special(obj)
    if special is not None:
        return special[0]
    if isinstance(obj, types.FunctionType):
        return _function_config(obj)
    if hasattr(obj, "get_config"):
        config = obj.get_config()
        if not isinstance(config, dict):
            raise TypeError(f"get_config() of {obj!r} must return a dict, not {config!r}.")
        written = {**public_name(type(obj)), "config": serialize_keras_object(config)}
        written = {k: written[k] for k in ("module", "class_name", "config", "registered_name")}
        for part in ("build_config", "compile_config"):
            method = getattr(obj, f"get_{part}", None)
            if method is not None and (inner := method()):
                written[part] = serialize_keras_object(inner)
        if hasattr(obj, "load_own_variables"):
            written[_SHARED] = state.written.setdefault(id(obj), (len(state.written), obj))[0]
        return written
    if isinstance(obj, _PLAIN):  # subclasses, such as enums of strings
        return next(kind(obj) for kind in _PLAIN if isinstance(obj, kind))
    if callable(obj) and hasattr(obj, "__name__"):
        return _function_config(obj)
    raise TypeError(
        f"Cannot serialize {obj!r} of type {type(obj)}: it has no plain form. Give its class a get_config() method."
    )


def _count_shared(config: Any, counts: dict[int, int]) -> None:
    """How many times each numbered layer is in `config`."""
    if isinstance(config, dict):
        if _SHARED in config:
            counts[config[_SHARED]] = counts.get(config[_SHARED], 0) + 1
        config = list(config.values())
    if isinstance(config, (list, tuple)):
        for item in config:
            _count_shared(item, counts)


def _keep_shared(config: Any, kept: set[int]) -> None:
    """Take the numbers off all layers but those in `kept`."""
    if isinstance(config, dict):
        if _SHARED in config and config[_SHARED] not in kept:
            del config[_SHARED]
        config = list(config.values())
    if isinstance(config, (list, tuple)):
        for item in config:
            _keep_shared(item, kept)


def _special(obj: Any) -> tuple[Any] | None:
    """Values that have a form of their own, in a tuple; None for all others."""
    from unidl.backend import active
    from unidl.graph.symbolic import LayerNode, SymbolicTensor

    if isinstance(obj, bytes):
        return ({"class_name": "__bytes__", "config": {"value": obj.decode("utf-8")}},)
    if isinstance(obj, slice):
        parts = {k: serialize_keras_object(getattr(obj, k)) for k in ("start", "stop", "step")}
        return ({"class_name": "__slice__", "config": parts},)
    if obj is Ellipsis:
        return ({"class_name": "__ellipsis__", "config": {}},)
    if type(obj) is SymbolicTensor:
        node, history = obj.node, None
        if isinstance(node, LayerNode):
            history = [node.layer.name, node.layer._nodes.index(node), node.outputs.index(obj)]
        config = {"shape": obj.shape, "dtype": obj.dtype, "keras_history": history}
        return ({"class_name": "__keras_tensor__", "config": config},)
    if isinstance(obj, np.ndarray) and obj.ndim:
        return ({"class_name": "__numpy__", "config": {"value": obj.tolist(), "dtype": obj.dtype.name}},)
    if isinstance(obj, (np.ndarray, np.generic)):
        return (obj.item(),)
    if active.is_tensor(obj):
        value = active.to_numpy(obj).tolist()
        return ({"class_name": "__tensor__", "config": {"value": value, "dtype": active.dtype(obj)}},)
    if isinstance(obj, types.FunctionType) and obj.__name__ == "<lambda>":
        from unidl.saving._code import dump

        return ({"class_name": "__lambda__", "config": {"value": dump(obj)}},)
    return None


def _function_config(function: Any) -> dict[str, Any]:
    name = get_registered_name(function)
    module = str(getattr(function, "__module__", None))
    if module.startswith("unidl."):
        module = "keras." + module.split(".")[1]
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def public_name(cls: type) -> dict[str, Any]:
    """Module and class name under which the world knows a class: those of Keras for unidl's own."""
    parts = cls.__module__.split(".")
    if parts[0] != "unidl":
        return {"module": cls.__module__, "class_name": cls.__name__, "registered_name": get_registered_name(cls)}
    family = ".".join(p for p in parts[1:] if not p.startswith("_"))
    module = next((f for f in sorted(FAMILIES, key=len, reverse=True) if (family + ".").startswith(f + ".")), family)
    top = module in ("models", "dtype_policies")
    return {"module": "keras" if top else f"keras.{module}", "class_name": cls.__name__, "registered_name": None}


def constructor_config(obj: Any, lenient: bool = False) -> dict[str, Any]:
    """What `obj` was constructed with, defaults included, as plain data.

    Arguments that every layer takes are left out.

    Args:
        lenient: leave out what has no plain form.

    Raises:
        TypeError: if an argument has no plain form.
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
        elif name not in _BASE and not (name == "activity_regularizer" and value is None):
            try:
                config[name] = plain(value, f"argument {name!r} of {obj!r}")
            except TypeError:
                if not lenient:
                    raise
    return config


def plain(value: Any, what: str = "value") -> Any:
    """`value` for a configuration: as `serialize_keras_object` writes it, unidl's own functions by name."""
    if isinstance(value, (list, tuple)):
        items = [plain(v, what) for v in value]
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, dict):
        return {str(k): plain(v, what) for k, v in value.items()}
    module = getattr(value, "__module__", "") or ""
    if isinstance(value, types.FunctionType) and module.startswith("unidl."):
        return value.__name__
    try:
        return serialize_keras_object(value)
    except TypeError as error:
        raise TypeError(f"{what}: {error}") from None


# -- reading ---------------------------------------------------------------------------------------


def deserialize_keras_object(
    config: Any, custom_objects: dict[str, Any] | None = None, safe_mode: bool = True, **kwargs: Any
) -> Any:
    """The object that `serialize_keras_object` (or Keras) described.

    Args:
        config: JSON-like data; what is no configuration is returned as it is.
        custom_objects: name to class or function.
        safe_mode: refuse lambdas, whose code is in the configuration. `config.enable_unsafe_deserialization` lifts it.

    Raises:
        TypeError: for a class or function that is neither unidl's nor registered nor passed, or a malformed config.
        ValueError: for a lambda in safe mode.

    Example:
        >>> import unidl
        >>> config = unidl.saving.serialize_keras_object(unidl.layers.Dense(3, name="d"))
        >>> unidl.saving.deserialize_keras_object(config)
        <Dense name=d, built=False>
    """
    module_objects = kwargs.pop("module_objects", None)
    if kwargs:
        raise TypeError(f"deserialize_keras_object() does not take {sorted(kwargs)}.")
    safe_mode = in_safe_mode(safe_mode)
    if state.read is None:
        state.read = {}
        try:
            return deserialize_keras_object(config, custom_objects, safe_mode, module_objects=module_objects)
        finally:
            state.read = None
    if isinstance(config, str):
        known = {**(custom_objects or {}), **state.custom_objects}
        return known.get(config, config)
    if isinstance(config, (list, tuple)):
        return [deserialize_keras_object(v, custom_objects, safe_mode) for v in config]
    if not isinstance(config, dict):
        if config is None or isinstance(config, _PLAIN) or not hasattr(config, "keys"):
            return config
        raise TypeError(f"Could not parse config: {config!r}")
    if "class_name" not in config or "config" not in config:
        if module_objects is not None:
            raise ValueError(f"Not the configuration of an object: {config!r}. It needs `class_name` and `config`.")
        return {k: deserialize_keras_object(v, custom_objects, safe_mode) for k, v in config.items()}
    name, inner = config["class_name"], {} if config["config"] is None else config["config"]
    if str(name).startswith("__"):
        return _read_special(config, inner, custom_objects, safe_mode)
    if name == "function":
        if not isinstance(inner, str):
            raise TypeError(f"The configuration of a function: expected 'config' to be its name, not {inner!r}.")
        return _member(inner, config, custom_objects, module_objects, "function")
    shared = config.get(_SHARED)
    if isinstance(shared, int) and shared in state.read:
        return state.read[shared]
    if not isinstance(inner, dict):
        raise TypeError(f"Expected 'config' to be a dict for {name!r}, not {inner!r}.")
    cls: Any = _member(str(name), config, custom_objects, module_objects, "class")
    if isinstance(cls, types.FunctionType):
        return cls
    if not hasattr(cls, "from_config"):
        raise TypeError(f"Cannot rebuild a {name!r}: its class has no `from_config()` method.")
    with CustomObjectScope(custom_objects), SafeModeScope(safe_mode):
        try:
            instance = cls.from_config(dict(inner))
        except TypeError as error:
            raise TypeError(
                f"{name} could not be rebuilt from its configuration: {error}. If get_config() of the class puts out "
                f"objects, from_config() must deserialize them. The configuration: {_shortened(inner)}"
            ) from error
        if (shapes := config.get("build_config")) and not instance.built:
            instance.build_from_config(shapes)
        if how := config.get("compile_config"):
            instance.compile_from_config(how)
    if isinstance(shared, int) and hasattr(instance, "load_own_variables"):
        state.read[shared] = instance
    return instance


def is_object_config(value: Any) -> bool:
    """Whether `value` is the configuration of an object."""
    return isinstance(value, dict) and "class_name" in value and "config" in value


def revived(config: dict[str, Any]) -> dict[str, Any]:
    """Constructor arguments with the objects that configurations among them describe."""

    def revive(value: Any) -> Any:
        if is_object_config(value):
            return deserialize_keras_object(value)
        if isinstance(value, dict):
            return {k: revive(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(revive(v) for v in value)
        return value

    return {k: revive(v) for k, v in config.items()}


def _read_special(config: dict[str, Any], inner: Any, custom_objects: Any, safe_mode: bool) -> Any:
    name = config["class_name"]
    if name == "__keras_tensor__":
        from unidl.graph.symbolic import SymbolicTensor

        return SymbolicTensor(tuple(inner["shape"]), inner["dtype"])
    if name == "__tensor__":
        from unidl import ops

        return ops.convert_to_tensor(inner["value"], inner["dtype"])
    if name == "__numpy__":
        return np.array(inner["value"], dtype=inner["dtype"])
    if name == "__bytes__":
        return inner["value"].encode("utf-8")
    if name == "__ellipsis__":
        return Ellipsis
    if name == "__slice__":
        return slice(
            *(deserialize_keras_object(inner[k], custom_objects, safe_mode) for k in ("start", "stop", "step"))
        )
    if name == "__lambda__":
        if safe_mode:
            raise ValueError(
                "The configuration holds a Python lambda, that is: code, chosen by whoever wrote the file. "
                "Reading it allows arbitrary code execution, so it is refused. If you trust the source, pass "
                "`safe_mode=False`, or call config.enable_unsafe_deserialization()."
            )
        from unidl.saving._code import load

        return load(inner.get("value", inner))  # Keras 3 has the parts right here
    raise TypeError(f"Unknown kind of value {name!r} in a configuration.")


def _member(name: str, config: dict[str, Any], custom_objects: Any, module_objects: Any, kind: str) -> Any:
    """The class or function that a configuration names."""
    registered = name if kind == "function" else config.get("registered_name") or name
    for candidate in (registered, name):
        found = get_registered_object(candidate, custom_objects, module_objects)
        if found is not None:
            return found
    fits = _is_readable_class if kind == "class" else _is_pure_function
    module = config.get("module")
    if module is None or str(module).split(".")[0] in ("keras", "unidl", "builtins", "tf_keras"):
        for family in _families(str(module or "")):
            found = getattr(family, name, None)
            if found is not None and fits(found, family, name):
                return found
    raise TypeError(
        f"Could not locate {kind} {name!r} (module {module!r}, registered name {config.get('registered_name')!r}). "
        "A custom class or function must be known before: decorate it with "
        "@unidl.saving.register_keras_serializable(), or pass it in `custom_objects`. "
        "No module is imported for a configuration."
    )


def _is_readable_class(found: Any, family: Any, name: str) -> bool:
    """Whether configurations may describe objects of a class: one of unidl's with a configuration of its own."""
    named = name in getattr(family, "__all__", (name,)) and family.__name__ != "unidl.callbacks"
    own = str(getattr(found, "__module__", "")).startswith("unidl.")
    return inspect.isclass(found) and named and own and hasattr(found, "from_config")


def _is_pure_function(found: Any, family: Any, name: str) -> bool:
    """Whether configurations may name a function: one of tensors alone (a file must not say what else is called)."""
    pure = family.__name__.removeprefix("unidl.") in _PURE and name not in _NOT_PURE
    own = str(getattr(found, "__module__", "")).startswith("unidl.")
    return pure and own and callable(found) and name in getattr(family, "__all__", (name,))


def _families(module: str) -> list[Any]:
    """unidl's modules that may hold what `module` of Keras holds, the likeliest first."""
    import importlib

    parts = [p for p in module.split(".") if p != "src"][1:]
    wanted = [f for f in (".".join(parts[:2]), ".".join(parts[:1])) if f in FAMILIES]
    found = []
    for family in dict.fromkeys([*wanted, *FAMILIES]):
        try:
            found.append(sys.modules.get(f"unidl.{family}") or importlib.import_module(f"unidl.{family}"))
        except ModuleNotFoundError:
            continue
    return found


def _shortened(config: Any) -> str:
    text = repr(config)
    return text if len(text) <= 300 else text[:297] + "..."
