"""Running a graph: `prepare`, and what `load` shares with it."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Sequence
from typing import Any

import numpy as np

from unidl import ops
from unidl.backend import active
from unidl.errors import UntraceableError, describe
from unidl.graph.symbolic import Dim
from unidl.interchange.onnx import importing  # noqa: F401  (fills the table)
from unidl.interchange.onnx._plans import Plan, Planner, Step, definition
from unidl.interchange.onnx._reading import _Reader, read
from unidl.interchange.onnx._structures import Graph, Model, Node, OnnxError, ValueType
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._values import dtype_of, enter, is_host, leave, shape_of

Scope = ChainMap[str, Any]


class Runner:
    """Runs the plans of one model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._expanded: dict[Any, Plan] = {}

    def run(self, plan: Plan, given: Sequence[Any], around: Scope | None = None) -> list[Any]:
        """The values of the plan's outputs for those of its inputs, in order."""
        own = dict(zip(plan.inputs, given, strict=True))
        scope: Scope = ChainMap(own, plan.constants, *(around.maps if around is not None else ()))
        for step in plan.steps:
            results = self.step(step, [scope[n] if n else None for n in step.node.inputs], scope)
            for name, value in zip(step.node.outputs, results, strict=False):
                if name:
                    own[name] = value
            for name in step.last:
                own.pop(name, None)
        return [scope[n] if n else None for n in plan.outputs]

    def step(self, step: Step, inputs: list[Any], scope: Scope) -> list[Any]:
        """The outputs of one node."""
        node = step.node
        if step.function is not None:
            return self._function(step.function, inputs, len(node.outputs))
        if step.expands:
            return self._function(self._expansion(step, inputs), inputs, len(node.outputs))
        assert step.entry is not None
        call = Call(node, step.version, lambda graph, values: self.run(step.bodies[id(graph)], values, scope))
        try:
            results = call.compute(step.entry, inputs)
        except (OnnxError, UntraceableError):
            raise
        except Exception as error:
            raise failed(step, inputs, error) from error
        wanted = [i for i, n in enumerate(node.outputs) if n]
        if wanted and wanted[-1] >= len(results):
            raise OnnxError(
                f"{node} of opset {step.version} has {len(results)} outputs, but the model reads more: {node.outputs}."
            )
        return results

    def _function(self, plan: Plan, inputs: list[Any], count: int) -> list[Any]:
        if len(inputs) > len(plan.inputs):
            raise OnnxError(f"function {plan.name!r} takes {len(plan.inputs)} inputs, but {len(inputs)} are given.")
        given = [*inputs, *[None] * (len(plan.inputs) - len(inputs))]
        return self.run(plan, given)[:count]

    def _expansion(self, step: Step, inputs: list[Any]) -> Plan:
        """The plan of an operator that ONNX defines by others; it may depend on the inputs' dtypes and ranks."""
        types = [("", None) if v is None or isinstance(v, list) else (dtype_of(v), _static(v)) for v in inputs]
        key = id(step), str(types)
        if key not in self._expanded:
            proto, _ = definition(step.node, step.version, types)
            function = _Reader(None)._function(proto, {**self.model.opsets, step.node.domain: step.version})
            defaults = {**function.attributes, **_defaults(step.node, step.version), **step.node.attributes}
            model = Model(
                self.model.graph,
                {**self.model.opsets, "": max(self.model.opsets.get("", 1), function.opsets.get("", 1))},
                {},
                "",
                self.model.source,
            )
            self._expanded[key] = _checked(Planner(model, lambda v: v), function, defaults)
        return self._expanded[key]


def failed(step: Step, inputs: list[Any], error: Exception) -> OnnxError:
    """What went wrong with a node, for which inputs."""
    shown = ", ".join(describe(v) for v in inputs)
    return OnnxError(f"{step.node} of opset {step.version} failed for inputs ({shown}). {error}")


def _checked(planner: Planner, function: Any, attributes: dict[str, Any]) -> Plan:
    plan = planner.function(function, attributes)
    if planner.missing:
        raise OnnxError(f"operator {function.name!r} is defined by operators that are missing: {planner.missing}.")
    return plan


def _static(value: Any) -> list[Any]:
    return [None if isinstance(d, Dim) else d for d in shape_of(value)]


def _defaults(node: Node, version: int) -> dict[str, Any]:
    """The default values of an operator's attributes."""
    import onnx

    schema = onnx.defs.get_schema(node.op, version, node.domain)
    reader = _Reader(None)
    return {
        a.name: reader._attribute(a.default_value, node.op)
        for a in schema.attributes.values()
        if a.default_value.name or a.default_value.type
    }


