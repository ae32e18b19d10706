"""Recurrent layers: what the table of layer cases does not say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import unidl
from unidl import layers, ops, tree
from unidl.backend import active

trains = pytest.mark.skipif(not active.trains, reason="the backend has no gradients")


def data(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def host(value: Any) -> list[np.ndarray]:
    return [active.to_numpy(v) for v in tree.flatten(value)]


@unidl.saving.register_keras_serializable("test_recurrent")
class Leaky(layers.Layer):
    """Two states of different sizes, starting at 1 and 0; twice the output in training."""

    def __init__(self, inner: int, outer: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner, self.outer = inner, outer
        self.state_size = (inner, outer)
        self.output_size = outer

    def build(self, input_shape: Any) -> None:
        self.into = self.add_weight((input_shape[-1], self.inner), name="into")
        self.out = self.add_weight((self.inner, self.outer), name="out")

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        return [ops.ones((batch_size, self.inner)), ops.zeros((batch_size, self.outer))]

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        s = ops.tanh(ops.matmul(inputs, self.into) + 0.5 * states[0])
        t = 0.5 * states[1] + ops.matmul(s, self.out)
        return (2.0 * t if training else t), [s, t]


class Plain:
    """A cell that is no layer: a running sum."""

    state_size = 3

    def call(self, inputs: Any, states: Any) -> Any:
        return inputs + states[0], [inputs + states[0]]


def leaky(x: np.ndarray, mask: np.ndarray, into: np.ndarray, out: np.ndarray) -> np.ndarray:
    """All outputs of `Leaky`, in NumPy."""
    s, t, y = np.ones((len(x), into.shape[1])), np.zeros((len(x), out.shape[1])), []
    for i in range(x.shape[1]):
        keep = mask[:, i, None]
        new = np.tanh(x[:, i] @ into + 0.5 * s)
        t = np.where(keep, 0.5 * t + new @ out, t)
        s = np.where(keep, new, s)
        y.append(t)
    return np.stack(y, 1)


# -- any cell --------------------------------------------------------------------------------------


@pytest.mark.parametrize("unroll", [False, True])
def test_a_cell_of_ones_own_goes_through_time_with_masks(unroll: bool) -> None:
    x, mask = data(3, 5, 4), np.array([[1, 1, 1, 0, 0], [0, 1, 0, 1, 1], [1, 1, 1, 1, 1]], bool)
    layer = layers.RNN(Leaky(3, 2), return_sequences=True, return_state=True, unroll=unroll)
    out, s, t = host(layer(x, mask=mask))
    expected = leaky(x, mask, *layer.get_weights())
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(t, expected[:, -1], rtol=1e-4, atol=1e-5)
    symbol, seen = layers.Input((5 if unroll else None, 4)), layers.Input((5 if unroll else None,), dtype="bool")
    model = unidl.Model([symbol, seen], layer(symbol, mask=seen))
    for a, b in zip(host(model([x, mask])), (out, s, t), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_cell_gets_training_and_need_not_be_a_layer() -> None:
    layer, x = layers.RNN(Leaky(3, 2)), data(2, 3, 4)
    np.testing.assert_allclose(host(layer(x, training=True))[0], 2 * host(layer(x))[0], rtol=1e-5)
    total = layers.RNN(Plain(), return_sequences=True)
    np.testing.assert_allclose(host(total(data(2, 4, 3)))[0], data(2, 4, 3).cumsum(1), rtol=1e-4, atol=1e-5)
    stacked = layers.RNN([Plain(), Plain()], return_state=True)
    out, first, second = stacked(data(2, 4, 3))
    twice = data(2, 4, 3).cumsum(1).cumsum(1)[:, -1]
    np.testing.assert_allclose(host(out)[0], twice, rtol=1e-4, atol=1e-5)
    assert [tuple(v.shape) for v in tree.flatten([first, second])] == [(2, 3), (2, 3)]


def test_a_stack_has_the_states_of_each_cell_and_gives_what_its_layers_give() -> None:
    x = data(2, 5, 4)
    stack = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2), Leaky(3, 2)], return_state=True, return_sequences=True)
    out, first, second, third = stack(x)
    assert [len(s) for s in (first, second, third)] == [2, 1, 2]
    assert stack.state_size == [[3, 3], 2, (3, 2)]
    parts = [layers.LSTM(3, return_sequences=True), layers.GRU(2, return_sequences=True)]
    y: Any = x
    for part, cell in zip(parts, stack.cell.cells, strict=False):
        part.build((None, None, y.shape[-1]))
        part.set_weights(cell.get_weights())
        y = part(y)
    last = layers.RNN(Leaky(3, 2), return_sequences=True)
    last.build((None, None, 2))
    last.set_weights(stack.cell.cells[2].get_weights())
    np.testing.assert_allclose(host(out)[0], host(last(y))[0], rtol=1e-4, atol=1e-5)
    again = stack(x, initial_state=[first, second, third])[0]
    assert not np.allclose(host(again)[0], host(out)[0])


def test_a_stack_called_by_itself_is_one_step_of_its_layer() -> None:
    stack = layers.StackedRNNCells([layers.LSTMCell(3), layers.GRUCell(2)])
    x = data(2, 1, 4)
    whole = host(layers.RNN(stack)(x))[0]
    step, states = stack(x[:, 0], stack.get_initial_state(2))
    np.testing.assert_allclose(host(step)[0], whole, rtol=1e-4, atol=1e-5)
    assert [len(s) for s in states] == [2, 1]


def test_a_configuration_holds_the_cells() -> None:
    layer = layers.Bidirectional(layers.RNN([Leaky(3, 2), layers.GRUCell(2)], return_sequences=True))
    x = data(2, 4, 3)
    expected = host(layer(x))[0]
    again = layers.deserialize(layers.serialize(layer))
    again(x)
    again.set_weights(layer.get_weights())
    np.testing.assert_allclose(host(again(x))[0], expected, rtol=1e-4, atol=1e-5)
    assert [w.path.split("/", 1)[1] for w in again.weights] == [w.path.split("/", 1)[1] for w in layer.weights]


@trains
def test_cells_learn_over_an_unknown_number_of_steps() -> None:
    symbol = layers.Input((None, 4))
    x = layers.Masking()(symbol)
    x = layers.RNN([Leaky(3, 3), layers.LSTMCell(3, activation="relu")], return_sequences=True)(x)
    model = unidl.Model(symbol, layers.RNN(Leaky(4, 1))(x))
    model.compile(unidl.optimizers.Adam(0.05), "mse")
    inputs = data(24, 6, 4)
    inputs[:, 4:][::2] = 0
    losses = model.fit(inputs, inputs[:, 0, :1], epochs=12, batch_size=12, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]
    assert model.predict(data(2, 9, 4), verbose=0).shape == (2, 1)


# -- stateful --------------------------------------------------------------------------------------

STATEFUL = [
    lambda **k: layers.LSTM(3, **k),
    lambda **k: layers.GRU(3, activation="relu", **k),
    lambda **k: layers.RNN([layers.SimpleRNNCell(2), Leaky(3, 2)], **k),
    lambda **k: layers.Bidirectional(layers.LSTM(3, **k), merge_mode=None),
]


@pytest.mark.parametrize("make", STATEFUL, ids=["lstm", "steps", "stack", "bidirectional"])
def test_states_are_kept_and_are_no_weights(make: Any) -> None:
    layer, fresh, x = make(stateful=True), make(), data(2, 6, 4)
    fresh(x)
    layer.build((2, 3, 4))
    layer.set_weights(fresh.get_weights())
    assert [w.name for w in layer.weights] == [w.name for w in fresh.weights]
    layer(x[:, :3])
    kept = host(layer.states)
    assert any(np.abs(v).max() > 0 for v in kept)
    second = host(layer(x[:, 3:]))
    np.testing.assert_allclose(second[0], host(fresh(x))[0], rtol=1e-4, atol=1e-5)
    layer.reset_state()
    for value in host(layer.states):
        np.testing.assert_array_equal(value, 0)


def test_states_may_be_set_and_another_batch_size_is_refused() -> None:
    layer = layers.GRU(3, stateful=True)
    x = data(2, 4, 5)
    layer(x)
    layer.reset_state(states=[np.ones((2, 3), "float32")])
    expected = host(layer(x))[0]
    plain = layers.GRU(3)
    plain.build((None, None, 5))
    plain.set_weights(layer.get_weights())
    np.testing.assert_allclose(expected, host(plain(x, initial_state=np.ones((2, 3), "float32")))[0], rtol=1e-4)
    with pytest.raises(ValueError, match="1 states, but 2 were given"):
        layer.reset_state(states=[np.ones((2, 3))] * 2)
    with pytest.raises(ValueError, match="batch size"):
        layer(data(1, 4, 5))
    symbol = layers.Input(batch_shape=(2, 4, 3))
    model = unidl.Model(symbol, layers.RNN(Plain(), stateful=True)(symbol))
    model(data(2, 4, 3))
    with pytest.raises(ValueError, match=r"batch size|expected shape"):
        model(data(1, 4, 3))


@trains
def test_states_go_on_from_batch_to_batch_in_fit() -> None:
    symbol = layers.Input(batch_shape=(2, 3, 3))
    layer = layers.RNN(Plain(), stateful=True)
    model = unidl.Model(symbol, layers.Dense(1)(layer(symbol)))
    model.compile("sgd", "mse")
    x = data(6, 3, 3)
    model.fit(x, np.zeros((6, 1)), batch_size=2, shuffle=False, verbose=0)
    np.testing.assert_allclose(host(layer.states)[0], x.reshape(3, 2, 3, 3).sum((0, 2)), rtol=1e-4, atol=1e-5)


@trains
def test_an_eager_stateful_layer_has_gradients() -> None:
    layer, x = layers.GRU(3, stateful=True), data(2, 4, 5)
    layer(x)
    _, gradients = unidl.value_and_grad(lambda: ops.sum(layer(x)), layer.trainable_variables)()
    assert all(np.abs(g).max() > 0 for g in host(gradients))


# -- dropout ---------------------------------------------------------------------------------------


def test_dropout_is_the_same_at_every_step_of_a_sequence() -> None:
    layer = layers.SimpleRNN(
        50, activation="linear", kernel_initializer="identity", recurrent_initializer="zeros", dropout=0.5,
        return_sequences=True,
    )  # fmt: skip
    out = host(layer(np.ones((4, 6, 50), "float32"), training=True))[0]
    assert set(np.unique(out)) == {0.0, 2.0}
    assert (out == out[:, :1]).all() and not (out == out[:1]).all()
    np.testing.assert_array_equal(host(layer(np.ones((4, 6, 50), "float32")))[0], 1)


def test_recurrent_dropout_acts_on_the_state_only() -> None:
    layer = layers.SimpleRNN(
        50, activation="linear", kernel_initializer="zeros", bias_initializer="zeros",
        recurrent_initializer="identity", recurrent_dropout=0.5, return_sequences=True,
    )  # fmt: skip
    out = host(layer(np.ones((4, 3, 50), "float32"), initial_state=np.ones((4, 50), "float32"), training=True))[0]
    assert [sorted(set(np.unique(out[:, t]))) for t in range(3)] == [[0, 2], [0, 4], [0, 8]]


def test_a_cells_masks_stay_until_they_are_reset() -> None:
    cell = layers.LSTMCell(40, dropout=0.5, recurrent_dropout=0.5)
    x, states = data(2, 40), [data(2, 40, seed=1), data(2, 40, seed=2)]
    first, again = (host(cell(x, states, training=True)[0])[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    cell.reset_dropout_mask()
    cell.reset_recurrent_dropout_mask()
    assert not np.allclose(first, host(cell(x, states, training=True)[0])[0])
    assert layers.GRUCell(3).get_dropout_mask(ops.convert_to_tensor(x)) is None
    symbol = layers.Input((40,))  # what was drawn eagerly is none of a recording's
    model = unidl.Model(symbol, cell(symbol, [symbol, symbol], training=True)[0])
    host(model(x))
    host(cell(x, states, training=True))


# -- Bidirectional, initial states, kernels --------------------------------------------------------


def test_bidirectional_directions_are_those_of_its_layers() -> None:
    x, mask = data(2, 5, 4), np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], bool)
    both = layers.Bidirectional(layers.GRU(3, return_sequences=True, return_state=True), merge_mode=None)
    ahead, back, h, g = host(both(x, mask=mask))
    one = host(both.forward_layer(x, mask=mask))
    other = host(both.backward_layer(x, mask=mask))
    for a, b in ((ahead, one[0]), (back, other[0][:, ::-1]), (h, one[1]), (g, other[1])):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert (ahead[0, 3:] == 0).all() and (back[0, 3:] == 0).all() and both.states is None
    with pytest.raises(AttributeError, match="not stateful"):
        both.reset_state()


def test_an_encoders_states_start_a_decoder() -> None:
    source, target = layers.Input((None, 3)), layers.Input((None, 2))
    _, h, c = layers.LSTM(4, return_state=True)(source)
    outputs = layers.LSTM(4, return_sequences=True)(target, initial_state=[h, c])
    model = unidl.Model([source, target], layers.Dense(2)(outputs))
    x, y = data(3, 5, 3), data(3, 4, 2)
    assert host(model([x, y]))[0].shape == (3, 4, 2)
    assert not np.allclose(host(model([x, y]))[0], host(model([2 * x, y]))[0])
    if active.trains:
        model.compile("adam", "mse")
        losses = model.fit([x, y], y, epochs=5, verbose=0).history["loss"]
        assert losses[-1] < losses[0]


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_steps_and_kernels_agree_and_use_cudnn_chooses(kind: str) -> None:
    x = data(2, 5, 4)
    fast, slow = (getattr(layers, kind)(3, use_cudnn=use) for use in (True, False))
    expected = host(fast(x))[0]
    slow(x)
    slow.set_weights(fast.get_weights())
    np.testing.assert_allclose(host(slow(x))[0], expected, rtol=1e-4, atol=1e-5)
    both = layers.Bidirectional(slow)
    assert both.forward_layer.use_cudnn is False and both.backward_layer.use_cudnn is False
    with pytest.raises(ValueError, match=r"use_cudnn.*recurrent_activation 'sigmoid'"):
        getattr(layers, kind)(3, use_cudnn=True, activation="relu")(x)


def test_time_distributed_keeps_steps_apart_where_they_must_be() -> None:
    x = 3 + data(8, 4, 6)
    layer = layers.TimeDistributed(layers.BatchNormalization(momentum=0.5))
    out = host(layer(x, training=True))[0]
    np.testing.assert_allclose(out.mean(0), 0, atol=1e-4)  # the mean of each step, and not of all
    expected = np.zeros(6)
    for t in range(4):
        expected = 0.5 * expected + 0.5 * x[:, t].mean(0)
    np.testing.assert_allclose(host(layer.layer.moving_mean)[0], expected, rtol=1e-4)
    symbol = layers.Input((None, 6))
    model = unidl.Model(symbol, layer(symbol))
    model(x, training=True)
    for t in range(4):
        expected = 0.5 * expected + 0.5 * x[:, t].mean(0)
    np.testing.assert_allclose(host(layer.layer.moving_mean)[0], expected, rtol=1e-4)
    inner = layers.TimeDistributed(layers.RNN(Plain(), stateful=True))
    x = data(2, 3, 4, 3)
    np.testing.assert_allclose(host(inner(x))[0], x.sum(2).cumsum(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", STATEFUL, ids=["lstm", "steps", "stack", "bidirectional"])
def test_mixed_precision_computes_in_half_and_keeps_weights_whole(make: Any) -> None:
    unidl.dtype_policies.set_dtype_policy("mixed_float16")
    try:
        layer, x = make(stateful=True), data(2, 4, 3)
        mask = np.array([[1, 1, 0, 0], [1, 1, 1, 1]], bool)
        for options in ({}, {"mask": mask}, {"training": True}):
            assert {ops.dtype(v) for v in tree.flatten(layer(x, **options))} == {"float16"}
        assert {ops.dtype(v) for v in (*layer.weights, *tree.flatten(layer.states))} == {"float32"}
    finally:
        unidl.dtype_policies.set_dtype_policy("float32")


@trains
def test_compiled_training_is_training() -> None:
    x, losses = data(8, 4, 3), []
    x[0, 2:] = 0
    weights = None
    for jit in (False, True):
        symbol = layers.Input((None, 3))
        # PyTorch compiles for long: one layer is enough there, of those that it cannot compile.
        cells = [] if active.name == "torch" else [layers.GRUCell(2, activation="relu"), Leaky(3, 3)]
        h = layers.LSTM(3, return_sequences=bool(cells))(layers.Masking()(symbol))
        model = unidl.Model(symbol, layers.RNN(cells)(h) if cells else h)
        weights = weights or model.get_weights()
        model.set_weights(weights)
        model.compile("sgd", "mse", jit_compile=jit)
        losses.append(model.fit(x, np.zeros((8, 3)), epochs=2, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


# -- clear errors ----------------------------------------------------------------------------------


class TooMany(Plain):
    def call(self, inputs: Any, states: Any) -> Any:
        return inputs, [inputs, inputs]


class NoSize:
    def call(self, inputs: Any, states: Any) -> Any:
        return inputs, states


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: layers.RNN(layers.Dense(3)), "state_size"),
        (lambda: layers.RNN(NoSize()), "state_size"),
        (lambda: layers.RNN(object()), "call"),
        (lambda: layers.StackedRNNCells([NoSize()]), "state_size"),
        (lambda: layers.RNN(type("Odd", (Plain,), {"state_size": "3"})()), "`state_size` must be an int"),
        (lambda: layers.LSTMCell(0), "`units`"),
        (lambda: layers.GRU(3, dropout=1.5), "dropout"),
        (lambda: layers.LSTM(3, use_cudnn="yes"), "use_cudnn"),
        (lambda: layers.Bidirectional(layers.Dense(3)), "recurrent layer"),
        (lambda: layers.Bidirectional("lstm"), "recurrent layer"),
        (lambda: layers.Bidirectional(layers.LSTM(3), merge_mode="max"), "merge_mode"),
        (lambda: layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3)), "opposite directions"),
        (lambda: layers.Bidirectional(layers.LSTM(3, go_backwards=True)), "opposite directions"),
        (
            lambda: layers.Bidirectional(
                layers.LSTM(3, return_state=True), backward_layer=layers.LSTM(3, go_backwards=True)
            ),
            "return_state",
        ),
        (lambda: layers.TimeDistributed(3), "must be a layer"),
        (lambda: layers.TimeDistributed(layers.Dense(3))(data(2, 3)), "at least 3 dimensions"),
        (lambda: layers.TimeDistributed(layers.Dense(3))(data(2, 3, 4), mask=np.ones((2, 4), bool)), "mask"),
        (lambda: layers.TimeDistributed(layers.Dense(3))(data(2, 3, 4), mask=np.ones((2,), bool)), "mask"),
        (lambda: layers.ConvLSTM2D(3, 3, strides=2, dilation_rate=2), "dilation_rate > 1"),
        (lambda: layers.ConvLSTM1D(0, 3), "filters"),
        (lambda: layers.ConvLSTM1D(2, 3)(data(2, 3, 2, 1)), "window covers 3"),
        (lambda: layers.ConvLSTM2D(2, 3)(layers.Input((None, None, None, 3))), "spatial sizes"),
        (lambda: layers.ConvLSTM2D(2, 3)(data(2, 3, 5, 1)), "5 dimensions"),
        (lambda: layers.LSTM(3)(data(2, 3, 4), initial_state=[data(2, 3)]), "needs 2 tensors, 1"),
        (lambda: layers.LSTM(3)(data(2, 3, 4), initial_state=[data(2, 3), data(2, 4)]), r"\(batch, 3\)"),
        (lambda: layers.LSTM(3)(data(2, 3, 4), mask=np.ones((2, 3, 2), bool)), r"mask \(batch, time\)"),
        (lambda: layers.LSTM(3, unroll=True)(layers.Input((None, 3))), "cannot unroll"),
        (lambda: layers.RNN(TooMany())(data(2, 4, 3)), "returns 2 states, but was given 1"),
        (lambda: layers.RNN(Plain())(data(2, 0, 3)), "no steps"),
        (lambda: layers.LSTMCell(3)(data(2, 4), [data(2, 3)]), "has 2 states, but 1"),
    ],
)
def test_what_is_wrong_is_said(call: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("cells", [[layers.GRUCell(4)], [layers.LSTMCell(3), layers.GRUCell(4)]], ids=len)
def test_what_changes_the_output_in_place_leaves_the_state(cells: list[Any]) -> None:
    layer = layers.RNN(cells if len(cells) > 1 else cells[0], return_state=True)
    output, *states = layer(data(2, 3, 5))
    before = [value.copy() for value in host(states)]
    output += 1
    for now, then in zip(host(states), before, strict=True):
        np.testing.assert_array_equal(now, then)
