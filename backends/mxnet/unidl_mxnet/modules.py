"""Gluon blocks as unidl's layers hold them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from unidl.backend.native import NativeModule
from unidl_mxnet._engine import mx
from unidl_mxnet.tensors import Variable, variable_of


class GluonBlock(NativeModule):
    """A gluon block, hybridized or not: its parameters share their memory and gradients with variables.

    A block that is not initialized is, by gluon's own rule, with the first input.
    """

    def __init__(self, block: Any) -> None:
        if not isinstance(block, mx.gluon.Block):
            raise TypeError(f"A gluon Block is expected, not {block!r} of type {type(block)}.")
        self.source = block

    def prepare(self, inputs: Sequence[Any]) -> None:
        parameters = self.source.collect_params().values()
        if any(p._data is None and not p._deferred_init for p in parameters):
            self.source.initialize()
        if any(p._deferred_init for p in parameters):
            self(tuple(inputs), {}, False)

    def variables(self) -> list[Any]:
        return [_variable(p) for p in self.source.collect_params().values() if p._data is not None]

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any], training: bool) -> Any:
        mode = mx.autograd.train_mode if training else mx.autograd.predict_mode
        with mode(), mx.util.np_shape(True), mx.util.np_array(True):
            return self.source(*args, **kwargs)


def _variable(parameter: Any) -> Any:
    """The variable that a gluon parameter holds from now on in place of its array."""
    array = parameter._data[0]
    if isinstance(array, Variable):
        return array
    if len(parameter._data) > 1:
        raise ValueError(f"Parameter {parameter.name!r} lies on {len(parameter._data)} devices: one is possible.")
    variable = variable_of(array.asnumpy(), parameter.grad_req != "null")
    variable._name = parameter.name
    parameter._data = [variable]
    if variable.gradient is not None:
        parameter._grad = [variable.gradient]
    return variable
