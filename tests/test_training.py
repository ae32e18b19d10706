"""compile, fit, evaluate, predict: what they compute, what they refuse, what survives an error."""

from __future__ import annotations

import gc
import warnings
from typing import Any

import numpy as np
import pytest

import unidl
from unidl import layers, ops
from unidl.backend import active

trains = pytest.mark.skipif(not active.trains, reason="the NumPy backend does not train")


def classifier(units: int = 3, features: int = 4, **compile_args: Any) -> unidl.Sequential:
    model = unidl.Sequential([unidl.Input((features,)), layers.Dense(8, "relu"), layers.Dense(units)])
    loss = unidl.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(unidl.optimizers.Adam(0.02), loss, metrics=["accuracy"], **compile_args)
    return model


def blobs(count: int = 90) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.arange(count, dtype="int32") % 3
    return (rng.normal(size=(count, 4)) + 2 * np.eye(4)[y]).astype("float32"), y


@trains
def test_fit_learns_and_reports() -> None:
    x, y = blobs()
    model = classifier()
    history = model.fit(x, y, batch_size=16, epochs=8, verbose=0, validation_split=0.2)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert len(history.history["loss"]) == 8
    assert history.history["loss"][-1] < history.history["loss"][0] / 1.5
    scores = model.evaluate(x, y, verbose=0, return_dict=True)
    assert scores["accuracy"] > 0.8
    logits = model.predict(x, verbose=0)
    assert logits.shape == (90, 3)
    assert np.isclose((logits.argmax(1) == y).mean(), scores["accuracy"], atol=1e-6)


@trains
def test_garbage_is_not_collected_while_a_step_is_recorded() -> None:
    seen: list[bool] = []

    class Watching(layers.Layer):
        def call(self, inputs: Any) -> Any:
            seen.append(gc.isenabled())
            if len(seen) > 20:
                raise RuntimeError("enough")
            return inputs

    model = unidl.Sequential([Watching(), layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")
    model.fit(x, y, verbose=0)
    assert not any(seen) and gc.isenabled()
    seen[:] = [False] * 20
    with pytest.raises(RuntimeError, match="enough"):
        model.fit(x[:, :1], y, verbose=0)
    assert gc.isenabled()


@trains
def test_loss_is_the_mean_over_samples_also_with_an_odd_last_batch() -> None:
    x, y = blobs(37)
    model = classifier()
    whole = model.evaluate(x, y, batch_size=37, verbose=0)
    parts = model.evaluate(x, y, batch_size=10, verbose=0)
    np.testing.assert_allclose(whole, parts, rtol=1e-5)


@trains
@pytest.mark.parametrize("run_eagerly", [False, True])
def test_one_step_of_sgd_is_what_the_formula_says(run_eagerly: bool) -> None:
    model = unidl.Sequential([unidl.Input((2,)), layers.Dense(1, use_bias=False)])
    model.compile(unidl.optimizers.SGD(0.1), "mse", run_eagerly=run_eagerly)
    w = np.array([[0.5], [-1.0]], "float32")
    model.set_weights([w])
    x, y = np.array([[1.0, 2.0], [3.0, -1.0]], "float32"), np.array([[1.0], [0.0]], "float32")
    model.train_on_batch(x, y)
    expected = w - 0.1 * 2 * x.T @ (x @ w - y) / 2
    np.testing.assert_allclose(model.get_weights()[0], expected, rtol=1e-5, atol=1e-7)


@trains
def test_replay_and_eager_training_agree() -> None:
    x, y = blobs()
    curves = []
    for run_eagerly in (False, True):
        unidl.utils.set_random_seed(3)
        model = classifier(run_eagerly=run_eagerly)
        curves.append(model.fit(x, y, batch_size=16, epochs=2, verbose=0).history["loss"])
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-4)


@trains
def test_several_inputs_and_outputs_by_name() -> None:
    a, b = unidl.Input((3,), name="a"), unidl.Input((2,), name="b")
    joined = layers.Concatenate()([a, b])
    model = unidl.Model(
        {"a": a, "b": b}, {"left": layers.Dense(1, name="left")(joined), "right": layers.Dense(2, name="right")(a)}
    )
    model.compile(
        "sgd", {"left": "mse", "right": "mae"}, loss_weights={"left": 2.0, "right": 0.5}, metrics={"left": ["mae"]}
    )
    rng = np.random.default_rng(1)
    x = {"a": rng.normal(size=(12, 3)).astype("float32"), "b": rng.normal(size=(12, 2)).astype("float32")}
    y = {"left": rng.normal(size=(12, 1)).astype("float32"), "right": rng.normal(size=(12, 2)).astype("float32")}
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["loss"], 2 * logs["left_loss"] + 0.5 * logs["right_loss"], rtol=1e-4)
    assert set(model.predict(x, verbose=0)) == {"left", "right"}
    model.fit(x, y, epochs=1, verbose=0)


