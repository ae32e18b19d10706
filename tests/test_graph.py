"""Recording, unknown dimensions, state updates, lowering and replay."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from counting import python_calls

import unidl
from unidl import ops
from unidl.backend import active
from unidl.errors import GraphError, OpError, UntraceableError
from unidl.graph.graph import Graph
from unidl.graph.inspect import first_nonfinite, run_nodes
from unidl.graph.replay import replay
from unidl.graph.symbolic import Dim, SymbolicTensor, TensorSpec
from unidl.graph.trace import trace
from unidl.layers import BatchNormalization, Dense, Dropout
from unidl.ops._declare import TABLE


def spec(*shape: int | None, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(shape, dtype)


def variable(value: Any, name: str = "v") -> Any:
    return active.make_variable(np.asarray(value, "float32"), trainable=True, name=name)


def tensor(value: Any) -> Any:
    return ops.convert_to_tensor(np.asarray(value, "float32"))


def host(value: Any) -> np.ndarray:
    return active.to_numpy(value)


def names(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


def run(graph: Graph, *values: Any) -> list[np.ndarray]:
    return [host(v) for v in replay(graph, active)(*[tensor(v) for v in values])]


def only(*allowed: str) -> Callable[[Any], bool]:
    return lambda op: op.name in allowed


# -- recording -------------------------------------------------------------------------------------


def test_a_node_knows_its_op_arguments_outputs_and_layer() -> None:
    layer = Dense(3, name="head")
    graph = trace(layer, (spec(None, 4),), name="net")
    assert names(graph) == ["linear"]
    node = graph.nodes[0]
    assert node.path == "head"
    assert [t.value for t in node.inputs() if t.value is not None] == layer.weights
    assert node.outputs[0].shape == (None, 3) and node.outputs[0].dtype == "float32"
    assert node.outputs[0].node is node
    assert graph.outputs == node.outputs


def test_attributes_are_the_arguments_without_tensors() -> None:
    graph = trace(lambda x: ops.sum(x, axis=1, keepdims=True), (spec(None, 4),))
    assert graph.nodes[0].attributes() == {"axis": 1, "keepdims": True}


def test_numbers_stay_numbers_and_arrays_become_constants() -> None:
    offsets = np.arange(3, dtype="float32")
    graph = trace(lambda x: ops.add(ops.multiply(x, 2), offsets), (spec(None, 3),))
    assert graph.nodes[0].args[1] == 2.0
    constant = graph.nodes[1].args[1]
    assert type(constant) is SymbolicTensor and constant.value is offsets
    assert graph.variables() == []


def test_mixed_dtypes_are_cast_by_recorded_nodes() -> None:
    graph = trace(lambda x, y: ops.add(x, y), (spec(3, dtype="int32"), spec(3)))
    assert names(graph) == ["cast", "add"]
    assert graph.outputs[0].dtype == "float32"


def test_operators_record_the_same_as_functions() -> None:
    ones = np.ones((4, 2), "float32")

    def written(x: Any) -> Any:
        return ((1 - x) * x / 2 + x[:, :1]) @ ones >= -x[:, 2:]

    graph = trace(written, (spec(None, 4),))
    assert names(graph) == [
        "subtract", "multiply", "divide", "getitem", "add", "matmul", "getitem", "negative", "greater_equal",
    ]  # fmt: skip
    x = np.arange(8, dtype="float32").reshape(2, 4)
    np.testing.assert_array_equal(run(graph, x)[0], ((1 - x) * x / 2 + x[:, :1]) @ ones >= -x[:, 2:])


def test_the_structure_of_outputs_is_kept() -> None:
    graph = trace(lambda x: {"b": [x, 7], "a": (ops.exp(x),)}, (spec(2),))
    assert len(graph.outputs) == 3
    packed = graph.pack(["exp", "x", 7])
    assert packed == {"b": ["x", 7], "a": ("exp",)}


def test_inputs_may_be_nested_and_hold_plain_values() -> None:
    graph = trace(lambda data, flag: ops.exp(data["x"]) if flag else data["y"], ({"x": spec(2), "y": spec(2)}, True))
    assert len(graph.inputs) == 2 and names(graph) == ["exp"]


def test_what_nothing_needs_is_not_run() -> None:
    def wasteful(x: Any) -> Any:
        ops.log(x)
        return ops.exp(x)

    graph = trace(wasteful, (spec(2),))
    assert names(graph) == ["log", "exp"]
    assert "log" not in replay(graph, active).source


# -- unknown dimensions ----------------------------------------------------------------------------


def test_unknown_sizes_are_expressions_that_replay_computes() -> None:
    def fold(x: Any) -> Any:
        rows, columns = ops.shape(x)
        assert isinstance(rows, Dim) and columns == 6
        return ops.reshape(x, (rows * 3, columns // 3)), ops.zeros((2 * rows + 1, rows % 2))

    graph = trace(fold, (spec(None, 6),))
    assert [o.shape for o in graph.outputs] == [(None, 2), (None, None)]
    for n in (2, 5):
        x = np.random.default_rng(0).random((n, 6), "float32")
        folded, blank = run(graph, x)
        np.testing.assert_array_equal(folded, x.reshape(n * 3, 2))
        assert blank.shape == (2 * n + 1, n % 2)


def test_an_unknown_size_is_a_number_that_ops_take() -> None:
    def mean_row(x: Any) -> Any:
        rows = ops.shape(x)[0]
        return ops.sum(x, 0) / ops.cast(rows, "float32"), ops.stack([rows, rows + 1])

    graph = trace(mean_row, (TensorSpec((None, 2), "float32"),))
    assert [o.dtype for o in graph.outputs] == ["float32", "int32"]
    for rows in (2, 5):
        mean, sizes = active.executable(graph)(ops.ones((rows, 2)))
        assert active.to_numpy(mean).tolist() == [1, 1] and active.to_numpy(sizes).tolist() == [rows, rows + 1]


def test_sizes_keep_their_tensor_in_the_graph() -> None:
    def sized_by_other(x: Any, y: Any) -> Any:
        return ops.broadcast_to(x, (ops.shape(ops.exp(y))[0], 2))

    graph = trace(sized_by_other, (spec(1, 2), spec(None)))
    assert {"exp", "broadcast_to"} == set(names(graph))
    assert run(graph, np.ones((1, 2)), np.ones(4))[0].shape == (4, 2)


def test_python_on_an_unknown_size_is_refused() -> None:
    with pytest.raises(UntraceableError, match="unknown dimension"):
        trace(lambda x: [x for _ in range(ops.shape(x)[0])], (spec(None, 2),))
    with pytest.raises(UntraceableError, match="control flow on an unknown dimension"):
        trace(lambda x: x if ops.shape(x)[0] else -x, (spec(None, 2),))


# -- values that are not there ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("use", "what"),
    [
        (lambda x: x if x else -x, r"bool\(\)"),
        (lambda x: float(x), r"float\(\)"),
        (lambda x: int(x), r"int\(\)"),
        (lambda x: np.asarray(x), "NumPy array"),
    ],
)
def test_asking_for_a_value_says_what_to_do_instead(use: Callable[[Any], Any], what: str) -> None:
    with pytest.raises(UntraceableError, match=what) as caught:
        trace(use, (spec(),))
    assert "run_eagerly=True" in str(caught.value) and "ops.where" in str(caught.value)


def test_reading_a_variable_on_the_host_is_refused() -> None:
    v = variable([1.0, 2.0], "scale")
    with pytest.raises(UntraceableError, match="'scale'"):
        trace(lambda x: x * float(v.numpy()[0]), (spec(2),))


def test_a_native_tensor_that_nobody_holds_is_refused() -> None:
    def mixed(x: Any) -> Any:
        return ops.add(x, active.to_tensor(np.ones(2, "float32")))

    if active.name == "numpy":  # arrays are host data, and so constants, on every backend
        assert trace(mixed, (spec(2),)).outputs[0].shape == (2,)
        return
    with pytest.raises(UntraceableError, match=r"float32\[2\].*native code computed it"):
        trace(mixed, (spec(2),))


def test_a_native_tensor_that_a_layer_holds_is_a_constant() -> None:
    class Shifted(unidl.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.shift = active.to_tensor(np.full(2, 3.0, "float32"))

        def call(self, x: Any) -> Any:
            return ops.add(x, self.shift)

    graph = trace(Shifted(), (spec(None, 2),))
    assert not graph.opaque
    np.testing.assert_array_equal(run(graph, np.zeros((1, 2)))[0], [[3.0, 3.0]])


# -- native code -----------------------------------------------------------------------------------


class Doubled(unidl.Layer):
    """Calls the engine on values, which no recording can follow."""

    def call(self, x: Any) -> Any:
        return active.to_tensor(np.repeat(active.to_numpy(x) * 2, 2, axis=1))


def test_a_layer_of_native_code_is_one_opaque_node() -> None:
    x = unidl.Input((3,))
    graph = unidl.Model(x, Dense(4)(Doubled(name="native")(x))).graph()
    assert graph.opaque
    assert [n.op.kind for n in graph.nodes].count("opaque") == 1
    node = next(n for n in graph.nodes if n.op.kind == "opaque")
    assert "native" in node.op.name and node.outputs[0].shape == (None, 6)
    doubled = trace(Doubled(), (spec(None, 3),))
    np.testing.assert_array_equal(run(doubled, np.ones((2, 3)))[0], np.full((2, 6), 2.0))


def test_a_graph_of_plain_ops_is_not_opaque() -> None:
    assert not trace(Dense(2), (spec(None, 3),)).opaque


# -- composites and lowering -----------------------------------------------------------------------


def test_a_composite_holds_its_decomposition() -> None:
    graph = trace(lambda x: ops.silu(x), (spec(None, 3),))
    node = graph.nodes[0]
    assert node.op.kind == "composite" and names(node.inner) == ["sigmoid", "multiply"]
    assert node.inner.outer == [graph.inputs[0]]


def test_lowering_inlines_only_what_the_target_lacks() -> None:
    graph = trace(lambda x: ops.exp(ops.silu(x)), (spec(None, 3),))
    assert names(graph.lower(only("silu", "exp"))) == ["silu", "exp"]
    lowered = graph.lower(only("sigmoid", "multiply", "exp"))
    assert names(lowered) == ["sigmoid", "multiply", "exp"]
    x = np.linspace(-1, 1, 6, dtype="float32").reshape(2, 3)
    from unidl.graph.replay import write

    np.testing.assert_allclose(host(write(lowered, active)(tensor(x))[0]), np.exp(x / (1 + np.exp(-x))), rtol=1e-5)


def test_composites_inside_composites_are_inlined_to_primitives() -> None:
    def primitive(op: Any) -> bool:
        return op.kind == "primitive"

    graph = trace(lambda x: ops.mish(ops.softmax(x)), (spec(None, 3),))
    lowered = graph.lower(primitive)
    assert {n.op.kind for n in lowered.nodes} == {"primitive"}
    x = np.linspace(-2, 2, 6, dtype="float32").reshape(2, 3)
    from unidl.graph.replay import write

    np.testing.assert_allclose(host(write(lowered, active)(tensor(x))[0]), run(graph, x)[0], rtol=1e-5, atol=1e-6)


def test_a_composite_that_gives_back_its_input_lowers_to_nothing() -> None:
    graph = trace(lambda x: ops.exp(ops.roll(x, 0, 1)), (spec(None, 3),))
    assert names(graph) == ["roll", "exp"]
    assert names(graph.lower(only("exp"))) == ["exp"]


def test_lowering_names_op_and_layer_that_a_target_lacks() -> None:
    model = unidl.Sequential([unidl.Input((3,)), Dense(2, activation="relu", name="first")], name="net")
    with pytest.raises(GraphError, match=r"'relu' in net/first is a primitive that the target lacks"):
        model.graph().lower(only("linear"))


def test_lowering_leaves_the_recorded_graph_alone() -> None:
    graph = trace(lambda x: ops.silu(x), (spec(None, 3),))
    graph.lower(only("sigmoid", "multiply"))
    assert names(graph) == ["silu"]


# -- state updates ---------------------------------------------------------------------------------


def test_reads_before_and_after_an_assignment() -> None:
    v = variable([1.0, 1.0])

    def step(x: Any) -> Any:
        before = ops.add(v, 0.0)
        v.assign_add(x)
        v.assign(v * 2)
        return before, ops.add(v, 0.0)

    graph = trace(step, (spec(2),))
    assert len(graph.updates) == 1 and graph.updates[0][0] is v
    before, after = run(graph, [1.0, 2.0])
    np.testing.assert_array_equal(before, [1.0, 1.0])
    np.testing.assert_array_equal(after, [4.0, 6.0])
    np.testing.assert_array_equal(host(v), [4.0, 6.0])


def test_recording_changes_no_variable() -> None:
    v = variable([1.0])
    trace(lambda x: v.assign(x), (spec(1),))
    np.testing.assert_array_equal(host(v), [1.0])


def test_updates_that_swap_variables_use_the_old_values() -> None:
    a, b = variable([1.0], "a"), variable([2.0], "b")

    def swap(x: Any) -> Any:
        old_a = ops.multiply(a, 1.0)
        a.assign(b)
        b.assign(old_a)
        return x

    graph = trace(swap, (spec(1),))
    function = replay(graph, active)
    function(tensor([0.0]))
    assert (float(host(a)[0]), float(host(b)[0])) == (2.0, 1.0)

    def rotate(x: Any) -> Any:  # both new values are the other's old one, nothing computed in between
        a.assign(b)
        return x

    replay(trace(rotate, (spec(1),)), active)(tensor([0.0]))
    assert (float(host(a)[0]), float(host(b)[0])) == (1.0, 1.0)


def test_assigning_another_shape_names_the_variable() -> None:
    v = variable([1.0, 2.0], "state")
    with pytest.raises(ValueError, match=r"'state' has shape \(2,\)"):
        trace(lambda x: v.assign(x), (spec(3),))


def test_moving_averages_are_updates_of_the_training_graph_only() -> None:
    x = unidl.Input((3,))
    model = unidl.Model(x, BatchNormalization()(x))
    assert model.graph(training=False).updates == []
    assert [v.name for v, _ in model.graph(training=True).updates] == ["moving_mean", "moving_variance"]


def test_dropout_is_in_the_training_graph_only() -> None:
    x = unidl.Input((3,))
    model = unidl.Model(x, Dropout(0.5)(x))
    assert model.graph(training=False).nodes == []
    assert any("random" in n for n in names(model.graph(training=True)))


# -- replay ----------------------------------------------------------------------------------------


def test_replay_is_straight_line_code_that_reuses_names() -> None:
    def chain(x: Any) -> Any:
        for _ in range(5):
            x = ops.exp(x)
        return x

    source = replay(trace(chain, (spec(2),)), active).source
    assert source.splitlines() == [
        "def replay(a0):", "    t0 = exp(a0)", *["    t0 = exp(t0)"] * 4, "    return (t0,)",
    ]  # fmt: skip


def test_a_name_is_not_reused_while_its_tensor_is_needed() -> None:
    def skip(x: Any) -> Any:
        early = ops.exp(x)
        late = ops.sin(ops.cos(early))
        return ops.add(late, early)

    x = np.array([0.5, 1.5], "float32")
    np.testing.assert_allclose(run(trace(skip, (spec(2),)), x)[0], np.sin(np.cos(np.exp(x))) + np.exp(x), rtol=1e-5)


def test_work_for_updates_alone_runs_without_gradients() -> None:
    v = variable(0.0, "seen")

    def step(x: Any) -> Any:
        v.assign_add(ops.sum(ops.square(x)))
        return ops.exp(x)

    lines = replay(trace(step, (spec(2),)), active).source.splitlines()
    inside = lines[lines.index("    with no_grad():") + 1 : -1]
    assert all(line.startswith("        ") for line in inside) and any("sum(" in line for line in inside)
    assert not any("sum(" in line for line in lines[: lines.index("    with no_grad():")])


def test_outputs_that_are_inputs_variables_or_plain_values() -> None:
    v = variable([5.0])
    graph = trace(lambda x: (x, v, 3), (spec(1),))
    values = replay(graph, active)(tensor([1.0]))
    assert host(values[0]).tolist() == [1.0] and host(values[1]).tolist() == [5.0] and values[2] == 3


def test_arguments_without_a_literal_are_bound_by_value() -> None:
    graph = trace(lambda x: ops.clip(x, -np.inf, float("inf")) + ops.pad(x, ((1, 0),))[1:], (spec(2),))
    np.testing.assert_array_equal(run(graph, [1.0, 2.0])[0], [2.0, 4.0])


def test_a_functional_model_replays_what_its_layers_compute() -> None:
    x = unidl.Input((4,))
    h = Dense(8, activation="tanh")(x)
    model = unidl.Model(x, [Dense(2)(h) + 1.0, h])
    data = np.random.default_rng(0).random((5, 4), "float32")
    replayed = [host(v) for v in model(data)]
    model.run_eagerly = True
    for a, b in zip(replayed, [host(v) for v in model(data)], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(active.name != "torch", reason="compares with torch.nn.Sequential")
def test_a_replayed_model_makes_no_more_python_calls_than_a_native_one() -> None:
    import torch

    layers: list[Any] = []
    for _ in range(10):
        layers += [torch.nn.Linear(16, 16), torch.nn.ReLU()]
    native = torch.nn.Sequential(*layers)
    x = inputs = unidl.Input((16,))
    for _ in range(10):
        x = Dense(16, activation="relu")(x)
    model = unidl.Model(inputs, x)
    data = torch.zeros(2, 16)
    model(data), native(data)  # the first call records
    ours, theirs = python_calls(lambda: model(data)), python_calls(lambda: native(data))
    assert ours <= 1.2 * theirs, (ours, theirs)


# -- looking inside --------------------------------------------------------------------------------


def test_run_nodes_gives_each_ops_outputs_and_applies_no_update() -> None:
    v = variable([1.0, 1.0])

    def step(x: Any) -> Any:
        v.assign_add(x)
        return ops.reshape(ops.silu(x), (ops.shape(x)[0], 1))

    graph = trace(step, (spec(None),))
    seen = {
        node.op.name: [host(o) for o in outputs] for node, outputs in run_nodes(graph, active, [tensor([1.0, 2.0])])
    }
    np.testing.assert_array_equal(seen["add"][0], [2.0, 3.0])
    assert seen["reshape"][0].shape == (2, 1)
    np.testing.assert_array_equal(host(v), [1.0, 1.0])
    with pytest.raises(GraphError, match="1 inputs, 2 were given"):
        list(run_nodes(graph, active, [tensor([1.0]), tensor([1.0])]))


def test_first_nonfinite_names_layer_op_and_number_of_elements() -> None:
    class Inverse(unidl.Layer):
        def call(self, x: Any) -> Any:
            return ops.divide(1.0, ops.relu(x))

    x = unidl.Input((2,))
    model = unidl.Model(x, Dense(2, name="after")(Inverse(name="inverse")(x)), name="net")
    message = first_nonfinite(model.graph(), [tensor([[1.0, -1.0], [2.0, 4.0]])])
    assert "'net/inverse'" in message and "'divide'" in message
    assert "1 infinite of 4 elements, float32[2, 2]" in message
    assert "are finite" in first_nonfinite(model.graph(), [tensor([[1.0, 2.0]])])


def test_first_nonfinite_looks_at_inputs_and_weights_first() -> None:
    model = unidl.Sequential([unidl.Input((2,), name="pixels"), Dense(2, name="dense")], name="net")
    graph = model.graph()
    assert "1 NaN of 2 elements" in first_nonfinite(graph, [tensor([[np.nan, 1.0]])])
    kernel = model.layers[0].weights[0]
    kernel.assign(np.full((2, 2), np.inf, "float32"))
    message = first_nonfinite(graph, [tensor([[1.0, 1.0]])])
    assert f"Weight {kernel.path!r} holds 4 infinite" in message


# -- errors ----------------------------------------------------------------------------------------


def test_shape_errors_while_recording_name_the_layer() -> None:
    class Wrong(unidl.Layer):
        def call(self, x: Any) -> Any:
            return ops.matmul(x, ops.ones((5, 2)))

    x = unidl.Input((3,))
    with pytest.raises(OpError, match=r"matmul.*float32\[None, 3\].*float32\[5, 2\].*'wrong'"):
        Wrong(name="wrong")(x)


def test_an_input_that_the_model_does_not_list_is_named() -> None:
    a, b = unidl.Input((2,), name="a"), unidl.Input((2,), name="b")
    with pytest.raises(GraphError, match="depend on input 'b'"):
        unidl.Model(a, Dense(1)(a) + Dense(1)(b))


@pytest.mark.once
def test_ops_are_copied_and_pickled_by_name() -> None:
    op = TABLE["relu"]
    assert pickle.loads(pickle.dumps(op)) is op and copy.deepcopy(op) is op
