"""A Python function as a function of TensorFlow's runtime, made with a fifth of the Python that `tf.function` runs.

TensorFlow makes a node of a graph in some 300 µs: it converts and checks the arguments, builds a protocol buffer for
each attribute, opens name scopes, and keeps the Python stack of every node. Nodes of one kind are mostly alike, so
`QuickGraph` takes the attributes of an earlier node that had the same arguments, and goes to the C interface. Whatever
is not plain (lists of inputs, functions as attributes, devices, control flow, numbers where tensors are expected) is
left to TensorFlow, node by node.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from tensorflow.core.framework import attr_value_pb2
from tensorflow.python.client import pywrap_tf_session as c_api
from tensorflow.python.eager import execute
from tensorflow.python.eager.graph_only_ops import graph_placeholder
from tensorflow.python.eager.record import record_operation
from tensorflow.python.framework import (
    auto_control_deps,
    auto_control_deps_utils,
    op_callbacks,
    op_def_library,
    op_def_registry,
    ops,
)
from tensorflow.python.framework.func_graph import FuncGraph, dismantle_func_graph
from tensorflow.python.ops import handle_data_util
from tensorflow.python.ops.resource_variable_ops import variable_accessed

from unidl_tensorflow._engine import EagerTensor, ResourceVariable, SymbolicTensor, context, could_possibly_record
from unidl_tensorflow._engine import tensorflow as tf

Tensor = Any

#: The versions of TensorFlow whose inner parts are known here; with others `tf.function` makes the functions.
_KNOWN = "2.21."
#: Ops that touch no resource and change nothing, and yet mean something to the order in which others run.
_CONTROL = frozenset({
    "Switch", "Merge", "Enter", "Exit", "NextIteration", "LoopCond", "NoOp", "AllToAll", "CrossReplicaSum",
    "CollectivePermute",
})  # fmt: skip


class _Kind(NamedTuple):
    """What there is to know of an op by its name.

    Attributes:
        inputs: names of its tensors.
        handles: for each of them whether it is the handle of a resource.
        attributes: names of the attributes that callers give; those that follow from the tensors are left out.
        defaults: those of them that callers may leave out, as the C interface takes them.
        quick: whether it takes one tensor for each input, and no functions.
        stateful: whether it has an effect, or depends on one.
        reads: whether the effect on its resource is only to read it.
        control: whether TensorFlow has to see to the order in which it runs.
    """

    inputs: tuple[str, ...]
    handles: tuple[bool, ...]
    attributes: tuple[str, ...]
    defaults: dict[str, bytes]
    quick: bool
    stateful: bool
    reads: bool
    control: bool


_kinds: dict[str, _Kind | None] = {}


def _kind(op_type: str) -> _Kind | None:
    """None for an op that is not registered: the call of a function by its name."""
    if op_type not in _kinds:
        definition = op_def_registry.get(op_type)
        _kinds[op_type] = None if definition is None else _described(op_type, definition)
    return _kinds[op_type]


def _described(op_type: str, definition: Any) -> _Kind:
    arguments = definition.input_arg
    inferred = {a.type_attr for a in arguments} | {a.number_attr for a in arguments}
    functions = any(a.type in ("func", "list(func)") for a in definition.attr)
    lists = any(a.number_attr or a.type_list_attr or a.is_ref for a in (*arguments, *definition.output_arg))
    return _Kind(
        inputs=tuple(a.name for a in arguments),
        handles=tuple(a.type == tf.resource.as_datatype_enum for a in arguments),
        attributes=tuple(a.name for a in definition.attr if a.name not in inferred),
        defaults={a.name: a.default_value.SerializeToString() for a in definition.attr if a.HasField("default_value")},
        quick=not lists and not functions,
        stateful=definition.is_stateful,
        reads=op_type in auto_control_deps_utils.RESOURCE_READ_OPS,
        control=functions or op_type in _CONTROL,
    )


class _Pack(NamedTuple):
    """Handles of variables that come as one input, which costs as much as any node, and 3 µs at each call.

    Attributes:
        input: the placeholder in the graph.
        handles: what is given for it.
        size: the length of a vector, of which not all need to be used; 0 for one handle that comes as it is.
    """

    input: Tensor
    handles: list[Tensor]
    size: int

    def value(self) -> Tensor:
        """What is given for the input."""
        if not self.size:
            return self.handles[0]
        with tf.device(_HOST):
            return tf.raw_ops.Pack(values=self.handles + self.handles[-1:] * (self.size - len(self.handles)))


#: Where the handles are that come in packs: other devices cannot unpack them.
_HOST = "/job:localhost/replica:0/task:0/device:CPU:0"
#: How many handles are in a pack, and how many come before as inputs of their own: a graph of no more variables is
#: rewritten (`compiling._REWRITTEN`), for which TensorFlow wants to know shapes, and those in a pack have none.
_PACK, _ALONE = 256, 1000


class QuickGraph(FuncGraph):  # type: ignore[misc]
    """The graph of a function, whose plain nodes are made by the C interface.

    Attributes:
        touching: nodes that use resources, in order, with the handles and whether they only read.
        plain: whether these are all nodes whose order matters.
        attributes: for each kind of call its attributes, as the C interface takes them, and how its outputs are nested.
        handles: the handles of variables, by the identity of what they are outside.
        packs: the inputs through which they come.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.touching: list[tuple[Any, list[Tensor], bool]] = []
        self.plain = True
        self.attributes: dict[Any, tuple[list[tuple[str, bytes]], list[Any]]] = {}
        self.handles: dict[int, Tensor] = {}
        self.packs: list[_Pack] = []
        self._spare: list[Tensor] = []
        self._count = 0

    def surroundings(self) -> bool:
        """Whether anything around the code that runs says more about its nodes: a device, control inputs, a loop."""
        return bool(
            self._control_dependencies_stack
            or self._colocation_stack
            or self._control_flow_context is not None
            or self._attr_scope_map
            or self._gradient_override_map
            or self._device_function_stack
        )

    def capture(self, tensor: Tensor, name: str | None = None, shape: Any = None) -> Tensor:
        kind = type(tensor)
        if kind is SymbolicTensor and tensor.graph is self:
            return tensor
        if kind is not EagerTensor or tensor.dtype is not tf.resource or tensor.is_packed or tensor.device != _HOST:
            return super().capture(tensor, name, shape)
        handle = self.handles.get(id(tensor))
        if handle is None:
            handle = self._handle(tensor)
        if could_possibly_record():
            handle._record_tape(tensor)
        return handle

    def _handle(self, tensor: Tensor) -> Tensor:
        """A handle that was not used before, as an input of its own or one of a pack."""
        if not self._spare:
            self._open(_PACK if len(self.handles) >= _ALONE else 0)
        self.handles[id(tensor)] = handle = self._spare.pop()
        self.packs[-1].handles.append(tensor)
        handle_data_util.set_handle_data(handle, tensor._handle_data)
        return handle

    def _open(self, size: int) -> None:
        """A new input: of one handle if `size` is 0, else of a vector of handles."""
        sizes = tf.TensorShape([size] if size else []).as_proto()
        shape = attr_value_pb2.AttrValue(shape=sizes).SerializeToString()
        number = attr_value_pb2.AttrValue(i=size).SerializeToString()
        kind = _type(tf.resource)
        with self.control_dependencies(None):
            given = self.node("Placeholder", [], [("dtype", kind), ("shape", shape)]).outputs
            inside = self.node("Unpack", given, [("T", kind), ("num", number)]).outputs if size else given
        self._spare = list(reversed(inside))
        self.packs.append(_Pack(given[0], [], size))

    def node(self, op_type: str, inputs: Sequence[Tensor], attributes: Sequence[tuple[str, bytes]]) -> Any:
        """A node of tensors of this graph."""
        taken = self._names_in_use
        name = f"{op_type}_q{self._count}"
        while name.lower() in taken:
            self._count += 1
            name = f"{op_type}_q{self._count}"
        self._count += 1
        taken[name.lower()] = 1
        with self._c_graph.get() as graph:
            description = c_api.TF_NewOperation(graph, op_type, name)
        for tensor in inputs:
            c_api.TF_AddInput(description, tensor._as_tf_output())
        for attribute, value in attributes:
            c_api.TF_SetAttrValueProto(description, attribute, value)
        try:
            made = c_api.TF_FinishOperation(description)
        except tf.errors.InvalidArgumentError as error:  # which Python code expects as a ValueError
            raise ValueError(error.message) from None
        operation = ops.Operation(made, SymbolicTensor)
        operation._init(self)
        return operation

    def _create_op_internal(self, op_type: str, inputs: Any, *args: Any, **keywords: Any) -> Any:
        operation = super()._create_op_internal(op_type, inputs, *args, **keywords)
        self.note(operation, _kind(op_type), operation.inputs)
        return operation

    def note(self, operation: Any, kind: _Kind | None, inputs: Sequence[Tensor]) -> None:
        """Remember an op whose order among others matters."""
        handles = [t for t in inputs if t.dtype is tf.resource]
        if kind is None or kind.control or kind.stateful != bool(handles):
            self.plain = False
        elif handles:
            self.touching.append((operation, handles, kind.reads))


