"""What `compile` takes, and what the loops make of it: structures of losses, groups of steps, configurations."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import unidl
from unidl import layers, ops
from unidl.backend import active

if not active.trains:
    pytest.skip("this backend does not train", allow_module_level=True)

RNG = np.random.default_rng(3)
X = RNG.random((8, 3)).astype("float32")
Y = {"a": RNG.random((8, 1)).astype("float32"), "b": RNG.integers(0, 2, (8, 1)).astype("float32")}


def two_outputs(kind: type = dict) -> Any:
    x = layers.Input((3,), name="x")
    outputs: Any = {"a": layers.Dense(1, name="a")(x), "b": layers.Dense(1, activation="sigmoid", name="b")(x)}
    return unidl.Model(x, outputs if kind is dict else kind(outputs.values()))


def keys(model: Any, y: Any, **compiled: Any) -> list[str]:
    model.compile("sgd", **compiled)
    return sorted(model.fit(X, y, batch_size=4, verbose=0).history)


@pytest.mark.parametrize("kind", [dict, list, tuple])
def test_losses_and_metrics_by_output(kind: Any) -> None:
    y = Y if kind is dict else tuple(Y.values())
    loss = {"a": "mse", "b": ["binary_crossentropy"]}
    metrics = {"a": ["mse"], "b": ["mse", "accuracy"]}
    weighted = {"b": ["accuracy"]}
    found = keys(two_outputs(kind), y, loss=loss, metrics=metrics, weighted_metrics=weighted, loss_weights={"a": 2.0})
    assert found == ["a_loss", "a_mse", "b_accuracy", "b_loss", "b_mse", "b_weighted_accuracy", "loss"]
    assert keys(two_outputs(kind), y, loss={"b": "mse"}) == ["loss"]
    assert keys(two_outputs(kind), y, loss="mse") == ["a_loss", "b_loss", "loss"]


def test_the_total_is_the_weighted_sum() -> None:
    model = two_outputs()
    model.compile("sgd", loss={"a": "mse", "b": "mae"}, loss_weights={"a": 0.5, "b": 3.0})
    logs = model.evaluate(X, Y, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["loss"], 0.5 * logs["a_loss"] + 3 * logs["b_loss"], rtol=1e-5)


def test_a_loss_may_take_several_outputs_together() -> None:
    def difference(y: Any, y_pred: Any) -> Any:
        return ops.abs((y[0] - y[1]) - (y_pred[0] - y_pred[1]))

    y = tuple(Y.values())
    assert keys(two_outputs(tuple), y, loss=[difference, ("mse", None)]) == ["a_b_loss", "a_loss", "loss"]


@pytest.mark.parametrize(
    ("compiled", "words"),
    [
        ({"loss": {"a": "mse", "c": "mse"}}, r"Invalid `loss`.*\['c'\].*Expected keys.*'a', 'b'"),
        ({"loss": "mse", "metrics": {"c": ["mse"]}}, r"Invalid `metrics`.*'c'"),
        ({"loss": "mse", "metrics": ["mse", "mse", "mse"]}, r"Invalid `metrics`.*2 outputs"),
        ({"loss": ["mse", "mse", "mse"]}, "3 entries for 2 outputs"),
    ],
)
def test_names_and_numbers_that_do_not_fit_are_told(compiled: Any, words: str) -> None:
    model = two_outputs(dict if isinstance(compiled["loss"], dict) else list)
    model.compile("sgd", **compiled)
    with pytest.raises(ValueError, match=words):
        model.fit(X, tuple(Y.values()), verbose=0)


def test_a_missing_target_is_told() -> None:
    model = two_outputs()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="'b' has a loss, but the data has no target"):
        model.fit(X, {"a": Y["a"]}, verbose=0)
    with pytest.raises(ValueError, match="must be a list"):
        model.compile("sgd", "mse", metrics="mse")


def test_a_compiled_model_is_described_whole() -> None:
    model = two_outputs()
    model.compile(
        unidl.optimizers.Adam(0.02), {"a": "mse", "b": unidl.losses.BinaryCrossentropy()}, metrics={"b": ["acc"]}
    )
    copy = unidl.models.model_from_json(model.to_json())
    copy.set_weights(model.get_weights())
    assert copy.compiled and type(copy.optimizer) is unidl.optimizers.Adam
    for one in (model, copy):
        one.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    for mine, theirs in zip(copy.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-6)
    assert json.loads(json.dumps(copy.get_compile_config())) == json.loads(json.dumps(model.get_compile_config()))
    assert unidl.models.clone_model(model).compiled


class Seen(unidl.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.begun: list[int] = []
        self.ended: list[int] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.begun.append(batch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.ended.append(batch)

    on_test_batch_begin, on_test_batch_end = on_train_batch_begin, on_train_batch_end
    on_predict_batch_begin, on_predict_batch_end = on_train_batch_begin, on_train_batch_end


def test_callbacks_of_batches_are_called_once_for_each_group_of_steps() -> None:
    model = unidl.Sequential([layers.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse", steps_per_execution=3)
    for run in (
        lambda seen: model.fit(X, Y["a"], batch_size=1, callbacks=[seen], verbose=0),
        lambda seen: model.evaluate(X, Y["a"], batch_size=1, callbacks=[seen], verbose=0),
        lambda seen: model.predict(X, batch_size=1, callbacks=[seen], verbose=0),
    ):
        seen = Seen()
        run(seen)
        assert seen.begun == [0, 3, 6] and seen.ended == [2, 5, 7]
    with pytest.raises(ValueError, match="steps_per_execution"):
        model.compile("sgd", "mse", steps_per_execution=0)


@pytest.mark.parametrize(("flag", "loop"), [("stop_evaluating", "evaluate"), ("stop_predicting", "predict")])
def test_callbacks_may_stop_loops_over_endless_data(flag: str, loop: str) -> None:
    class Stop(Seen):
        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            self.ended.append(batch)
            setattr(self.model, flag, batch == 2)

        on_predict_batch_end = on_test_batch_end

    def forever() -> Any:
        while True:
            yield (X, Y["a"]) if loop == "evaluate" else (X,)

    model = unidl.Sequential([layers.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    stop = Stop()
    getattr(model, loop)(forever(), callbacks=[stop], verbose=0)
    assert stop.ended == [0, 1, 2]


def test_compute_metrics_may_add_results() -> None:
    class Model(unidl.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, x: Any) -> Any:
            return self.dense(x)

        def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
            return {**super().compute_metrics(x, y, y_pred, sample_weight), "largest": ops.max(y_pred)}

    model = Model()
    assert keys(model, Y["a"], loss="mse", metrics=["mae"]) == ["largest", "loss", "mae"]


def test_steps_on_one_batch_show_that_batch_alone() -> None:
    model = unidl.Sequential([layers.Input((3,)), layers.Dense(1)])
    model.compile(unidl.optimizers.SGD(0.0), "mse")
    first = model.train_on_batch(X[:4], Y["a"][:4])
    np.testing.assert_allclose(model.train_on_batch(X[:4], Y["a"][:4]), first, rtol=1e-6)
    assert abs(model.test_on_batch(X[4:], Y["a"][4:]) - first) > 1e-4


def test_targets_may_be_left_out_for_outputs_without_a_loss() -> None:
    x, y = np.ones((4, 2), "float32"), np.ones((4, 3), "float32")
    hidden = layers.Dense(3, kernel_initializer="ones")(inputs := unidl.Input((2,)))
    several = unidl.Model(inputs, [hidden, 2 * hidden, 3 * hidden])
    several.compile("sgd", loss=["mse", None, None], metrics=[["mae"], None, None])
    assert several.evaluate(x, y, verbose=0, return_dict=True)["loss"] == 1.0
    several.compile("sgd", loss=["mse", None, "mse"])
    assert several.evaluate(x, [y, y], verbose=0, return_dict=True)["loss"] == 1.0 + 25.0
    with pytest.raises(ValueError, match="3 outputs, but the data has 1 targets"):
        several.evaluate(x, y, verbose=0)
