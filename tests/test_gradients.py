"""value_and_grad, grad, jit: by arguments and variables, nested, with aux, recorded, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import unidl
from unidl import ops
from unidl.backend import active
from unidl.errors import UntraceableError
from unidl.graph.symbolic import TensorSpec
from unidl.graph.trace import trace

trains = pytest.mark.skipif(not active.trains, reason="the NumPy backend has no gradients")


def tensor(*values: float) -> Any:
    return active.to_tensor(np.array(values, "float32"))


def number(value: Any) -> Any:
    return active.to_numpy(ops.convert_to_tensor(value)).tolist()


def squares(x: Any) -> Any:
    return ops.sum(ops.square(x))


@trains
def test_by_the_first_argument() -> None:
    value, slope = unidl.value_and_grad(squares)(tensor(1, 3))
    assert (number(value), number(slope)) == (10.0, [2.0, 6.0])
    assert number(unidl.grad(squares)(np.array([1.0, 3.0], "float32"))) == [2.0, 6.0]
    assert number(unidl.grad(squares)(2.0)) == 4.0


@trains
def test_by_chosen_and_nested_arguments() -> None:
    def loss(a: Any, pair: Any, scale: float = 1.0) -> Any:
        return ops.multiply(ops.sum(ops.multiply(a, ops.multiply(pair["x"], pair["y"][0]))), scale)

    a, pair = tensor(2, 3), {"x": tensor(5, 7), "y": [tensor(1, -1)]}
    slope = unidl.grad(loss, argnums=1)(a, pair, scale=2.0)
    assert set(slope) == {"x", "y"} and isinstance(slope["y"], list)
    assert number(slope["x"]) == [4.0, -6.0] and number(slope["y"][0]) == [20.0, 42.0]
    both = unidl.grad(loss, argnums=(1, 0))(a, pair)
    assert isinstance(both, tuple)
    assert number(both[1]) == [5.0, -7.0] and number(both[0]["x"]) == [2.0, -3.0]


@trains
def test_by_variables() -> None:
    w, b, unused = (
        unidl.Variable(np.array(v, "float32"), name=n) for v, n in (([2.0], "w"), ([1.0], "b"), ([5.0], "u"))
    )

    def loss(x: Any) -> Any:
        return ops.sum(ops.square(ops.add(ops.multiply(x, w), b)))

    value, slopes = unidl.value_and_grad(loss, [w, b, unused])(tensor(3))
    assert number(value) == 49.0
    assert [None if s is None else number(s) for s in slopes] == [[42.0], [14.0], None]


@trains
def test_by_the_trainable_variables_of_a_layer() -> None:
    layer = unidl.layers.Dense(1)
    x = np.array([[1.0, 2.0]], "float32")
    layer(x)
    slopes = unidl.grad(lambda: ops.sum(layer(x)), layer)()
    assert [number(s) for s in slopes] == [[[1.0], [2.0]], [1.0]]
    layer.trainable = False
    assert unidl.grad(lambda: ops.sum(layer(x)), layer)() == []


@trains
def test_aux_is_passed_through() -> None:
    def loss(x: Any) -> Any:
        return squares(x), {"x": x, "n": 3}

    (value, aux), slope = unidl.value_and_grad(loss, has_aux=True)(tensor(1, 2))
    assert (number(value), number(aux["x"]), aux["n"], number(slope)) == (5.0, [1.0, 2.0], 3, [2.0, 4.0])
    slope, aux = unidl.grad(loss, has_aux=True)(tensor(1, 2))
    assert (number(slope), aux["n"]) == ([2.0, 4.0], 3)


@trains
@pytest.mark.xfail(active.name == "mxnet", reason="mxnet 1.9: _backward_npi_broadcast_mul registers no gradient")
def test_gradients_of_gradients() -> None:
    def cubes(x: Any) -> Any:
        return ops.sum(ops.multiply(ops.multiply(x, x), x))

    second = unidl.grad(lambda x: ops.sum(unidl.grad(cubes)(x)))
    assert number(second(tensor(1, 2))) == [6.0, 12.0]


@trains
def test_gradients_are_the_same_inside_of_no_grad() -> None:
    def slope(x: Any) -> Any:
        with unidl.no_grad():
            _, along = ops.jvp(squares, (x,), (ops.ones_like(x),))
            value, gradient = unidl.value_and_grad(squares)(x)
        return ops.add(ops.add(gradient, along), value)

    assert number(slope(tensor(1, 3))) == [2 + 8 + 10, 6 + 8 + 10]
    # To what differentiates around it, all this is a constant.
    assert number(unidl.grad(lambda x: ops.sum(ops.multiply(x, slope(x))))(tensor(1, 3))) == [20, 24]


@trains
def test_stopped_and_custom_gradients() -> None:
    stopped = unidl.grad(lambda x: ops.sum(ops.multiply(x, ops.stop_gradient(x))))
    assert number(stopped(tensor(2, 3))) == [2.0, 3.0]

    @ops.custom_gradient
    def doubled(x: Any) -> Any:
        def gradient(upstream: Any) -> Any:
            return ops.multiply(upstream, 10.0)

        return ops.multiply(x, 2.0), gradient

    assert number(unidl.grad(lambda x: ops.sum(doubled(x)))(tensor(1, 2))) == [10.0, 10.0]


@trains
def test_a_loop_written_once_learns() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 3)).astype("float32")
    y = x @ np.array([[1.0], [-2.0], [0.5]], "float32")
    model = unidl.Sequential([unidl.Input((3,)), unidl.layers.Dense(1)])
    optimizer = unidl.optimizers.Adam(0.1)
    loss_of = unidl.losses.MeanSquaredError()

    def loss(x: Any, y: Any) -> Any:
        return loss_of(y, model(x, training=True))

    step = unidl.value_and_grad(loss, model)
    values = []
    for _ in range(150):
        value, gradients = step(active.to_tensor(x), active.to_tensor(y))
        optimizer.apply(gradients, model.trainable_variables)
        values.append(number(value))
    assert values[-1] < 1e-3 * values[0]
    np.testing.assert_allclose(active.to_numpy(model.trainable_variables[0]).ravel(), [1, -2, 0.5], atol=0.05)


@trains
@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: unidl.grad(lambda x: x)(tensor(1, 2)), ValueError, r"scalar.*\(2,\)"),
        (lambda: unidl.grad(squares)(np.array([1, 2])), TypeError, "int"),
        (lambda: unidl.grad(squares, argnums=1)(tensor(1.0)), ValueError, "argnums"),
        (lambda: unidl.grad(squares, [3.0])(tensor(1.0)), TypeError, "variable"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_without_gradients_the_error_says_what_to_do() -> None:
    if active.trains:
        assert number(unidl.grad(squares)(tensor(1.0))) == [2.0]
    else:
        with pytest.raises(RuntimeError, match="UNIDL_BACKEND"):
            unidl.grad(squares)(tensor(1.0))


@trains
def test_gradients_cannot_be_recorded() -> None:
    with pytest.raises(UntraceableError):
        trace(unidl.grad(squares), (TensorSpec((2,), "float32"),))


# -- jit -------------------------------------------------------------------------------------------


def test_jit_computes_the_same_for_each_shape_and_value() -> None:
    calls = []

    def function(pair: Any, power: int, flag: bool = True) -> Any:
        calls.append(power)
        total = ops.add(pair[0], pair[1]["b"])
        for _ in range(power):
            total = ops.multiply(total, total)
        return {"total": total, "first": pair[0] if flag else pair[1]["b"]}

    fast = unidl.jit(function)
    for _ in range(3):
        for a, b in ((tensor(1, 2), tensor(3, 4)), (tensor(1), tensor(2))):
            for power in (1, 2):
                got, expected = fast((a, {"b": b}), power), function((a, {"b": b}), power)
                assert set(got) == {"total", "first"}
                assert number(got["total"]) == number(expected["total"])
    assert number(fast((tensor(1), {"b": tensor(2)}), 1, flag=False)["first"]) == [2.0]
    # 12 plain calls, and one recording for each of 5 signatures (an engine's tracer may look twice).
    assert 12 < len(calls) <= 12 + 2 * 5


@pytest.mark.skipif(active.traces_python, reason="tf.function takes 1 and True for the same argument")
def test_jit_tells_equal_values_of_other_types_apart() -> None:
    fast = unidl.jit(lambda x, flag: ops.add(x, 1.0) if flag is True else x)
    assert number(fast(tensor(1), True)) == [2.0]
    assert number(fast(tensor(1), 1)) == [1.0]


def test_jit_changes_variables_at_each_call() -> None:
    count = unidl.Variable(np.float32(0.0), trainable=False)

    @unidl.jit
    def step(x: Any) -> Any:
        count.assign_add(x)
        return ops.multiply(count, 2.0)

    assert [number(step(active.to_tensor(np.float32(3.0)))) for _ in range(3)] == [6.0, 12.0, 18.0]
    assert number(count) == 9.0


@trains
def test_jit_of_a_whole_training_step() -> None:
    """Compiled where the engine traces Python, called as it is elsewhere: the same numbers."""
    results = []
    for wrap in (unidl.jit, lambda f: f):
        w = unidl.Variable(np.array([1.0, -1.0], "float32"))
        optimizer = unidl.optimizers.SGD(0.1, momentum=0.5)
        optimizer.build([w])

        def step(x: Any, w: Any = w, optimizer: Any = optimizer) -> Any:
            value, slopes = unidl.value_and_grad(lambda: squares(ops.subtract(w, x)), [w])()
            optimizer.apply(slopes, [w])
            return value

        fast = wrap(step)
        results.append([number(fast(tensor(3, 4))) for _ in range(4)] + number(w))
    np.testing.assert_allclose(results[0], results[1], rtol=1e-6)


@trains
def test_a_jitted_function_can_be_differentiated() -> None:
    fast = unidl.jit(squares)
    fast(tensor(1, 2))
    for _ in range(2):
        assert number(unidl.grad(fast)(tensor(1, 3))) == [2.0, 6.0]


@trains
def test_softplus_and_logit_losses_have_their_gradient_at_zero() -> None:
    """Logits are exactly 0 when the last layer starts with zeros: a gradient of 0 there would stall training."""
    x = ops.array([0.0, 1.0, -2.0])
    slope = unidl.grad(lambda v: ops.sum(ops.softplus(v)))(x)
    np.testing.assert_allclose(ops.convert_to_numpy(slope), 1 / (1 + np.exp([0.0, -1.0, 2.0])), rtol=1e-5)
    target = ops.array([1.0, 0.0, 1.0])
    slope = unidl.grad(lambda v: ops.sum(ops.binary_crossentropy(target, v, from_logits=True)))(x)
    expected = 1 / (1 + np.exp([0.0, -1.0, 2.0])) - [1.0, 0.0, 1.0]
    np.testing.assert_allclose(ops.convert_to_numpy(slope), expected, rtol=1e-5)
