"""HIPS autograd as a backend of unidl: NumPy's kernels, and derivatives by autograd."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from autograd.core import VJPNode, add_outgrads
from autograd.extend import defvjp_argnums, primitive
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.tracer import getval, isbox, new_box, toposort, trace_stack

import unidl_numpy
from unidl import tree
from unidl.backend.contract import Backend
from unidl.backend.control import control_table
from unidl.dtypes import FLOATS
from unidl_autograd.table import TABLE
from unidl_autograd.variables import Variable, value
from unidl_numpy.dtypes import DTYPES, dtype_name


class AutogradBackend(Backend):
    """See `unidl.backend.contract.Backend` for what each method means."""

    name = "autograd"
    engine = "autograd"
    Variable = Variable
    dtypes = DTYPES
    tensor_types = frozenset({np.ndarray, Variable, ArrayBox})
    detours = unidl_numpy.backend.detours

    class Module:
        """What layers derive from."""

    def __init__(self) -> None:
        self.table = {**TABLE, **control_table(self)}

    @property
    def engine_version(self) -> str:
        return version("autograd")

    def devices(self) -> list[str]:
        return ["cpu:0"]

    # -- tensors ----------------------------------------------------------------------------

    def to_tensor(self, value: Any, dtype: str | None = None) -> Any:
        if isbox(value):
            return value if dtype is None else self.table["cast"](value, dtype)
        return unidl_numpy.backend.to_tensor(value, dtype)

    def to_numpy(self, tensor: Any) -> np.ndarray:
        return np.asarray(getval(tensor))

    def shape(self, tensor: Any) -> tuple[int, ...]:
        return tensor.shape

    def dtype(self, tensor: Any) -> str:
        return dtype_name(tensor)

    # -- variables --------------------------------------------------------------------------

    def make_variable(self, value: np.ndarray, *, trainable: bool, name: str) -> Any:
        variable = np.array(value, order="C").view(Variable)
        variable.trainable, variable._name = trainable, name
        return variable

    def assign(self, variable: Any, value: Any) -> None:
        np.asarray(variable)[...] = getval(value)

    # -- gradients --------------------------------------------------------------------------

    def differentiate(
        self, fn: Callable[..., Any], tensors: Sequence[Any], variables: Sequence[Any]
    ) -> tuple[Any, list[Any], list[Any]]:
        with trace_stack.new_trace() as trace, np.errstate(all="ignore"):
            wanted = [value(t) for t in (*tensors, *variables)]
            roots = [VJPNode.new_root() if dtype_name(t) in FLOATS else None for t in wanted]
            boxes = [t if r is None else new_box(t, trace, r) for t, r in zip(wanted, roots, strict=True)]
            before = [v.box for v in variables]
            for variable, box in zip(variables, boxes[len(tensors) :], strict=True):
                variable.box = box
            try:
                loss, aux = fn(*boxes[: len(tensors)])
            finally:
                for variable, box in zip(variables, before, strict=True):
                    variable.box = box
            found = dict(_backward(loss)) if isbox(loss) and loss._trace == trace else {}
            gradients = [
                TABLE["cast"](found[r], dtype_name(t)) if r in found else None
                for t, r in zip(wanted, roots, strict=True)
            ]
            result = tree.map_structure(lambda x: x._value if isbox(x) and x._trace == trace else x, (loss, aux))
        return result, gradients[: len(tensors)], gradients[len(tensors) :]

    def custom_gradient(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        def call(*tensors: Any) -> Any:
            custom = _Custom(fn)
            results = _run_custom(custom, *map(value, tensors))
            return tree.pack_sequence_as(custom.structure, [results[i] for i in range(len(results))])

        return call

    def train_step(
        self,
        forward: Any,
        variables: Sequence[Any],
        apply: Callable[[list[Any]], None],
        *,
        jit: bool = False,
        slots: Any = None,
    ) -> Callable[..., tuple[Any, ...]]:
        def run(*inputs: Any) -> tuple[Any, Any]:
            outputs = forward(*inputs)
            return outputs[0], outputs

        def step(*inputs: Any) -> tuple[Any, ...]:
            (_, outputs), _, gradients = self.differentiate(lambda: run(*inputs), [], variables)
            apply(gradients)
            return outputs

        return step

    # -- random -----------------------------------------------------------------------------

    def set_seed(self, seed: int) -> None:
        unidl_numpy.backend.set_seed(seed)


def _backward(loss: Any) -> Iterator[tuple[VJPNode, Any]]:
    """Each node without parents (what is differentiated by) that `loss` was computed from, with its gradient.

    It is autograd's `backward_pass` for several inputs at once.
    """
    gradients = {loss._node: (np.ones(loss.shape, loss.dtype), False)}
    for node in toposort(loss._node):
        gradient = gradients.pop(node)[0]
        if not node.parents:
            yield node, gradient
        for parent, part in zip(node.parents, node.vjp(gradient), strict=True):
            gradients[parent] = add_outgrads(gradients.get(parent), part)


class _Custom:
    """One call of a function that brings its own gradient."""

    structure: Any
    gradient: Callable[..., Any]

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn


@primitive
def _run_custom(custom: _Custom, *tensors: Any) -> tuple[Any, ...]:
    custom.structure, custom.gradient = custom.fn(*tensors)
    return tuple(getval(value(t)) for t in tree.flatten(custom.structure))


def _custom_vjp(argnums: Sequence[int], ans: Any, args: tuple[Any, ...], kwargs: Any) -> Callable[..., Any]:
    def vjp(g: Any) -> Iterator[Any]:
        found = args[0].gradient(*[g[i] for i in range(len(g))])
        found = found if isinstance(found, (tuple, list)) else [found]
        for i in argnums:
            yield np.zeros_like(args[i]) if found[i - 1] is None else value(found[i - 1])

    return vjp


defvjp_argnums(_run_custom, _custom_vjp)
backend = AutogradBackend()