# -- making nodes -------------------------------------------------------------------------------

_apply_op = op_def_library._apply_op_helper


def _quick_op(op_type: str, name: str | None = None, **keywords: Any) -> Any:
    """What `op_def_library._apply_op_helper` does, for nodes of a `QuickGraph` that are like earlier ones."""
    graph = ops.get_default_graph()
    if type(graph) is not QuickGraph:
        return _apply_op(op_type, name, **keywords)
    kind = _kind(op_type)
    if kind is None or not kind.quick or graph.surroundings():
        return _apply_op(op_type, name, **keywords)
    inputs = _tensors(graph, kind, keywords)
    if inputs is None:
        return _apply_op(op_type, name, **keywords)
    given = [keywords.get(attribute) for attribute in kind.attributes]
    key = (op_type, *[t.dtype for t in inputs], *[tuple(v) if type(v) is list else v for v in given])
    try:
        known = graph.attributes.get(key)
    except TypeError:  # an attribute without a hash
        return _apply_op(op_type, name, **keywords)
    if known is None:
        found = _apply_op(op_type, name, **keywords)
        definition = found[2].node_def.attr
        values = [(name, definition[name].SerializeToString()) for name in kind.attributes]
        graph.attributes[key] = [(n, v) for n, v in values if kind.defaults.get(n) != v], found[0]
        return found
    operation = graph.node(op_type, inputs, known[0])
    if kind.stateful or kind.control:
        graph.note(operation, kind, inputs)
    return known[1], kind.stateful, operation, operation.outputs