class Prepared:
    """A model that can be run: a callable from a list of arrays to a list of arrays. `prepare` makes it.

    Attributes:
        inputs: what it takes, in order: names, dtypes and shapes.
        outputs: what it gives.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        graph = model.graph
        self._plan = Planner(model, enter_weight).plan()
        self._runner = Runner(model)
        self.inputs: list[ValueType] = [v for v in graph.inputs if v.name not in graph.constants]
        self.outputs: list[ValueType] = list(graph.outputs)

    def __call__(self, inputs: Any) -> list[Any]:
        """The outputs for `inputs`: a list in the order of `self.inputs`, or a dict by name.

        Arrays or tensors; lists for sequences, None for empty optionals. Inputs with a default value (an initializer
        of the same name) may be given too, by name, or by giving all.

        Raises:
            OnnxError: if they do not fit the model, or a node cannot be computed for them; it names the node.
        """
        given = self._by_name(inputs)
        values = []
        for declared in self.model.graph.inputs:
            if declared.name in given:
                values.append(_entered(declared, given[declared.name]))
            else:
                values.append(self._plan.constants[declared.name])
        with active.no_grad():
            return [leave(v) for v in self._runner.run(self._plan, values)]

    def _by_name(self, inputs: Any) -> dict[str, Any]:
        everything = [v.name for v in self.model.graph.inputs]
        names = [v.name for v in self.inputs]
        if isinstance(inputs, dict):
            if unknown := sorted(set(inputs) - set(everything)):
                raise OnnxError(f"The model has no inputs {unknown}; it has {everything}.")
            if missing := [n for n in names if n not in inputs]:
                raise OnnxError(f"The inputs {missing} are missing.")
            return inputs
        inputs = list(inputs)
        if len(inputs) == len(everything):
            return dict(zip(everything, inputs, strict=True))
        if len(inputs) != len(names):
            raise OnnxError(f"The model takes {len(names)} inputs ({', '.join(names)}), but {len(inputs)} came.")
        return dict(zip(names, inputs, strict=True))

    def __repr__(self) -> str:
        return (
            f"<Prepared {self.model.graph.name!r}: {[v.name for v in self.inputs]} → {[v.name for v in self.outputs]}>"
        )


def enter_weight(value: Any) -> Any:
    """An initializer where it is used best: large ones on the engine, small ones (shapes, scales) on the host."""
    return enter(value) if value.size > 64 and value.dtype.kind == "f" else value


def _entered(declared: ValueType, value: Any) -> Any:
    """An input of the model, checked against what the model declares."""
    if value is None:
        if declared.kind in ("optional", ""):
            return None
        raise OnnxError(f"Input {declared.name!r} is not optional, but None came.")
    if isinstance(value, (list, tuple)) and declared.kind in ("sequence", "optional"):
        return [_entered_array(declared, v) for v in value]
    if declared.kind == "map":
        return _entered_map(declared, value)
    return _entered_array(declared, value)


def _entered_map(declared: ValueType, value: Any) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise OnnxError(f"Input {declared.name!r} is a map: it takes a dict, but {describe(value)} came.")
    if declared.dtype == "string":
        return value
    return {key: np.dtype(declared.dtype).type(number) for key, number in value.items()}


def _entered_array(declared: ValueType, value: Any) -> Any:
    if not (is_host(value) or ops.is_tensor(value)):
        value = np.asarray(value)
    if is_host(value) and value.dtype.kind in "US":
        value = value.astype(object)
    have = dtype_of(value)
    if declared.dtype and have != declared.dtype:
        raise OnnxError(f"Input {declared.name!r} takes {declared.dtype}, but {describe(value)} came. Cast it.")
    if declared.kind == "tensor" and declared.shape is not None:
        shape = shape_of(value)
        fits = len(shape) == len(declared.shape) and all(
            not isinstance(want, int) or not isinstance(size, int) or size == want
            for size, want in zip(shape, declared.shape, strict=True)
        )
        if not fits:
            raise OnnxError(
                f"Input {declared.name!r} has the shape {list(declared.shape)}, but {describe(value)} came."
            )
    return enter(value)


def prepare(source: Any) -> Prepared:
    """Read an ONNX model to run it exactly as it is, on the active engine.

    Shapes and other small integers that a graph computes are computed on the host, exactly; tensors by `unidl.ops`.
    Control flow runs as Python. For a model to train, change or save, see `load`.

    Args:
        source: a path, the bytes of a file, or an `onnx.ModelProto`. External data are read from the path's folder.

    Returns:
        A callable from a list of arrays (in the order of its `inputs`) to a list of arrays.

    Raises:
        OnnxError: if the file is damaged or breaks ONNX's rules.
        MissingOperatorError: if it needs operators that are not known; `register_op` supplies them.

    Example:
        >>> import numpy as np, unidl
        >>> from onnx import TensorProto, helper
        >>> x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n"]) for n in "xy")
        >>> graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "positive", [x], [y])
        >>> run = unidl.onnx.prepare(helper.make_model(graph).SerializeToString())
        >>> print(run([np.array([-1.0, 2.0], "float32")])[0])
        [0. 2.]
    """
    return Prepared(read(source))


__all__ = ["Graph", "Prepared", "Runner", "prepare"]
