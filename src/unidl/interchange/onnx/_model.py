"""`load`: an ONNX graph as a functional model, with its initializers as weights."""

from __future__ import annotations

import re
from collections import ChainMap, Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from unidl import ops
from unidl.backend import active
from unidl.dtypes import FLOATS
from unidl.errors import UntraceableError
from unidl.graph.symbolic import SymbolicTensor
from unidl.interchange.onnx._plain import written
from unidl.interchange.onnx._plans import Plan, Planner, Step
from unidl.interchange.onnx._reading import read
from unidl.interchange.onnx._recovering import RECOVER, Held
from unidl.interchange.onnx._recovering_text import refuse_strings, vectorized
from unidl.interchange.onnx._running import Runner, Scope, failed
from unidl.interchange.onnx._structures import DataDependentError, Model, Node, OnnxError, ValueType
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._values import as_tensor, is_host, leave, shape_of

#: Arrays with more elements than this are kept as weights that are not trained; smaller ones are part of the graph.
_SMALL = 64

#: Inputs that are settings of an operator, and no weights, by their places.
_SETTINGS = {
    "Resize": (1, 2, 3), "Upsample": (1,), "Clip": (1, 2), "Pad": (1, 2, 3), "OneHot": (1, 2), "Range": (0, 1, 2),
    "Dropout": (1, 2), "QuantizeLinear": (1, 2), "DequantizeLinear": (0, 1, 2), "QLinearConv": tuple(range(9)),
    "QLinearMatMul": tuple(range(8)), "NonMaxSuppression": (2, 3, 4), "Where": (0,), "Loop": (0, 1),
    "BatchNormalization": (3, 4), "SpatialBN": (3, 4),
}  # fmt: skip

#: Operators through which an initializer stays one: the same numbers in another form.
_FORMS = ("Transpose", "Reshape", "Identity", "Squeeze", "Unsqueeze", "Flatten", "Cast")