def _tensors(graph: QuickGraph, kind: _Kind, keywords: dict[str, Any]) -> list[Tensor] | None:
    """The inputs as tensors of the graph; None if some are none."""
    values = [keywords.get(name) for name in kind.inputs]
    for value, handle in zip(values, kind.handles, strict=True):
        if not isinstance(value, (SymbolicTensor, EagerTensor)) and (handle or not isinstance(value, ResourceVariable)):
            return None
    return [graph.capture(v._dense_var_to_tensor() if isinstance(v, ResourceVariable) else v) for v in values]


def making() -> bool:
    """Whether a `QuickGraph` is being made here, with nothing around the code that says more about its nodes."""
    graph = ops.get_default_graph()
    return type(graph) is QuickGraph and not graph.surroundings()


def read(variable: Any) -> Tensor:
    """A new node that reads a variable of unidl, while `making`, with the third of Python that TensorFlow runs."""
    graph, handle = ops.get_default_graph(), variable.handle
    inside = graph.capture(handle)
    kind = _kind("ReadVariableOp")
    operation = graph.node("ReadVariableOp", [inside], [("dtype", _type(variable.dtype))])
    graph.note(operation, kind, [inside])
    (value,) = operation.outputs
    variable_accessed(variable)
    if could_possibly_record():
        record_operation("ReadVariableOp", [value], [handle], lambda g: [g], lambda t: [t])
    return value


@functools.lru_cache(maxsize=64)
def _type(dtype: Any) -> bytes:
    """A dtype as the attribute of a node."""
    return bytes(attr_value_pb2.AttrValue(type=dtype.as_datatype_enum).SerializeToString())