@trains
def test_sample_and_class_weights_weigh_the_loss() -> None:
    x, y = blobs(30)
    model = classifier()
    weights = np.where(y == 0, 3.0, 1.0).astype("float32")
    by_sample = model.evaluate(x, y, sample_weight=weights, batch_size=30, verbose=0, return_dict=True)["loss"]
    logits = model.predict(x, verbose=0).astype("float64")
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    expected = np.mean(-logs[np.arange(30), y] * weights)
    np.testing.assert_allclose(by_sample, expected, rtol=1e-4)
    before = model.get_weights()
    model.fit(x, y, class_weight={0: 0.0, 1: 0.0, 2: 0.0}, epochs=1, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_allclose(old, new, atol=1e-6)


@trains
def test_custom_train_step_is_written_once() -> None:
    class Scaled(unidl.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(3)

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs)

        def train_step(self, data: Any) -> dict[str, Any]:
            x, y = data
            weights = self.trainable_variables
            loss, gradients = unidl.value_and_grad(
                lambda: ops.mean(ops.sparse_categorical_crossentropy(y, self(x, training=True), from_logits=True)),
                weights,
            )()
            self.optimizer.apply(gradients, weights)
            return {"twice": loss * 2}

    x, y = blobs()
    model = Scaled()
    model(x[:2])
    model.compile(unidl.optimizers.SGD(0.1))
    history = model.fit(x, y, batch_size=32, epochs=4, verbose=0).history
    assert list(history) == ["twice"]
    assert history["twice"][-1] < history["twice"][0]


@trains
def test_a_custom_train_step_sees_weights_and_metrics_from_the_first_batch() -> None:
    class Plain(unidl.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(1, kernel_initializer="zeros")

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs)

        def train_step(self, data: Any) -> dict[str, Any]:
            x, y = data
            weights = self.trainable_variables

            def loss_of() -> Any:
                y_pred = self(x, training=True)
                return self.compute_loss(y=y, y_pred=y_pred), y_pred

            (loss, y_pred), gradients = unidl.value_and_grad(loss_of, weights, has_aux=True)()
            self.optimizer.apply(gradients, weights)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred)
            return {m.name: m.result() for m in self.metrics}

    x = np.random.default_rng(0).normal(size=(32, 2)).astype("float32")
    y = x[:, :1] + 1
    model = Plain()
    model.compile(unidl.optimizers.SGD(0.1), "mse", metrics=["mae"])
    history = model.fit(x, y, batch_size=32, epochs=3, verbose=0).history
    assert list(history) == ["loss", "mae"] and history["loss"][-1] < history["loss"][0]
    np.testing.assert_allclose([history["loss"][0], history["mae"][0]], [(y**2).mean(), abs(y).mean()], rtol=1e-4)


@trains
def test_frozen_layers_stay_and_can_be_thawed() -> None:
    x, y = blobs()
    model = classifier()
    model.layers[0].trainable = False
    frozen = model.layers[0].get_weights()
    free = model.layers[1].get_weights()
    model.fit(x, y, epochs=1, verbose=0)
    np.testing.assert_array_equal(frozen[0], model.layers[0].get_weights()[0])
    assert not np.array_equal(free[0], model.layers[1].get_weights()[0])
    model.layers[0].trainable = True
    model.compile("sgd", unidl.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=1, verbose=0)
    assert not np.array_equal(frozen[0], model.layers[0].get_weights()[0])