class Importer:
    """Builds the model of a graph.

    Attributes:
        anchor: the first input; weights hang on it.
        shared: layers of which several nodes are calls, by what makes these alike.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.runner = Runner(model)
        self.uses: Counter[str] = Counter()
        self.anchor: Any = None
        self.shared: dict[Any, Any] = {}
        self._names: set[str] = set()
        self._weights: dict[int, Any] = {}
        self._readers: dict[str, list[Node]] = {}
        self._scope: Scope = ChainMap()
        self._done: dict[int, str] = {}
        self._ends: list[SymbolicTensor] = []

    # -- names ------------------------------------------------------------------------------

    def name(self, wanted: str) -> str:
        """A layer's name that is close to `wanted` and free."""
        base = re.sub(r"[^\w-]+", "_", wanted).strip("_") or "node"
        name, i = base, 1
        while name in self._names:
            name, i = f"{base}_{i}", i + 1
        self._names.add(name)
        return name

    # -- values -----------------------------------------------------------------------------

    def tensor(self, value: Any) -> Any:
        """A value in the form that ops take: an initializer as its weight."""
        if isinstance(value, Held):
            key = id(value)
            if key not in self._weights:
                self._weights[key] = self.weight(value.name, value.array, value.array.dtype.name in FLOATS)
            return self._weights[key]
        return value

    def weight(self, name: str, array: np.ndarray, trainable: bool) -> Any:
        """An array as a layer of its own."""
        from unidl.interchange.onnx._layers import Weight

        layer = Weight(array.shape, name=self.name(name), dtype=array.dtype.name)
        layer.build(())
        layer.built = True
        layer.value.assign(array)
        layer.trainable = trainable
        return layer(self.anchor)

    def _constant(self, value: Any, name: str) -> Any:
        """A constant input of an op: a large one becomes a weight that is not trained."""
        if is_host(value) and value.size > _SMALL and value.dtype.name in active.dtypes:
            return self.weight(name, value, False)
        return value

    def readers(self, name: str) -> list[Node]:
        """The nodes that read a value."""
        return self._readers.get(name, [])

    def size_of(self, name: str) -> Any:
        """The first size of a value that is there already; None if it has none, or is not."""
        value = self._scope.get(name)
        shape = () if value is None else value.shape if isinstance(value, Held) else shape_of(value)
        return shape[0] if shape else None

    def bias_after(self, node: Node, units: int) -> np.ndarray | None:
        """The bias that the only reader of a product adds, if it is a weight of `units` elements; taken then."""
        (output,) = node.outputs
        readers = self.readers(output)
        if self.uses[output] != 1 or len(readers) != 1 or readers[0].op != "Add" or readers[0].domain:
            return None
        add = readers[0]
        others = [n for n in add.inputs if n != output]
        held = self._scope.get(others[0]) if len(others) == 1 else None
        if not isinstance(held, Held) or not held.single or held.shape != (units,):
            return None
        self._done[id(add)] = output
        return held.array

    # -- running ----------------------------------------------------------------------------

    def run(self, plan: Plan, given: Sequence[Any], prefix: str = "") -> list[Any]:
        """The symbolic values of the plan's outputs."""
        previous = self.uses, self._readers, self._scope
        self.uses, self._readers = _counted(plan)
        constants = {n: self._held(n, v) for n, v in plan.constants.items()}
        self._scope = ChainMap(dict(zip(plan.inputs, given, strict=True)), constants)
        scope = self._scope
        for step in plan.steps:
            node = step.node
            if id(node) in self._done:  # its bias is part of the layer before
                results = [scope[self._done.pop(id(node))]]
            else:
                results = self._step(step, [scope[n] if n else None for n in node.inputs], prefix)
            for name, value in zip(node.outputs, results, strict=False):
                if name:
                    scope[name] = value
        self.uses, self._readers, self._scope = previous
        return [scope[n] if n else None for n in plan.outputs]

    def _held(self, name: str, value: np.ndarray) -> Any:
        if value.dtype.name in FLOATS and value.ndim and value.size > 1 and value.dtype.name in active.dtypes:
            return Held(name, value, self.uses[name] == 1)
        return value

    def _step(self, step: Step, inputs: list[Any], prefix: str) -> list[Any]:
        node = step.node if not prefix else replace(step.node, name=f"{prefix}.{step.node.name}")
        if step.function is not None:
            if (texts := vectorized(self, step, inputs)) is not None:
                return [texts]
            given = [*inputs, *[None] * (len(step.function.inputs) - len(inputs))]
            return self.run(
                step.function, [self.tensor(v) if isinstance(v, Held) and not v.single else v for v in given], node.name
            )
        if (
            node.op in _FORMS
            and isinstance(inputs[0], Held)
            and inputs[0].single
            and all(v is None or is_host(v) for v in inputs[1:])
        ):
            return self._reformed(step, inputs)
        if node.op == "Identity" and isinstance(inputs[0], Held):
            return [inputs[0]]
        settings = _SETTINGS.get(node.op, ())
        inputs = [v.array if isinstance(v, Held) and i in settings else v for i, v in enumerate(inputs)]
        recovered = RECOVER.get(f"{node.domain}.{node.op}" if node.domain else node.op)
        if recovered is not None and step.entry is not None:
            try:
                result = recovered(self, Call(node, step.version), *inputs)
            except (OnnxError, UntraceableError):
                raise
            except Exception as error:
                raise failed(step, inputs, error) from error
            if result is not None:
                return list(result) if isinstance(result, tuple) else [result]
        if step.entry is not None and step.entry.host and all(v is None or is_host(v) for v in inputs):
            return self.runner.step(step, inputs, ChainMap())
        refuse_strings(node, inputs)
        names = [n or node.name for n in node.inputs]
        inputs = [self._constant(self.tensor(v), n) for v, n in zip(inputs, names, strict=True)]
        apart = step.entry is not None and step.entry.apart
        if not apart:
            try:
                results = self.runner.step(step, inputs, ChainMap())
            except (DataDependentError, UntraceableError):
                apart = True
        if apart:
            return self._apart(step, inputs, node.name)
        known = all(v is None or is_host(v) for v in inputs)
        return [leave(r) if known and type(r) is not SymbolicTensor else r for r in results]

    def _reformed(self, step: Step, inputs: list[Any]) -> list[Any]:
        """An initializer in another form, which is the weight then."""
        held = inputs[0]
        (array,) = self.runner.step(step, [held.array, *inputs[1:]], ChainMap())
        array = np.asarray(leave(array))
        if array.dtype.name not in FLOATS:
            return [array]
        return [Held(held.name, array, self.uses[step.node.outputs[0]] == 1)]

    def _apart(self, step: Step, inputs: list[Any], name: str) -> list[Any]:
        """The node as a layer that runs it as a whole."""
        from unidl.interchange.onnx._layers import Operator

        node, known = step.node, dict(zip(step.node.inputs, inputs, strict=True))
        for body in node.bodies():
            for outer in body.outer:
                known[outer] = self._constant(self.tensor(self._scope[outer]), outer)
        known.pop("", None)
        known = {n: as_tensor(v) for n, v in known.items()}
        if unusable := [n for n, v in known.items() if isinstance(v, list)]:
            raise OnnxError(f"{node} reads the sequences {unusable}, which models do not have: use prepare().")
        tensors = {n: v for n, v in known.items() if type(v) is SymbolicTensor}
        reads = dict(tensors) or {"": self.anchor}
        constants = {n: written(leave(v)) for n, v in known.items() if n not in tensors and v is not None}
        layer = Operator(written(node), self._opsets, list(reads), constants, name=self.name(name))
        try:
            result = layer(list(reads.values()))
        except OnnxError as error:
            raise self._unsized(error) from error
        found = iter(result if isinstance(result, (list, tuple)) else [result])
        return [next(found) if n else None for n in node.outputs]

    def _unsized(self, error: OnnxError) -> OnnxError:
        """`error` of a node that was run to see what it gives, with what helps if the sizes were to blame."""
        if not (free := {v.name: v.shape for v in self._ends if None in v.shape}):
            return error
        return OnnxError(
            f"{error} Unknown sizes of inputs were taken as 2 and 3 to see what the node gives. If this graph takes "
            f"only some sizes, name them: load(…, shapes=…) in place of {free}. prepare() runs it for any."
        )

    # -- the model --------------------------------------------------------------------------

    def build(self, shapes: dict[str, Any] | None) -> Any:
        from unidl import Input
        from unidl import Model as UnidlModel

        plan = Planner(self.model, lambda v: v).plan()
        self._opsets = plan.opsets
        graph = self.model.graph
        names = [declared.name for declared in graph.inputs if declared.name not in graph.constants]
        if unknown := set(shapes or {}) - set(names):
            raise OnnxError(f"{self.model.source} has no input {sorted(unknown)[0]!r}: its inputs are {names}.")
        inputs = []
        for declared in graph.inputs:
            if declared.name not in graph.constants:
                shape, name = _shape(declared, shapes), self.name(declared.name)
                inputs.append(Input(batch_shape=shape, dtype=declared.dtype, name=name))
                inputs[-1].name = declared.name
        if not inputs:
            raise OnnxError(
                f"{self.model.source} has no inputs: there is no model to be made of it. prepare() runs it."
            )
        self.anchor = inputs[0]
        self._ends = list(inputs)
        given = iter(inputs)
        values = [graph.constants[v.name] if v.name in graph.constants else next(given) for v in graph.inputs]
        for declared, i in zip(graph.inputs, range(len(values)), strict=True):
            if declared.name in graph.constants:
                values[i] = self._first_held(plan, declared.name, values[i])
        outputs = [self._output(v.name, o) for v, o in zip(graph.outputs, self.run(plan, values), strict=True)]
        name = self.name(graph.name or "model")
        return UnidlModel(
            inputs[0] if len(inputs) == 1 else inputs, outputs[0] if len(outputs) == 1 else outputs, name=name
        )

    def _first_held(self, plan: Plan, name: str, value: Any) -> Any:
        """Files of before IR version 4 list initializers among the inputs."""
        uses, _ = _counted(plan)
        self.uses = uses
        return self._held(name, value)

    def _output(self, name: str, value: Any) -> Any:
        value = as_tensor(self.tensor(value))
        if value is None or isinstance(value, list):
            raise OnnxError(f"Output {name!r} is a sequence or an optional, which models do not have: use prepare().")
        if type(value) is not SymbolicTensor:
            value = self.weight(name, np.asarray(leave(value)), False)
        if any(value is taken for taken in self._ends):  # an input, or another output
            value = ops.copy(value)
        self._ends.append(value)
        value.name = name
        return value