class _Making:
    """Has TensorFlow's ops make their nodes by `_quick_op` while any thread makes a graph."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            self._running += 1
            op_def_library._apply_op_helper = _quick_op
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                if not self._running:
                    op_def_library._apply_op_helper = _apply_op


_quickly = _Making()

# -- order --------------------------------------------------------------------------------------


class _Order(auto_control_deps.AutomaticControlDependencies):  # type: ignore[misc]
    """Has what reads and writes resources run in the order of the code, and all that writes.

    TensorFlow looks at every node for this. Here the nodes that matter were noted when they were made, unless there are
    such that only TensorFlow knows how to order.
    """

    def __exit__(self, *error: Any) -> None:
        graph = self._graph
        if not graph.plain or self._independent_ops:
            super().__exit__(*error)
            return
        graph._add_control_dependencies = False
        graph.experimental_acd_manager = None
        written: dict[int, Any] = {}
        read: dict[int, list[Any]] = {}
        for operation, handles, reads in graph.touching:
            before: dict[Any, None] = {}
            for handle in {id(h): h for h in handles}:
                if handle in written:
                    before[written[handle]] = None
                if reads:
                    read.setdefault(handle, []).append(operation)
                else:
                    before.update(dict.fromkeys(read.pop(handle, ())))
                    written[handle] = operation
            if before:
                operation._add_control_inputs(list(before))
            if not reads:
                self.ops_which_must_run.add(operation)


# -- functions ----------------------------------------------------------------------------------


class Function:
    """A function of the runtime. It is called by its name, and goes with this object.

    Attributes:
        size: the number of its nodes, the variables that come in packs counted one by one.
    """

    def __init__(self, plain: Callable[..., tuple[Any, ...]], signature: Sequence[Any]) -> None:
        graph = QuickGraph("function")
        try:
            self._define(graph, plain, signature)
        finally:
            # Nodes, tensors and their graph hold each other. What only Python's collector of cycles can free stays
            # for long, since it does not know how large they are.
            graph.attributes, graph.touching, graph.handles, graph.packs = {}, [], {}, []
            dismantle_func_graph(graph)

    def _define(self, graph: QuickGraph, plain: Callable[..., tuple[Any, ...]], signature: Sequence[Any]) -> None:
        order = _Order()
        with _quickly(), graph.as_default(), order:
            inputs = [graph_placeholder(s.dtype, s.shape) for s in signature]
            graph.inputs = list(inputs)
            results = plain(*inputs)
            returned = [order.mark_as_return(tf.convert_to_tensor(v)) for v in results if v is not None]
        self._absent = [i for i, v in enumerate(results) if v is None]
        graph.inputs = [*inputs, *graph.internal_captures, *(pack.input for pack in graph.packs)]
        graph.outputs = returned
        graph.control_outputs = list(order.ops_which_must_run)
        self._captured = [*graph.external_captures, *(pack.value() for pack in graph.packs)]
        # Other functions that it calls, and Python functions.
        self._kept = [*graph._functions.values(), *getattr(graph, "_py_funcs_used_in_graph", ())]
        self._outputs = len(returned)
        nodes = graph.get_operations()
        self.size = len(nodes) + sum(len(pack.handles) for pack in graph.packs if pack.size)
        self._name = f"__inference_unidl_{ops.uid()}"
        self._register(graph, nodes)

    def _register(self, graph: QuickGraph, nodes: list[Any]) -> None:
        given = {t.op for t in graph.inputs}
        with graph._c_graph.get() as c_graph:
            made = c_api.TF_GraphToFunction_wrapper(
                c_graph, self._name, False, [n._c_op for n in nodes if n not in given],
                [t._as_tf_output() for t in graph.inputs], [t._as_tf_output() for t in graph.outputs],
                [], [n._c_op for n in graph.control_outputs], [], None, "",
            )  # fmt: skip
        runtime = context.context()
        runtime.add_c_function(made)
        c_api.TF_DeleteFunction(made)
        self._runtime = runtime
        weakref.finalize(self, runtime.remove_function, self._name).atexit = False

    def caller(self, options: Any) -> Callable[[list[Tensor]], list[Tensor]]:
        """A call of the function with `options` of the runtime, which keeps it alive. Tapes do not see it."""
        name, captured, count, runtime = self._name, self._captured, self._outputs, self._runtime
        absent = self._absent
        attributes = tuple(part for pair in options.as_attrs().items() for part in pair)
        run = execute.execute

        def call(inputs: list[Tensor], function: Function = self) -> list[Tensor]:
            return run(name, count, inputs + captured, attributes, runtime)

        def with_absent(inputs: list[Tensor]) -> list[Tensor]:
            results = call(inputs)
            for index in absent:
                results.insert(index, None)
            return results

        return with_absent if absent else call


def possible() -> bool:
    """Whether functions can be made here: by a TensorFlow whose inner parts are known, which no debugger watches."""
    return tf.__version__.startswith(_KNOWN) and not op_callbacks.should_invoke_op_callbacks()