@trains
def test_add_loss_and_regularizers_are_part_of_the_loss() -> None:
    class Penalty(layers.Layer):
        def call(self, inputs: Any) -> Any:
            self.add_loss(0.5 * ops.mean(ops.square(inputs)))
            return inputs

    x = np.ones((4, 2), "float32")
    model = unidl.Sequential(
        [unidl.Input((2,)), Penalty(), layers.Dense(1, kernel_initializer="ones", kernel_regularizer="l2")]
    )
    model.compile("sgd", "mse")
    loss = model.evaluate(x, np.zeros((4, 1), "float32"), verbose=0)
    np.testing.assert_allclose(loss, 4.0 + 0.5 + 0.01 * 2, rtol=1e-5)


# -- bad input -------------------------------------------------------------------------------------


def test_fit_before_compile_says_what_to_do() -> None:
    model = unidl.Sequential([unidl.Input((2,)), layers.Dense(1)])
    with pytest.raises(RuntimeError, match=r"compile\(optimizer"):
        model.fit(np.zeros((2, 2)), np.zeros((2, 1)))


@trains
def test_wrong_feature_size_names_layer_and_shapes() -> None:
    model = classifier()
    with pytest.raises(ValueError, match=r"(?s)sequential.*\(None, 4\).*\(\d*(None)?, 5\)"):
        model.fit(np.zeros((8, 5), "float32"), np.zeros(8, "int32"), verbose=0)


@trains
def test_wrong_rank_is_refused() -> None:
    model = unidl.Sequential([unidl.Input((6, 6, 1)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"expected shape=.*found shape"):
        model.predict(np.zeros((4, 6), "float32"), verbose=0)


@trains
@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [-1, 0, 1, 2]])
def test_labels_out_of_range_are_refused(labels: list[int]) -> None:
    model = classifier()
    with pytest.raises(ValueError, match="3 classes"):
        model.fit(np.zeros((4, 4), "float32"), np.array(labels, "int32"), verbose=0)


@trains
def test_a_generator_that_raises_leaves_the_model_usable() -> None:
    x, y = blobs()
    model = classifier()

    class Broken(Exception):
        pass

    def batches() -> Any:
        yield x[:16], y[:16]
        raise Broken("from the generator")

    with pytest.raises(Broken, match="from the generator"):
        model.fit(batches(), steps_per_epoch=5, epochs=2, verbose=0)
    assert model.fit(x, y, epochs=1, verbose=0).history["loss"]


@trains
def test_ctrl_c_keeps_history_and_model() -> None:
    x, y = blobs()
    model = classifier()

    class Interrupt(unidl.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=5, verbose=0, callbacks=[Interrupt()])
    assert len(model.history.history["loss"]) == 2
    assert model.predict(x[:3], verbose=0).shape == (3, 3)
    assert model.fit(x, y, epochs=1, verbose=0).history["loss"]


