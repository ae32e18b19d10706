"""Copies of models with new weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl import tree
from unidl.graph.symbolic import LayerNode, SymbolicTensor, substitute
from unidl.layers._input import Input, InputLayer
from unidl.models.functional import resolved
from unidl.models.model import Model
from unidl.models.sequential import Sequential
from unidl.saving.objects import SafeModeScope


def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable[[Any], Any] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Any:
    """A model of the same structure with new layers, so with new weights; compiled in the same way, if it was.

    Args:
        model: functional, `Sequential`, or a subclass whose `get_config` says all.
        input_tensors: symbolic tensors for the new model to start from; None: new inputs like the old ones.
        clone_function: gives the new layer for each layer but inputs; by default one of the same configuration.
        call_function: ``(layer, *args, **kwargs)``, how the new layers are called; functional models only.
        recursive: clone models inside layer by layer as well; else `clone_function` is given them whole.

    Raises:
        ValueError: if an argument does not go with the kind of model.

    Example:
        >>> import unidl
        >>> model = unidl.Sequential([unidl.Input((3,)), unidl.layers.Dense(2, name="d")])
        >>> twin = unidl.models.clone_model(model)
        >>> twin.layers[0].name, twin.layers[0].kernel is model.layers[0].kernel
        ('d', False)
    """
    if kwargs:
        raise TypeError(f"clone_model() does not take {sorted(kwargs)}.")
    if not isinstance(model, Model):
        raise ValueError(f"clone_model() copies models, not {model!r}.")

    copy = _cloned(model, input_tensors, clone_function, call_function, recursive)
    if model.compiled:
        with SafeModeScope(False):
            copy.compile_from_config(model.get_compile_config())
    return copy


def _cloned(model: Any, input_tensors: Any, clone_function: Any, call_function: Any, recursive: bool) -> Any:
    def clone(layer: Any) -> Any:
        if recursive and isinstance(layer, Model) and (layer._net is not None or isinstance(layer, Sequential)):
            return clone_model(layer, None, clone_function, call_function, True)
        return (clone_function or _copy)(layer)

    if isinstance(model, Sequential):
        if call_function is not None:
            raise ValueError("`call_function` goes with functional models; a Sequential calls its layers in order.")
        return _clone_sequential(model, input_tensors, clone)
    if model._net is not None:
        return _clone_functional(model, input_tensors, clone, call_function)
    for name, given in (
        ("input_tensors", input_tensors), ("clone_function", clone_function), ("call_function", call_function),
    ):  # fmt: skip
        if given is not None:
            raise ValueError(
                f"`{name}` does not go with {type(model).__name__}, a subclassed model: its layers are made by its own "
                "code. Override its get_config() and from_config()."
            )
    return _copy(model)


def _copy(layer: Any) -> Any:
    """A layer of the same configuration. Code in it comes from this very process."""
    with SafeModeScope(False):
        copy = type(layer).from_config(layer.get_config())
    copy._auto_named = layer._auto_named
    return copy


def _clone_sequential(model: Sequential, input_tensors: Any, clone: Callable[[Any], Any]) -> Sequential:
    first = [] if model._input_layer is None else [_copy(model._input_layer)]
    if input_tensors is not None:
        given = tree.flatten(input_tensors)
        if len(given) != 1:
            raise ValueError(f"A Sequential has one input, `input_tensors` has {len(given)}.")
        tensor = given[0]
        layer = getattr(tensor.node, "layer", None)
        first = [layer] if isinstance(layer, InputLayer) else [Input(batch_shape=tensor.shape, dtype=tensor.dtype)]
    copy = type(model)([*first, *(clone(layer) for layer in model.layers)], trainable=model.trainable, name=model.name)
    copy._auto_named = model._auto_named
    return copy


def _clone_functional(
    model: Model, input_tensors: Any, clone: Callable[[Any], Any], call: Callable[..., Any] | None
) -> Model:
    net = model._net
    assert net is not None
    values: dict[int, Any] = {}
    if input_tensors is None:
        inputs = tree.map_structure(_new_input, net.inputs)
    else:
        flat = tree.flatten(input_tensors)
        if len(flat) != len(net.flat_inputs):
            raise ValueError(f"Model {model.name!r} has {len(net.flat_inputs)} inputs, not {len(flat)}.")
        if isinstance(input_tensors, (list, tuple, dict)) and isinstance(net.inputs, (list, tuple, dict)):
            if isinstance(input_tensors, dict) is not isinstance(net.inputs, dict):
                raise ValueError(
                    f"`input_tensors` must be structured like model.input, {net.inputs}; {input_tensors} came."
                )
        inputs = tree.pack_sequence_as(net.inputs, flat)
    for old, new in zip(net.flat_inputs, tree.flatten(inputs), strict=True):
        values[id(old)] = new

    def current(tensor: SymbolicTensor) -> Any:
        return values.get(id(tensor), tensor)

    copies: dict[int, Any] = {}
    for node in net.nodes:
        if isinstance(node, LayerNode):
            if id(node.layer) not in copies:
                copies[id(node.layer)] = clone(node.layer)
            layer = copies[id(node.layer)]
            args, kwargs = substitute(node.args, current), substitute(node.kwargs, current)
            result = layer(*args, **kwargs) if call is None else call(layer, *args, **kwargs)
            results = tree.flatten(result)
        else:
            result = node.op.public(*resolved(node.args, current))
            results = list(result) if node.multiple else [result]
        values.update((id(old), new) for old, new in zip(node.outputs, results, strict=True))
    outputs = tree.map_structure(current, net.outputs)
    copy = model._like(inputs, outputs)
    copy.trainable = model.trainable if not model.trainable else copy.trainable
    return copy


def _new_input(tensor: SymbolicTensor) -> SymbolicTensor:
    layer = getattr(tensor.node, "layer", None)
    if isinstance(layer, InputLayer):
        return _copy(layer).output
    return Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)  # type: ignore[return-value]


__all__ = ["clone_model"]