def _counted(plan: Plan) -> tuple[Counter[str], dict[str, list[Node]]]:
    """How often each name is read, and by which nodes."""
    uses: Counter[str] = Counter(n for n in plan.outputs if n)
    readers: dict[str, list[Node]] = {}
    for step in plan.steps:
        names = [n for n in step.node.inputs if n]
        for body in step.node.bodies():
            names += body.outer
        uses.update(names)
        for name in names:
            readers.setdefault(name, []).append(step.node)
    return uses, readers


def _shape(declared: ValueType, shapes: dict[str, Any] | None) -> tuple[int | None, ...]:
    """The shape of a model's input; names of unknown sizes become unknown."""
    if declared.kind not in ("tensor", "") or declared.dtype not in ("string", *active.dtypes):
        raise OnnxError(
            f"Input {declared.name!r} is a {declared.kind or 'value of unknown type'} of "
            f"{declared.dtype or 'unknown dtype'}, which models do not take: prepare() runs such a graph."
        )
    shape = (shapes or {}).get(declared.name, declared.shape)
    if shape is None:
        raise OnnxError(
            f"Input {declared.name!r} has no shape in the file: pass shapes={{{declared.name!r}: (None, …)}}."
        )
    return tuple([d if isinstance(d, int) else None for d in shape])


