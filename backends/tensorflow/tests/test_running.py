"""Gradients, compiled functions, optimizer kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import unidl
from unidl import layers, ops, optimizers
from unidl.backend import active
from unidl.graph.symbolic import TensorSpec
from unidl.graph.trace import trace
from unidl.ops.random import random_dropout
from unidl.testing import assert_close
from unidl_tensorflow.compiling import Compiled


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


# -- gradients -----------------------------------------------------------------------------------------


def test_nested() -> None:
    x = tf.constant(2.0)

    def slope(x: Any) -> Any:
        _, (gradient,), _ = active.differentiate(lambda x: (ops.power(x, 3), None), [x], [])
        return gradient, None

    (value, _), (second,), _ = active.differentiate(slope, [x], [])
    assert float(value) == 12.0 and float(second) == 12.0


def test_sparse_and_integer_inputs() -> None:
    table, indices = unidl.Variable(numbers(5, 2)), tf.constant([1, -1, 1])
    _, by_tensors, (gradient,) = active.differentiate(
        lambda i: (ops.sum(ops.take(table, i, 0)), None), [indices], [table]
    )
    assert by_tensors == [None] and isinstance(gradient, tf.Tensor)
    assert_close(gradient, np.asarray([[0, 0], [2, 2], [0, 0], [0, 0], [1, 1]], "float32"))


@pytest.mark.parametrize("compiled", [False, True])
def test_custom_gradient(compiled: bool) -> None:
    weight = unidl.Variable(np.float32(5.0))

    def fn(x: Any, y: Any) -> Any:
        return x * y * weight, lambda upstream: (upstream * 10, upstream * 20)

    def run(x: Any) -> Any:
        return active.differentiate(lambda x: (active.custom_gradient(fn)(x, x), None), [x], [])[1][0]

    x = tf.constant(3.0)
    assert float((tf.function(run) if compiled else run)(x)) == 30.0


def test_no_grad() -> None:
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        with active.no_grad():
            hidden = x * 5.0
        y = x * 2.0 + hidden
    assert float(tape.gradient(y, x)) == 2.0


def test_extremes_share_the_gradient() -> None:
    x = tf.constant([1.0, 3.0, 3.0])
    for op, sign in ((ops.max, 1.0), (ops.min, -1.0)):
        _, (gradient,), _ = active.differentiate(lambda x, op=op, s=sign: (op(x * s), None), [x], [])
        assert_close(gradient, np.asarray([0.0, 0.5 * sign, 0.5 * sign], "float32"))


def test_running_product_with_zeros() -> None:
    x, weights = np.asarray([[2.0, 0.0, 3.0, 0.0, 5.0], [1.0, 2.0, 3.0, 4.0, 5.0]]), np.arange(1.0, 6.0)
    _, (gradient,), _ = active.differentiate(
        lambda x: (ops.sum(ops.multiply(ops.cumprod(x, 1), tf.constant(weights))), None), [tf.constant(x)], []
    )
    step = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        ends = []
        for h in (1e-6, -1e-6):
            moved = x.copy()
            moved[place] += h
            ends.append((np.cumprod(moved, 1) * weights).sum())
        step[place] = (ends[0] - ends[1]) / 2e-6
    assert_close(gradient, step, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("mask", [None, [[1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [1, 0, 0, 1, 0], [0, 0, 0, 0, 0]]])
def test_lstm_kernel_and_loop_agree(mask: Any) -> None:
    """Values and gradients of the block kernel are those of the loop, which other dtypes run."""
    sizes = [(4, 5, 3), (4, 4), (4, 4), (3, 16), (4, 16), (16,)]
    valid = None if mask is None else tf.constant(np.asarray(mask, bool))

    def run(dtype: str) -> Any:
        def fn(*tensors: Any) -> Any:
            out, h, c = ops.lstm(*tensors, valid)
            return ops.sum(ops.square(out)) + ops.sum(h * c), out

        inputs = [tf.constant(numbers(*s, seed=i), dtype) for i, s in enumerate(sizes)]
        (loss, out), gradients, _ = active.differentiate(fn, inputs, [])
        return [loss, out, *gradients]

    for block, loop in zip(run("float32"), run("float64"), strict=True):
        assert_close(block, loop, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
def test_second_derivatives_of_fused_kernels(compiled: bool) -> None:
    """A gradient penalty works through an LSTM and a batch normalization, and has the value of finite differences."""
    weights = [tf.constant(numbers(*s, seed=i)) for i, s in enumerate([(3, 16), (4, 16), (16,)])]
    state = tf.zeros((4, 4))

    def penalty(x: Any) -> Any:
        def score(x: Any) -> Any:
            _, h, _ = ops.lstm(ops.reshape(x, (4, 2, 3)), state, state, *weights)
            y, _, _ = ops.batch_normalization_training(ops.reshape(x, (4, 6)), 1)
            return ops.sum(ops.square(h)) + ops.sum(ops.power(y, 3)), None

        _, (slope,), _ = active.differentiate(score, [x], [])
        return ops.sum(ops.square(slope)), None

    def second(x: Any) -> Any:
        (value, _), (gradient,), _ = active.differentiate(penalty, [x], [])
        return value, gradient

    x, along = numbers(24, seed=7), numbers(24, seed=8) * 1e-3
    (above, _), (below, _) = (active.differentiate(penalty, [tf.constant(v)], [])[0] for v in (x + along, x - along))
    _, gradient = (tf.function(second, autograph=False) if compiled else second)(tf.constant(x))
    assert_close(float(np.sum(gradient.numpy() * along)), float(above - below) / 2, rtol=5e-2)


# -- compiled functions ---------------------------------------------------------------------------------


def doubled() -> Compiled:
    graph = trace(lambda x: ops.multiply(x, 2.0), (TensorSpec((None, 3), "float32"),))
    return active.executable(graph)


def test_one_trace_for_all_batch_sizes() -> None:
    run = doubled()
    calls = []
    plain = run.plain
    run.plain = lambda *xs: (calls.append(1), plain(*xs))[1]
    for size in (4, 7, 0):
        (out,) = run(tf.ones((size, 3)))
        assert out.shape == (size, 3)
    assert len(calls) == 1
    with pytest.raises(ValueError, match=r"\(4, 5\).*\(None, 3\)"):
        run(tf.ones((4, 5)))


def test_takes_arrays_and_joins_an_outer_function() -> None:
    run = doubled()
    assert_close(run(np.ones((2, 3), "float32"))[0], np.full((2, 3), 2, "float32"))
    outer = tf.function(lambda x: run(x)[0] + 1.0).get_concrete_function(tf.TensorSpec((5, 3), tf.float32))
    kinds = {op.type for op in outer.graph.get_operations()}
    assert "Mul" in kinds and not any("Call" in k for k in kinds)


def test_gradient_through_an_executable() -> None:
    x = tf.ones((2, 3))
    _, (gradient,), _ = active.differentiate(lambda x: (ops.sum(doubled()(x)[0]), None), [x], [])
    assert_close(gradient, np.full((2, 3), 2, "float32"))


def test_xla() -> None:
    """Compiled by XLA, which has no block LSTM, a training step gives the same numbers."""

    def losses(jit: bool) -> list[float]:
        unidl.utils.set_random_seed(5)
        net = unidl.Sequential([unidl.Input((6, 3)), layers.LSTM(4), layers.Dense(2)])
        net.compile("sgd", "mse", jit_compile=jit)
        return net.fit(numbers(16, 6, 3), numbers(16, 2), batch_size=8, epochs=2, verbose=0).history["loss"]

    assert_close(losses(True), losses(False), rtol=1e-4)


def test_host_call_inside_a_function() -> None:
    counter = iter(range(100))

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        return np.full(shape, next(counter))

    @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.float32)])
    def f(x: tf.Tensor) -> tf.Tensor:
        out = active.host_call(draw, (active.dim(x, 0), 2), "float32")
        assert out.shape == (None, 2)
        return x + out

    assert [float(tf.reduce_sum(f(tf.zeros((n, 2))))) for n in (1, 2, 1)] == [0.0, 4.0, 4.0]
    assert active.to_numpy(active.host_call(draw, (2,), "bfloat16")).astype(float).tolist() == [3.0, 3.0]


@pytest.mark.parametrize("rate", [0.002, 0.01, 0.1, 0.25, 0.5, 0.9, 0.995])
def test_dropout_has_its_rate_in_tensors_of_any_size(rate: float) -> None:
    unidl.utils.set_random_seed(3)
    drop = active.executable(
        trace(lambda x: random_dropout(x, rate), (TensorSpec((None, 3), "float32"),))
    )  # compiled, for an unknown size
    kept = active.to_numpy(drop(active.to_tensor(np.ones((300_001, 3), "float32")))[0]) != 0
    spread = (rate * (1 - rate)) ** 0.5
    assert abs(kept.mean() - (1 - rate)) < 5 * spread / kept.size**0.5
    flat = (kept.ravel() - kept.mean()) / spread
    for distance in (1, 2, 3, 4, 8, 16):  # numbers are parts of words, and words come in fours
        assert abs((flat[distance:] * flat[:-distance]).mean()) < 5 / kept.size**0.5
    for shape in ((), (1,), (5,), (0, 2)):
        assert tuple(random_dropout(active.to_tensor(np.ones(shape, "float32")), rate).shape) == shape


def test_dropout_differs_from_step_to_step() -> None:
    graph = trace(lambda x: layers.Dropout(0.5)(x, training=True), (TensorSpec((None, 100), "float32"),))
    run, x = active.executable(graph), tf.ones((2, 100))
    assert not np.array_equal(run(x)[0].numpy(), run(x)[0].numpy())


# -- optimizers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: optimizers.SGD(0.1),
        lambda: optimizers.SGD(0.1, momentum=0.9),
        lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        lambda: optimizers.Adam(0.1),
        lambda: optimizers.Adam(0.1, amsgrad=True),
        lambda: optimizers.AdamW(0.1, weight_decay=0.3),
        lambda: optimizers.RMSprop(0.1),
        lambda: optimizers.RMSprop(0.1, momentum=0.9),
        lambda: optimizers.RMSprop(0.1, centered=True),
        lambda: optimizers.RMSprop(0.1, momentum=0.9, centered=True),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kernels_follow_the_rule(make: Any, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fused kernel does what `update_step` says, eagerly and inside a function."""
    starts = [numbers(3, 2).astype(dtype), numbers(2, seed=1).astype(dtype)]
    gradients = [[numbers(3, 2, seed=9 + i).astype(dtype), numbers(2, seed=99 + i).astype(dtype)] for i in range(4)]

    def run(fused: bool, compiled: bool) -> list[np.ndarray]:
        with monkeypatch.context() as patch:
            if not fused:
                patch.setattr(type(active), "optimizer_kernel", lambda *a: None)
            variables = [unidl.Variable(s) for s in starts]
            optimizer = make()
            apply = optimizer.updater(variables)
            step = tf.function(lambda *g: apply(list(g)), autograph=False) if compiled else lambda *g: apply(list(g))
            for pair in gradients:
                step(*(tf.constant(g) for g in pair))
            assert int(optimizer.iterations.numpy()) == 4
            return [v.numpy() for v in (*variables, *(s for slot in optimizer.slots.values() for s in slot))]

    expected = run(False, False)
    for compiled in (False, True):
        for got, want in zip(run(True, compiled), expected, strict=True):
            # Learning rates are float32 variables; the kernels' own arithmetic is in the dtype of the variable.
            assert_close(got, want, rtol=2e-5, atol=2e-6)


def test_fit_and_predict() -> None:
    unidl.utils.set_random_seed(3)
    x = numbers(200, 8)
    y = (x.sum(1) > 0).astype("int32")
    net = unidl.Sequential([unidl.Input((8,)), layers.Dense(16, "relu"), layers.Dropout(0.1), layers.Dense(2)])
    net.compile(
        optimizers.Adam(0.01), unidl.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    history = net.fit(x, y, epochs=15, verbose=0).history
    assert history["accuracy"][-1] > 0.9 and history["loss"][-1] < history["loss"][0]
    assert net.predict(x[:7], verbose=0).shape == (7, 2)
