"""`Operation`: a computation that is an object, with a name and a configuration, recorded as one node."""

from __future__ import annotations

import inspect
from abc import ABCMeta
from typing import Any

from unidl import tree
from unidl._state import state
from unidl.graph.symbolic import LayerNode, SymbolicTensor, substitute, symbols


class Operation(metaclass=ABCMeta):
    """A computation without weights: subclasses compute in `call`, with `unidl.ops` or native code.

    Called on symbolic tensors it gives symbolic tensors, and is a node between them; called on others it computes. The
    shapes come from `compute_output_spec`: by default from recording `call`. Layers count as operations, too.

    Args:
        name: a string without "/"; by default made from the class.

    Raises:
        ValueError: for any other name.

    Example:
        >>> import unidl
        >>> from unidl import ops
        >>> class Scale(unidl.Operation):
        ...     def __init__(self, factor, name=None):
        ...         super().__init__(name=name)
        ...         self.factor = factor
        ...     def call(self, x):
        ...         return x * self.factor
        >>> Scale(2.0)(unidl.KerasTensor((None, 3))).shape
        (None, 3)
        >>> Scale(2.0, name="double").get_config()
        {'factor': 2.0, 'name': 'double'}
    """

    #: As in `Layer`; of what users write nothing is known.
    keeps_batch = False
    _arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        operation = super().__new__(cls)
        operation._arguments = args, kwargs
        return operation

    def __init__(self, name: str | None = None) -> None:
        if name is None:
            from unidl.layers._base import snake_case, unique_name

            name = unique_name(snake_case(type(self).__name__))
        if not isinstance(name, str) or "/" in name:
            raise ValueError(f"Operation: `name` must be a string without any `/`, not {name!r}.")
        self.name = name
        self.remat_mode = state.remat
        self._nodes: list[LayerNode] = []

    # -- calling ----------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if state.trace is not None:
            return self._in_trace(args, kwargs)
        if next(symbols((args, kwargs)), None) is not None:
            return self.symbolic_call(*args, **kwargs)
        return self._run(*args, **kwargs)

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        call = self.call if getattr(self, "quantization_mode", None) is None else self.quantized_call
        if self.remat_mode is not None and self.remat_mode.takes(self.name, lambda: self._shapes(args, kwargs)):
            return self.rematerialized_call(call, *args, **kwargs)
        return call(*args, **kwargs)

    def _shapes(self, args: Any, kwargs: Any) -> Any:
        return tree.map_structure(lambda t: t.shape, self.compute_output_spec(*args, **kwargs))

    def _in_trace(self, args: Any, kwargs: Any) -> Any:
        """Record `call`; if it is native code, one opaque node whose shapes `compute_output_spec` gives."""
        from unidl.errors import OpError
        from unidl.graph.symbolic import TensorSpec
        from unidl.ops._opaque import opaque

        trace = state.trace
        assert trace is not None
        mark = trace.mark()
        try:
            with trace.inside(self, self.name):
                return self._run(*args, **kwargs)
        except OpError:
            raise
        except Exception:
            if type(self).compute_output_spec is Operation.compute_output_spec:
                raise
            trace.rewind(mark)
        tensors = list({id(t): t for t in symbols((args, kwargs))}.values())
        outputs = self.compute_output_spec(*args, **kwargs)

        def run(*values: Any) -> Any:
            by_id = {id(t): v for t, v in zip(tensors, values, strict=True)}
            given = substitute((tuple(args), kwargs), lambda t: by_id[id(t)])
            previous, state.trace = state.trace, None
            try:
                return tree.flatten(self._run(*given[0], **given[1]))
            finally:
                state.trace = previous

        specs = [TensorSpec(t.shape, t.dtype) for t in tree.flatten(outputs)]
        return tree.pack_sequence_as(outputs, opaque(self.name, run, tensors, specs, traceable=False))

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """Record a call on symbolic tensors as a node; the symbolic outputs."""
        outputs = self.compute_output_spec(*args, **kwargs)
        fresh: dict[int, SymbolicTensor] = {}

        def output(tensor: Any) -> Any:
            if type(tensor) is not SymbolicTensor:
                return tensor
            fresh[id(tensor)] = SymbolicTensor(tensor.shape, tensor.dtype, name=tensor.name or self.name)
            return fresh[id(tensor)]

        result = tree.map_structure(output, outputs)
        self._nodes.append(LayerNode(self, args, kwargs, result))
        return result

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation. Subclasses override this."""
        raise NotImplementedError(f"Operation {type(self).__name__} has no `call(...)`: its computation goes there.")

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Symbolic outputs for symbolic (or other) tensors, without recording the call.

        Raises:
            UntraceableError: if this is not overridden and `call` is native code.
        """
        from unidl.graph.symbolic import TensorSpec
        from unidl.graph.trace import Trace, recording, spec_of

        def placeholder(value: Any) -> Any:
            spec = spec_of(value)
            return SymbolicTensor(*spec) if isinstance(spec, TensorSpec) else value

        args, kwargs = tree.map_structure(placeholder, (args, kwargs))
        with recording(Trace()) as trace, trace.inside(self, self.name):
            return self.call(*args, **kwargs)

    def quantized_call(self, *args: Any, **kwargs: Any) -> Any:
        """What is called in the place of `call` if `quantization_mode` is set. Subclasses may have one."""
        raise NotImplementedError(f"Operation {type(self).__name__} has no `quantized_call(...)`.")

    def rematerialized_call(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        """``fn(*args, **kwargs)``, computed again for the gradient in place of keeping what it needs; see `remat`."""
        from unidl._remat import remat

        return remat(fn)(*args, **kwargs)

    # -- the graph --------------------------------------------------------------------------

    @property
    def input(self) -> Any:
        """The symbolic tensors that its first call was given; a list if there are several."""
        return _one_or_list(list(self._first_node("input").inputs()))

    @property
    def output(self) -> Any:
        """The symbolic tensors that its first call gave; a list if there are several."""
        return _one_or_list(self._first_node("output").outputs)

    def _first_node(self, what: str) -> LayerNode:
        if not self._nodes:
            raise AttributeError(
                f"Operation {self.name!r} has no `{what}`: it has never been called on symbolic tensors."
            )
        return self._nodes[0]

    # -- configuration ----------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments from which `from_config` makes an equal operation.

        Raises:
            NotImplementedError: if some are no plain data, or come as ``*args``: the class must override this then.
        """
        cls = type(self)
        signature = inspect.signature(cls.__init__)
        parameters = list(signature.parameters.values())[1:]
        if any(p.kind is p.VAR_POSITIONAL for p in parameters) and cls.__init__ is not Operation.__init__:
            raise NotImplementedError(f"{cls.__name__} takes *args: it must override `get_config()`.")
        if cls.get_config is not Operation.get_config:
            return {"name": self.name}
        bound = signature.bind(self, *self._arguments[0], **self._arguments[1])
        bound.apply_defaults()
        config: dict[str, Any] = {}
        for parameter in parameters:
            value = bound.arguments[parameter.name]
            config.update(value if parameter.kind is parameter.VAR_KEYWORD else {parameter.name: value})
        takes_rest = any(p.kind is p.VAR_KEYWORD for p in parameters)
        if "name" in config or takes_rest:
            config["name"] = self.name
        plain = (str, int, float, bool, type(None))
        for name, value in config.items():
            if not all(isinstance(v, plain) or hasattr(v, "get_config") for v in tree.flatten(value)):
                raise NotImplementedError(
                    f"{cls.__name__}: the argument `{name}` is a {type(value).__name__}, which is no plain data: the "
                    "class must override `get_config()`."
                )
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A new operation from what `get_config` gave.

        Raises:
            TypeError: if the constructor does not take it.
        """
        try:
            return cls(**config)
        except TypeError as error:
            raise TypeError(
                f"{cls.__name__} cannot be made from the configuration {config}: {error}. Override `from_config` or "
                "`get_config` such that they fit the constructor."
            ) from error

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def _one_or_list(tensors: list[SymbolicTensor]) -> Any:
    return tensors[0] if len(tensors) == 1 else tensors


__all__ = ["Operation"]