def load(source: Any, *, shapes: dict[str, Any] | None = None) -> Any:
    """Read an ONNX model as a `Model`: to predict, fine-tune, save and export on any engine.

    Convolutions, dense and recurrent layers, normalizations, embeddings, pooling and activations become layers, named
    after the nodes; the rest becomes ops between them. Initializers become weights of these layers, or `Weight` layers
    named after them; small constants stay what they are. Data stay in ONNX's layout (channels first).
    `unidl.onnx.prepare` runs any graph, also those that are no model (with text, sequences, optionals).

    Inputs and outputs keep their names (`Model.output_names`), also when the model is saved or exported.

    Args:
        source: a path, the bytes of a file, or an `onnx.ModelProto`. External data are read from the path's folder.
        shapes: shapes of inputs by name, in place of those in the file; None for sizes that may vary, such as a batch
            size that was fixed when the file was written.

    Raises:
        OnnxError: if the file is damaged or breaks ONNX's rules, or the graph cannot be a model.
        MissingOperatorError: if it needs operators that are not known; `register_op` supplies them.

    Example:
        >>> import numpy as np, unidl
        >>> from onnx import TensorProto, helper, numpy_helper
        >>> x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 2]) for n in "xy")
        >>> w = numpy_helper.from_array(np.array([[1, 2], [3, 4]], "float32"), "w")
        >>> nodes = [helper.make_node("MatMul", ["x", "w"], ["h"], name="dense")]
        >>> nodes.append(helper.make_node("Relu", ["h"], ["y"]))
        >>> proto = helper.make_model(helper.make_graph(nodes, "small", [x], [y], [w]))
        >>> model = unidl.onnx.load(proto.SerializeToString())
        >>> [layer.name for layer in model.layers]
        ['x', 'dense', 'Relu_y']
    """
    return Importer(read(source)).build(shapes)


__all__ = ["Importer", "load"]
