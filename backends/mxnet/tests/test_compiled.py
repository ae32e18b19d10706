"""Graphs as symbols: what is compiled, how, and when replay runs instead."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest

import unidl
from unidl import ops
from unidl.backend import active
from unidl.graph.replay import replay
from unidl.graph.symbolic import TensorSpec
from unidl.graph.trace import trace
from unidl.ops.random import random_dropout
from unidl_mxnet.compiled import Executable, _Builder

rng = np.random.default_rng(0)


def array(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype("float32")


def variable(value: Any, trainable: bool = True) -> Any:
    return active.make_variable(np.asarray(value, "float32"), trainable=trainable, name="v")


def record(function: Any, *arrays: np.ndarray) -> Any:
    return trace(function, tuple(TensorSpec(a.shape, a.dtype.name) for a in arrays))


def operators(run: Executable) -> Counter[str]:
    symbol, _, _ = _Builder(run.graph, active, None).build()
    return Counter(n["op"] for n in json.loads(symbol.tojson())["nodes"])


def test_outputs_of_one_call_survive_the_next() -> None:
    run = active.executable(record(lambda x: ops.exp(x) * 2.0, array(3)))
    assert isinstance(run, Executable)
    first = run(active.to_tensor(np.zeros(3, "float32")))[0]
    run(active.to_tensor(np.ones(3, "float32")))
    np.testing.assert_array_equal(first.asnumpy(), [2, 2, 2])


def test_inputs_constants_and_plain_values_may_be_outputs() -> None:
    held = variable([1.0, 2.0])
    run = active.executable(record(lambda x: (x, x + 1.0, held, 3, None, np.float32([7]), x + 1.0), array(2)))
    x = active.to_tensor(array(2))
    results = run(x)
    assert results[3:5] == (3, None)
    np.testing.assert_array_equal(results[0].asnumpy(), x.asnumpy())
    np.testing.assert_array_equal(results[1].asnumpy(), results[6].asnumpy())
    active.assign(held, active.to_tensor(np.zeros(2, "float32")))
    np.testing.assert_array_equal(results[2].asnumpy(), [1, 2])  # a copy, not the variable
    assert results[5].asnumpy() == 7


def test_updates_see_old_values_and_are_applied_together() -> None:
    a, b = variable([1.0], False), variable([2.0], False)

    def swap(x: Any) -> Any:
        old = ops.copy(a)
        a.assign(b + x)
        b.assign(old)
        return ops.sum(x)

    active.executable(record(swap, array(1)))(active.to_tensor(np.zeros(1, "float32")))
    assert (a.asnumpy(), b.asnumpy()) == ([2.0], [1.0])


def test_a_graph_that_uses_no_tensor_is_replayed() -> None:
    run = active.executable(record(lambda x: 5, array(1)))
    assert not isinstance(run, Executable)
    assert run(active.to_tensor(array(1))) == (5,)


def test_native_code_is_replayed() -> None:
    @ops.custom_gradient
    def double(x: Any) -> Any:
        return x * 2.0, lambda upstream: upstream * 2.0

    run = active.executable(record(lambda x: ops.sum(double(x)), array(3)))
    assert not isinstance(run, Executable)
    assert run(active.to_tensor(np.ones(3, "float32")))[0].asnumpy() == 6


def test_a_channels_last_net_is_transposed_at_its_edges_only() -> None:
    kernels = [variable(array(3, 3, 3, 4)), variable(array(3, 3, 4, 4))]
    scale = variable(array(4))

    def net(x: Any) -> Any:
        x = ops.relu(ops.conv(x, kernels[0], 1, "same") + scale)
        y = ops.conv(x, kernels[1], 1, "same")
        x = ops.max_pool(ops.concatenate([ops.relu(x + y), y], -1), 2)
        return ops.mean(x, (1, 2)), x

    data = array(2, 8, 8, 3)
    graph = record(net, data)
    run = active.executable(graph)
    assert isinstance(run, Executable)
    counts = operators(run)
    assert counts["transpose"] == 4, counts  # the input, two kernels, the one output that has channels last
    for compiled, plain in zip(run(active.to_tensor(data)), replay(graph, active)(active.to_tensor(data)), strict=True):
        np.testing.assert_allclose(compiled.asnumpy(), plain.asnumpy(), rtol=1e-4, atol=1e-5)


def test_padding_and_kept_dimensions_stay_channels_first() -> None:
    kernel = variable(array(3, 3, 3, 4))

    def net(x: Any) -> Any:
        x = ops.pad(ops.conv(x, kernel), ((0, 0), (1, 2), (0, 1), (0, 0)))
        return ops.mean(x * ops.sigmoid(ops.mean(x, (1, 2), True)), (1, 2))

    data = array(2, 8, 8, 3)
    graph = record(net, data)
    run = active.executable(graph)
    assert isinstance(run, Executable)
    assert operators(run)["_np_transpose"] + operators(run)["transpose"] == 2  # the input and the kernel
    np.testing.assert_allclose(
        run(active.to_tensor(data))[0].asnumpy(), replay(graph, active)(active.to_tensor(data))[0].asnumpy(), atol=1e-5
    )


@pytest.mark.parametrize("axis", [-1, 1])
def test_batch_normalization_is_one_kernel_where_nobody_differentiates_its_moments(axis: int) -> None:
    mean = variable(np.zeros(3), False)

    def layer(x: Any) -> Any:
        y, m, _ = ops.batch_normalization_training(x, axis)
        mean.assign(m)
        return y

    data = array(4, 3, 5, 3) * 2 + 1
    graph = record(layer, data)
    run = active.executable(graph)
    assert operators(run)["BatchNorm"] == 1
    (fused,) = run(active.to_tensor(data))
    moved = mean.asnumpy().copy()
    (plain,) = replay(graph, active)(active.to_tensor(data))
    np.testing.assert_allclose(fused.asnumpy(), plain.asnumpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(moved, mean.asnumpy(), rtol=1e-5)
    both = active.executable(record(lambda x: ops.batch_normalization_training(x, axis), data))
    assert operators(both)["BatchNorm"] == 0  # its outputs could be differentiated


def test_a_training_step_is_forward_backward_apply_then_state() -> None:
    w, seen = variable([3.0]), variable([0.0], False)
    idle = variable([1.0])
    order: list[str] = []

    def forward(x: Any) -> Any:
        loss = ops.sum(ops.square(w * x))
        seen.assign(seen + 1.0)
        return loss, ops.argmax(x)

    def apply(gradients: list[Any]) -> None:
        order.append(f"state {float(seen.asnumpy()[0])}")
        assert gradients[1] is None
        assert gradients[0].asnumpy() == [2 * 3 * 4]
        active.assign(w, active.to_tensor(np.zeros(1, "float32")))

    graph = record(forward, array(1))
    x = active.to_tensor(np.full(1, 2, "float32"))
    for run in (active.executable(graph), replay(graph, active)):
        active.assign(w, active.to_tensor(np.full(1, 3, "float32")))
        loss, place = active.train_step(run, [w, idle], apply)(x)
        assert (loss.asnumpy(), place.asnumpy(), w.asnumpy()) == (36, 0, [0])
    assert order == ["state 0.0", "state 2.0"]  # replay applies its updates as it goes
    assert seen.asnumpy() == [2]


def test_a_loss_that_depends_on_nothing_has_no_gradients() -> None:
    w = variable([3.0])
    graph = record(lambda x: ops.sum(x), array(2))
    seen: list[Any] = []
    for run in (active.executable(graph), replay(graph, active)):
        active.train_step(run, [w], seen.append)(active.to_tensor(array(2)))
    assert seen == [[None], [None]]


def test_dropout_draws_anew_at_each_call_and_repeats_after_a_seed() -> None:
    run = active.executable(record(lambda x: random_dropout(x, 0.5), array(400)))
    assert isinstance(run, Executable)
    x = active.to_tensor(np.ones(400, "float32"))
    active.set_seed(3)
    first, second = run(x)[0].asnumpy(), run(x)[0].asnumpy()
    active.set_seed(3)
    again = run(x)[0].asnumpy()
    assert set(np.unique(first)) == {0.0, 2.0}
    assert 100 < np.count_nonzero(first) < 300
    np.testing.assert_array_equal(first, again)
    assert (first != second).any()


def test_two_recorded_calls_keep_their_own_intermediate_results() -> None:
    w = variable([2.0])
    run = active.executable(record(lambda x: ops.square(ops.exp(x) * w), array(1)))
    x, y = active.to_tensor(np.full(1, 0.5, "float32")), active.to_tensor(np.full(1, -1, "float32"))

    def loss(x: Any, y: Any) -> Any:
        return ops.sum(run(x)[0] + run(y)[0]), None

    _, by_inputs, by_variables = active.differentiate(loss, [x, y], [w])
    np.testing.assert_allclose(by_inputs[0].asnumpy(), 8 * np.exp(1.0), rtol=1e-5)
    np.testing.assert_allclose(by_inputs[1].asnumpy(), 8 * np.exp(-2.0), rtol=1e-5)
    np.testing.assert_allclose(by_variables[0].asnumpy(), 4 * (np.exp(1.0) + np.exp(-2.0)), rtol=1e-5)


@pytest.mark.parametrize(
    "op", ["add", "subtract", "multiply", "divide", "maximum", "power", "where", "concatenate", "stack"]
)
@pytest.mark.parametrize("frozen", [False, True], ids=["input", "frozen"])
def test_the_gradient_of_one_operand_is_right_if_the_other_has_none(op: str, frozen: bool) -> None:
    """mxnet plans the memory of such a sum's gradients wrongly, unless the other operand is copied."""
    x, value = np.abs(array(5, 3, 3, 4)) + 0.5, np.abs(array(5, 3, 3, 4)) + 0.5
    weight = variable(value)
    other = variable(x, trainable=False)

    def loss(given: Any) -> Any:
        first, second = ops.multiply(weight, 2.0), other if frozen else given
        if op == "where":
            y = ops.where(ops.greater(first, 1.5), first, second)
        elif op in ("concatenate", "stack"):
            y = getattr(ops, op)([first, second])
        else:
            y = getattr(ops, op)(first, second)
        y = ops.transpose(y)
        return ops.sum(ops.multiply(y, ops.cos(ops.arange(y.shape[-1], dtype="float32"))))

    run = Executable(record(loss, x), active)
    given = active.to_tensor(x)
    _, _, compiled = active.differentiate(lambda: (run(given)[0], None), [], [weight])
    _, _, eager = active.differentiate(lambda: (loss(given), None), [], [weight])
    np.testing.assert_allclose(compiled[0].asnumpy(), eager[0].asnumpy(), rtol=1e-5, atol=1e-6)


def test_metrics_that_add_what_the_loss_is_computed_from() -> None:
    """mxnet gives no storage type to the zeros that flow back from a metric through its older addition."""
    x = np.random.default_rng(0).random((20, 8), "float32")
    y = (x.sum(1, keepdims=True) > 4).astype("float32")
    model = unidl.Sequential([unidl.Input((8,)), unidl.layers.Dense(4, "relu"), unidl.layers.Dense(1, "sigmoid")])
    metrics = [unidl.metrics.AUC(curve="PR"), unidl.metrics.PrecisionAtRecall(0.8)]
    model.compile("sgd", "binary_crossentropy", metrics=metrics)
    history = model.fit(x, y, epochs=2, verbose=0).history
    assert history["loss"][1] < history["loss"][0]