@trains
def test_nan_is_found_and_named() -> None:
    model = unidl.Sequential(
        [
            unidl.Input((2,)),
            layers.Dense(2, name="fine"),
            layers.Lambda(lambda v: ops.log(v * 0.0 - 1.0), name="bad"),
            layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(
            np.ones((4, 2), "float32"), np.ones((4, 1), "float32"), epochs=3, verbose=0,
            callbacks=[unidl.callbacks.TerminateOnNaN(diagnose=True)],
        )  # fmt: skip
    assert any("bad" in str(w.message) for w in caught), [str(w.message) for w in caught]
    assert len(model.history.history["loss"]) <= 1


def test_numpy_backend_says_that_it_does_not_train() -> None:
    model = classifier()
    if active.trains:
        assert active.name in ("torch", "tensorflow", "mxnet")
        return
    with pytest.raises(RuntimeError, match="torch, tensorflow or mxnet"):
        model.fit(*blobs(), verbose=0)


@pytest.mark.skipif(not active.trains, reason="needs gradients")
def test_metrics_with_several_values_are_arrays_in_the_logs() -> None:
    model = unidl.Sequential([unidl.Input((4,)), layers.Dense(3, activation="softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=[unidl.metrics.F1Score()])
    x, y = np.ones((6, 4), "float32"), np.eye(3, dtype="float32")[[0, 1, 2, 0, 1, 2]]
    history = model.fit(x, y, epochs=1, batch_size=3, verbose=2).history
    assert history["f1_score"][-1].shape == (3,)
    assert model.evaluate(x, y, verbose=1, return_dict=True)["f1_score"].shape == (3,)


@trains
def test_classes_of_pixels_are_learned() -> None:
    """A gradient for each pixel, through transposed convolutions and classes along the last axis."""
    x = np.random.default_rng(0).normal(size=(8, 6, 6, 1)).astype("float32")
    model = unidl.Sequential(
        [
            unidl.Input((6, 6, 1)),
            layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(2, 3, padding="same", activation="softmax"),
        ]
    )
    model.compile(unidl.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    history = model.fit(x, (x[..., 0] > 0).astype("int32"), batch_size=8, epochs=15, verbose=0).history["loss"]
    assert history[-1] < 0.9 * history[0]


@trains
def test_compute_loss_is_for_a_train_step_of_ones_own() -> None:
    """Also where the last batch is smaller, which on TensorFlow leaves its size open."""

    class Own(unidl.Model):
        def train_step(self, data: Any) -> dict[str, Any]:
            x, y = data

            def loss() -> Any:
                return self.compute_loss(y=y, y_pred=self(x, training=True))

            value, gradients = unidl.value_and_grad(loss, self.trainable_variables)()
            self.optimizer.apply(gradients, self.trainable_variables)
            for metric in self.metrics:
                metric.update_state(value) if metric.name == "loss" else metric.update_state(y, self(x))
            return {m.name: m.result() for m in self.metrics}

    x = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
    entry = unidl.Input((4,))
    model = Own(entry, layers.Dense(1)(entry))
    model.compile(unidl.optimizers.Adam(0.1), "mse", metrics=["mae"])
    history = model.fit(x, x[:, :1], batch_size=8, epochs=5, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert set(history) == {"loss", "mae"}


@trains
def test_a_dict_of_inputs_may_have_its_keys_in_any_order() -> None:
    inputs = {name: unidl.Input((size,), name=name) for name, size in (("wide", 5), ("narrow", 2))}
    model = unidl.Model(inputs, layers.Dense(1)(layers.Concatenate()([inputs["wide"], inputs["narrow"]])))
    model.compile("sgd", "mse")
    data = {"wide": np.ones((4, 5), "float32"), "narrow": np.zeros((4, 2), "float32")}
    model.fit(data, np.zeros((4, 1), "float32"), verbose=0)
    kernel, bias = model.layers[-1].get_weights()
    np.testing.assert_allclose(model.predict(data, verbose=0), np.full((4, 1), kernel[:5].sum() + bias[0]), atol=1e-5)


@trains
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_model_of_many_variables(optimizer: str) -> None:
    """More than a fused update takes at once."""
    model = unidl.Sequential([unidl.Input((1,)), *[layers.Dense(1, kernel_initializer="ones") for _ in range(25)]])
    model.compile(optimizer, "mse")
    before = model.get_weights()
    model.fit(np.ones((2, 1)), np.zeros((2, 1)), verbose=0)
    assert all((a != b).all() for a, b in zip(before, model.get_weights(), strict=True))


@trains
def test_a_compute_loss_of_ones_own_sees_the_losses_of_this_step() -> None:
    class Watching(unidl.Model):
        def __init__(self) -> None:
            super().__init__()
            self.seen = unidl.metrics.Mean(name="seen")
            self.inner = unidl.metrics.Mean(name="inner")
            self.first = layers.Dense(2, kernel_initializer="ones", activity_regularizer=lambda x: ops.mean(x) / 4)
            self.second = layers.Dense(2, kernel_initializer="ones", activity_regularizer=lambda x: ops.mean(x))

        def call(self, x: Any) -> Any:
            return self.second(self.first(x))

        def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None) -> Any:
            self.seen.update_state(sum(self.losses))
            self.inner.update_state(sum(self.first.losses))
            return super().compute_loss(x, y, y_pred, sample_weight)

    model = Watching()
    model.compile(unidl.optimizers.SGD(0.0), "mse")
    x = np.ones((4, 4), "float32")
    history = model.fit(x, np.full((4, 2), 8.0, "float32"), verbose=0).history
    # Penalties of activities are divided by the size of the batch.
    assert (history["inner"], history["seen"], history["loss"]) == ([0.25], [2.25], [2.25])
