"""How a layer's call is bound, recorded in a functional model, and recorded in a trace."""

from __future__ import annotations

import inspect
import weakref
from typing import Any

import numpy as np

from unidl import tree
from unidl._state import state
from unidl.backend import active
from unidl.errors import OpError, UntraceableError
from unidl.graph.symbolic import LayerNode, SymbolicTensor, TensorSpec, like, substitute
from unidl.graph.trace import Trace, recording
from unidl.ops._bind import constant_leaf
from unidl.ops._opaque import opaque


class CallSpec:
    """The signature of a layer class's `call`, read once.

    Attributes:
        names: parameters without `self`.
        training: whether one is called `training`.
        masks: names of the parameters that are filled with masks: `mask`, and ``<argument>_mask``.
        makes_mask: whether the class defines `compute_mask`, and so may make one from nothing.
    """

    def __init__(self, cls: type) -> None:
        function = cls.call  # type: ignore[attr-defined]
        self.function = function
        self.signature = inspect.signature(function)
        self.parameters = parameters = list(self.signature.parameters.values())[1:]
        self.names = [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        self.variadic = any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in parameters)
        self.training = "training" in self.names
        self.needs_training = self.training and self.signature.parameters["training"].default is inspect.Parameter.empty
        self.masks = [n for n in self.names if n == "mask" or (n.endswith("_mask") and n[:-5] in self.names)]
        from unidl.layers._base import Layer

        self.makes_mask = cls.compute_mask is not Layer.compute_mask  # type: ignore[attr-defined]

    def bind(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Arguments by name. `training` and `mask` may be given even if `call` does not take them."""
        extra = {k: kwargs[k] for k in ("training", "mask") if k in kwargs and k not in self.names}
        kwargs = {k: v for k, v in kwargs.items() if k not in extra}
        if self.needs_training and "training" not in kwargs and len(args) <= self.names.index("training"):
            kwargs["training"] = None  # filled in later
        try:
            bound = dict(self.signature.bind(layer, *args, **kwargs).arguments)
        except TypeError as error:
            taken = ", ".join(str(p.replace(annotation=p.empty)) for p in self.parameters)
            raise TypeError(f"{type(layer).__name__}.call: {error}. It is called as call({taken}).") from None
        bound.pop(next(iter(self.signature.parameters)))
        if extra.get("training") is not None:
            bound["training"] = extra["training"]
        return bound

    def first(self, bound: dict[str, Any]) -> Any:
        return next(iter(bound.values()), None)

    def fill_masks(self, bound: dict[str, Any]) -> Any:
        """Put the masks of arguments where `call` wants them; the result is that of the first argument."""
        if state.trace is None and not state.masks:
            return bound.get("mask")
        mask = mask_of(self.first(bound))
        for name in self.masks:
            if bound.get(name) is None:
                own = mask if name == "mask" else mask_of(bound.get(name[:-5]))
                if own is not None:
                    bound[name] = own
        return bound.get("mask", mask) if "mask" in self.names else mask

    def call(self, layer: Any, bound: dict[str, Any]) -> Any:
        if "training" in bound and not self.training:
            bound = {k: v for k, v in bound.items() if k != "training"}
        if not self.variadic:
            return layer.call(**bound)
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for name, parameter in list(self.signature.parameters.items())[1:]:
            if name not in bound:
                continue
            if parameter.kind is parameter.VAR_POSITIONAL:
                args += bound[name]
            elif parameter.kind is parameter.VAR_KEYWORD:
                kwargs.update(bound[name])
            elif parameter.kind is parameter.KEYWORD_ONLY:
                kwargs[name] = bound[name]
            else:
                args.append(bound[name])
        return layer.call(*args, **kwargs)


_specs: dict[type, CallSpec] = {}


def call_spec(cls: type) -> CallSpec:
    """The one `CallSpec` of a layer class."""
    spec = _specs.get(cls)
    if spec is None:
        spec = _specs[cls] = CallSpec(cls)
    return spec


def mask_of(value: Any) -> Any:
    """The mask (or structure of masks) that comes with a tensor (or structure of tensors)."""
    if type(value) is SymbolicTensor:
        return value.mask
    if isinstance(value, (list, tuple)):
        masks = [mask_of(v) for v in value]
        return masks if any(m is not None for m in masks) else None
    mask = getattr(value, "_unidl_mask", None)
    if mask is None and (found := _apart.get(id(value))) is not None and found[0]() is value:
        return found[1]
    return mask


#: Masks of tensors that take no attributes (NumPy arrays), by id, for as long as the tensor lives.
_apart: dict[int, tuple[Any, Any]] = {}


def attach_mask(tensor: Any, mask: Any) -> None:
    """Let a native tensor carry a mask to the layers that it is passed to."""
    try:
        tensor._unidl_mask = mask
    except AttributeError:
        key = id(tensor)
        _apart[key] = weakref.ref(tensor, lambda _: _apart.pop(key, None)), mask


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _shape(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shape(v) for v in value]
    if type(value) is SymbolicTensor:
        return value.shape
    return tuple(active.shape(value)) if active.is_tensor(value) else None


def build_parameters(cls: type) -> tuple[str, ...]:
    parameters = list(inspect.signature(cls.build).parameters.values())[1:]  # type: ignore[attr-defined]
    return tuple(p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL))


def shapes_of(layer: Any, bound: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `build`: the first argument's shape, or ``<argument>_shape`` for several."""
    names = build_parameters(type(layer))
    if len(names) <= 1:
        first = next(iter(bound.values()), None)
        return {names[0]: _shape(first)} if names else {}
    shapes = {}
    for name in names:
        argument = name[:-6] if name.endswith("_shape") else name
        if argument in bound:
            shapes[name] = _shape(bound[argument])
    return shapes


def record_layer(
    layer: Any, spec: CallSpec, args: tuple[Any, ...], kwargs: dict[str, Any], bound: dict[str, Any], keep: bool = True
) -> Any:
    """Call a layer outside a trace on symbolic tensors: a node of a functional model."""
    fresh: dict[int, SymbolicTensor] = {}

    def placeholder(tensor: SymbolicTensor) -> SymbolicTensor:
        if id(tensor) not in fresh:
            copy = fresh[id(tensor)] = SymbolicTensor(tensor.shape, tensor.dtype, name=tensor.name)
            if tensor.mask is not None:
                copy.mask = SymbolicTensor(tensor.mask.shape, tensor.mask.dtype)
        return fresh[id(tensor)]

    inner = {name: with_constants(substitute(value, placeholder)) for name, value in bound.items()}
    if not (layer.built and layer._ready):
        layer._build(**shapes_of(layer, inner))
    try:
        with recording(Trace()):
            outputs = run_in_trace(layer, spec, inner)
    except Exception:
        outputs = _declared(layer, inner, keep)
        if outputs is None:
            raise

    def output(tensor: Any) -> Any:
        if type(tensor) is not SymbolicTensor:
            return tensor
        result = SymbolicTensor(tensor.shape, tensor.dtype, name=layer.name)
        if tensor.mask is not None:
            result.mask = SymbolicTensor(tensor.mask.shape, tensor.mask.dtype)
        return result

    result = tree.map_structure(output, outputs)
    if keep:
        node = LayerNode(layer, args, kwargs, result)
        layer._nodes.append(node)
    return result


def with_constants(given: Any) -> Any:
    """Arguments of a call in a functional model, with the native tensors among them as constants of its graph."""

    def constant(value: Any) -> Any:
        native = type(value) is not SymbolicTensor and active.is_tensor(value)
        return constant_leaf(value) if native and not isinstance(value, (active.Variable, np.ndarray)) else value

    return tree.map_structure(constant, given)


def _declared(layer: Any, bound: dict[str, Any], ask: bool) -> Any:
    """The outputs that a layer whose call nobody can record says it has; None if it does not say.

    With `ask` its `compute_output_spec` is called, which may itself be asking here.
    """
    from unidl.layers._base import Layer

    cls = type(layer)
    if ask and cls.compute_output_spec is not Layer.compute_output_spec:
        return layer.compute_output_spec(**bound)
    if cls.compute_output_shape is Layer.compute_output_shape or cls.__module__.startswith("unidl."):
        return None
    names = [p for p in inspect.signature(cls.compute_output_shape).parameters if p != "self"]
    shapes = {n: _shape(v) for n, v in zip(names, bound.values())}
    shape = layer.compute_output_shape(**shapes)

    def tensor(shape: Any) -> Any:
        if isinstance(shape, dict):
            return {k: tensor(v) for k, v in shape.items()}
        if all(d is None or isinstance(d, int) for d in shape):
            return SymbolicTensor(tuple(shape), layer.compute_dtype)
        return like(shape, [tensor(s) for s in shape])

    return tensor(shape)


def run_in_trace(layer: Any, spec: CallSpec, bound: dict[str, Any]) -> Any:
    """Record a layer's call; if its code cannot be recorded, record it as one opaque node."""
    trace = state.trace
    assert trace is not None
    mark = trace.mark()
    try:
        with trace.inside(layer, layer.name):
            return layer._run(spec, bound)
    except OpError as error:
        raise layer._located(error) from error.__cause__
    except Exception as error:
        if isinstance(error, NotImplementedError):
            raise
        trace.rewind(mark)
        return _run_opaque(layer, spec, bound, error)


def _run_opaque(layer: Any, spec: CallSpec, bound: dict[str, Any], reason: Exception) -> Any:
    """Record a layer whose code is native: its output shapes are found by running it on zeros."""
    tensors: list[SymbolicTensor] = []

    def collect(tensor: SymbolicTensor) -> SymbolicTensor:
        if not any(t is tensor for t in tensors):
            tensors.append(tensor)
        return tensor

    substitute(bound, collect)
    training = bound.get("training", state.training)
    losses: list[Any] = []

    def run(*values: Any) -> Any:
        by_id = {id(t): v for t, v in zip(tensors, values, strict=True)}
        previous = state.trace, state.training
        state.trace, state.training = None, training
        try:
            result = layer._run(spec, {k: substitute(v, lambda t: by_id[id(t)]) for k, v in bound.items()})
            losses[:] = layer._losses
            return result
        finally:
            state.trace, state.training = previous

    saved = [(v, active.to_numpy(v).copy()) for v in layer.variables]
    previous, state.trace = state.trace, None
    try:
        # Two sizes for what is unknown: dimensions of the outputs that differ are unknown as well.
        probes = []
        for size in (2, 3):
            zeros = [
                active.to_tensor(np.zeros([size if d is None else d for d in t.shape], _host_dtype(t.dtype)), t.dtype)
                for t in tensors
            ]
            with active.no_grad():
                probes.append(run(*zeros))
    except Exception as error:
        raise error from reason
    finally:
        state.trace = previous
        for variable, value in saved:
            active.assign(variable, active.to_tensor(value))
    if losses:
        raise UntraceableError(
            f"Layer {layer.path!r} cannot be recorded ({reason}) and adds losses: compile with run_eagerly=True."
        ) from reason
    specs = [
        TensorSpec(
            tuple(a if a == b else None for a, b in zip(active.shape(p), active.shape(q), strict=True)), active.dtype(p)
        )
        for p, q in zip(tree.flatten(probes[0]), tree.flatten(probes[1]), strict=True)
    ]
    outputs = opaque(f"layer {layer.name}", lambda *values: tree.flatten(run(*values)), tensors, specs, traceable=False)
    return tree.pack_sequence_as(probes[0], outputs)


def _host_dtype(name: str) -> Any:
    return "float32" if name in ("bfloat16", "float16") else name
