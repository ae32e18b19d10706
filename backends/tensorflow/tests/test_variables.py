"""A unidl variable is a `tf.Variable`, and a layer a `tf.Module`."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import unidl
from unidl import layers, ops
from unidl.backend import active
from unidl.testing import assert_close
from unidl_tensorflow import tracing


def variable(value: object = (1.0, 2.0), name: str = "kernel") -> unidl.Variable:
    return unidl.Variable(np.asarray(value, "float32"), name=name)


def test_native_code_takes_it() -> None:
    v = variable()
    assert isinstance(v, tf.Variable) and isinstance(v, unidl.Variable) and v.value is v
    assert v.name == v.path == "kernel" and "kernel" in repr(v)
    assert_close(tf.add(v, 1.0), [2.0, 3.0], rtol=0)
    assert_close(v.value(), v)  # TensorFlow's own spelling
    v.assign([3.0, 4.0], read_value=False)
    v.assign_add([1.0, 1.0])
    assert v.numpy().tolist() == [4.0, 5.0]


def test_names_that_tensorflow_refuses() -> None:
    assert variable(name="größe (m)/_x").name == "größe (m)/_x"
    assert variable(name="_hidden").name == "_hidden"


def test_around_a_handle_it_is_what_the_constructor_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    value = np.ones((2, 3), "float32")

    def made() -> tuple[unidl.Variable, int]:
        calls = []
        sys.setprofile(lambda frame, event, argument: calls.append(event) if event == "call" else None)
        try:
            variable = active.make_variable(value, trainable=False, name="kernel")
        finally:
            sys.setprofile(None)
        return variable, len(calls)

    made()  # what is remembered of shapes
    quick, few = made()
    monkeypatch.setattr(tracing, "possible", lambda: False)
    whole, many = made()
    assert few < many / 2
    own = {"_handle", "_unique_id"}
    first, second = ({k: v for k, v in vars(v).items() if k not in own} for v in (quick, whole))
    assert {k: first.get(k) for k in second} == second
    assert quick.handle.device == whole.handle.device and quick.handle._handle_data == whole.handle._handle_data
    assert quick._unique_id != whole._unique_id and quick.handle._unique_id == quick._unique_id
    with pytest.raises(ValueError, match="shape"):
        quick.assign(np.ones(3, "float32"))


def test_tape_and_function() -> None:
    v = variable()

    @tf.function
    def loss(x: tf.Tensor) -> tf.Tensor:
        v.assign_add([1.0, 1.0])
        return tf.reduce_sum(v * v * x)

    with tf.GradientTape() as tape:
        value = loss(tf.constant([1.0, 3.0]))
    assert float(value) == 4.0 + 27.0
    assert_close(tape.gradient(value, v), [4.0, 18.0], rtol=1e-6)


def test_made_while_a_function_is_traced() -> None:
    made = []

    @tf.function
    def f(x: tf.Tensor) -> tf.Tensor:
        if not made:
            made.append(variable())
        return x + made[0]

    assert_close(f(tf.ones(2)), [2.0, 3.0], rtol=0)
    assert made[0].numpy().tolist() == [1.0, 2.0]


def test_trainable_can_change() -> None:
    v = variable()
    v.trainable = False
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(v * 2.0)
    assert tape.gradient(value, v) is None


def test_deepcopy() -> None:
    v = variable()
    v._path, v.regularizer = "dense/kernel", [1]
    twin, same = copy.deepcopy([v, v])
    v.assign([0.0, 0.0])
    assert twin is same and twin is not v and type(twin) is type(v)
    assert twin.path == "dense/kernel" and twin.regularizer == [1] and twin.regularizer is not v.regularizer
    assert twin.numpy().tolist() == [1.0, 2.0]


def test_wrong_shape() -> None:
    with pytest.raises(ValueError, match=r"kernel.*\(2,\).*\(3,\)"):
        variable().assign([1.0, 2.0, 3.0])


def model() -> unidl.Model:
    return unidl.Sequential([unidl.Input((3,)), layers.Dense(4, "relu"), layers.Dense(2)])


def test_module_around_a_layer() -> None:
    net = model()

    class Outer(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = [net]
            self.scale = tf.Variable(2.0)

    outer = Outer()
    assert isinstance(net, tf.Module) and {id(v) for v in net.variables} < {id(v) for v in outer.trainable_variables}
    assert len(outer.trainable_variables) == 5


def test_checkpoint(tmp_path: Path) -> None:
    first, second = model(), model()
    x = np.ones((2, 3), "float32")
    assert np.abs(active.to_numpy(first(x)) - active.to_numpy(second(x))).max() > 0
    path = tf.train.Checkpoint(net=first).write(str(tmp_path / "weights"))
    tf.train.Checkpoint(net=second).read(path).assert_consumed()
    assert_close(first(x), second(x))


def test_layer_inside_tf_function() -> None:
    net = model()

    @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32)])
    def f(x: tf.Tensor) -> tf.Tensor:
        return ops.add(net(x), 1.0)

    x = tf.ones((5, 3))
    assert_close(f(x), net(x) + 1.0)


def test_saved_model(tmp_path: Path) -> None:
    net = model()
    module = tf.Module()
    module.net = net
    module.f = tf.function(lambda x: net(x), input_signature=[tf.TensorSpec((None, 3), tf.float32)], autograph=False)
    tf.saved_model.save(module, str(tmp_path))
    x = tf.ones((5, 3))
    loaded = tf.saved_model.load(str(tmp_path))
    assert_close(loaded.f(x), net(x))


def test_checkpoints_hold_the_state_of_optimizers(tmp_path: Path) -> None:
    model = unidl.Sequential([unidl.Input((2,)), unidl.layers.Dense(1)])
    model.compile(unidl.optimizers.Adam(0.1), "mse")
    x, y = np.ones((4, 2), "float32"), np.zeros((4, 1), "float32")
    model.fit(x, y, verbose=0)
    state = [v.numpy() for v in model.optimizer.variables]
    path = tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(str(tmp_path / "checkpoint"))
    model.fit(x, y, epochs=2, verbose=0)
    tf.train.Checkpoint(model=model, optimizer=model.optimizer).restore(path).assert_consumed()
    for variable, value in zip(model.optimizer.variables, state, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_optimizers_take_tensorflow_s_own_variables_and_sparse_gradients() -> None:
    native, own = tf.Variable([1.0, 2.0]), unidl.Variable(np.ones((3, 2), "float32"))
    with tf.GradientTape() as tape:
        tape.watch(own)
        loss = tf.reduce_sum(native**2) + tf.reduce_sum(tf.gather(own, [0, 0, 2]))
    gradients = tape.gradient(loss, [native, own])
    assert isinstance(gradients[1], tf.IndexedSlices)
    unidl.optimizers.SGD(0.5, momentum=0.5).apply(gradients, [native, own])
    np.testing.assert_allclose(native.numpy(), [0.0, 0.0])
    np.testing.assert_allclose(own.numpy(), [[0.0, 0.0], [1.0, 1.0], [0.5, 0.5]])


def test_optimizers_may_be_built_while_a_function_is_traced() -> None:
    for make in (
        lambda: unidl.optimizers.Adam(0.1, use_ema=True, ema_momentum=0.5),
        lambda: unidl.optimizers.ScheduleFreeAdamW(0.1),
        lambda: unidl.optimizers.LossScaleOptimizer(unidl.optimizers.SGD(0.1, gradient_accumulation_steps=2)),
    ):
        ends = []
        for traced in (True, False):
            weight, optimizer = variable(), make()

            def step(gradient: tf.Tensor, optimizer: object = optimizer, weight: object = weight) -> None:
                optimizer.apply([gradient], [weight])

            run = tf.function(step) if traced else step
            for i in range(3):
                run(tf.constant([1.0, -2.0]) * (i + 1.0))
            ends.append([v.numpy() for v in (weight, *optimizer.variables)])
        for a, b in zip(*ends, strict=True):
            assert_close(a, b)
