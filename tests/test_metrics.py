"""Metrics: values against Keras 3.15's and plain formulas, accumulation, recording, what names mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import unidl
from unidl import losses, metrics, ops
from unidl.backend import active
from unidl.graph.symbolic import SymbolicTensor, TensorSpec
from unidl.graph.trace import trace


def number(value: Any) -> Any:
    return active.to_numpy(ops.convert_to_tensor(value))


def binary() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = (rng.random((40,)) > 0.5).astype("float32")
    p = np.clip(y * 0.3 + rng.random(40) * 0.7, 0, 1).astype("float32")
    return y, p, rng.random(40).astype("float32")


def labelled() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    weight = [rng.random(40) for _ in range(3)][2][:30].astype("float32")
    return (rng.random((30, 3)) > 0.5).astype("float32"), rng.random((30, 3)).astype("float32"), weight


#: Keras 3.15 on the same numbers, with 50 thresholds.
AUC = [
    ("ROC", "interpolation", False, 0.9427083730697632),
    ("ROC", "interpolation", True, 0.9687054753303528),
    ("ROC", "minoring", False, 0.9401041865348816),
    ("ROC", "minoring", True, 0.9671168923377991),
    ("ROC", "majoring", False, 0.9453125),
    ("ROC", "majoring", True, 0.9702940583229065),
    ("PR", "interpolation", False, 0.9592747092247009),
    ("PR", "interpolation", True, 0.9786168932914734),
    ("PR", "minoring", False, 0.9145510792732239),
    ("PR", "minoring", True, 0.9722650647163391),
    ("PR", "majoring", False, 0.9624629616737366),
    ("PR", "majoring", True, 0.980260968208313),
]


@pytest.mark.parametrize(("curve", "method", "weighted", "expected"), AUC)
def test_auc_is_that_of_keras(curve: str, method: str, weighted: bool, expected: float) -> None:
    y, p, w = binary()
    metric = metrics.AUC(50, curve, method)
    for part in (slice(0, 20), slice(20, 40)):
        metric.update_state(y[part], p[part], w[part] if weighted else None)
    assert number(metric.result()) == pytest.approx(expected, rel=1e-5)


def test_auc_of_labels_is_the_weighted_mean_of_their_own() -> None:
    y, p, _ = labelled()
    together = metrics.AUC(50, multi_label=True, num_labels=3, label_weights=[1.0, 2.0, 3.0])
    together.update_state(y, p)
    areas = []
    for i in range(3):
        one = metrics.AUC(50)
        one.update_state(y[:, i], p[:, i])
        areas.append(float(number(one.result())))
    assert number(together.result()) == pytest.approx(np.dot(areas, [1, 2, 3]) / 6, rel=1e-5)


def test_auc_of_logits() -> None:
    y, p, _ = binary()
    p = np.clip(p, 0.01, 0.99)
    plain, logits = metrics.AUC(), metrics.AUC(from_logits=True)
    plain.update_state(y, p)
    logits.update_state(y, np.log(p / (1 - p)))
    assert number(logits.result()) == pytest.approx(float(number(plain.result())), rel=1e-4)


@pytest.mark.parametrize(
    "kwargs", [{}, {"thresholds": [0.2, 0.8]}, {"top_k": 2}, {"class_id": 1}, {"top_k": 1, "class_id": 2}], ids=str
)
def test_precision_and_recall_count_what_they_say(kwargs: dict[str, Any]) -> None:
    y, p, w = labelled()
    precision, recall = metrics.Precision(**kwargs), metrics.Recall(**kwargs)
    for metric in (precision, recall):
        for part in (slice(0, 13), slice(13, 30)):
            metric.update_state(y[part], p[part], sample_weight=w[part])
    kept = np.ones_like(p)
    if k := kwargs.get("top_k"):
        kept = (np.argsort(np.argsort(-p, -1), -1) < k).astype("float32")
    limits = kwargs.get("thresholds", [-1.0 if "top_k" in kwargs else 0.5])
    expected: list[tuple[float, float]] = []
    for limit in limits:
        positive = (p > limit) * kept
        choose = slice(None) if "class_id" not in kwargs else slice(kwargs["class_id"], kwargs["class_id"] + 1)
        weight = np.broadcast_to(w[:, None], p.shape)[:, choose]
        hits = (positive * y)[:, choose] * weight
        expected.append((hits.sum() / (positive[:, choose] * weight).sum(), hits.sum() / (y[:, choose] * weight).sum()))
    np.testing.assert_allclose(number(precision.result()), np.squeeze([e[0] for e in expected]), rtol=1e-5)
    np.testing.assert_allclose(number(recall.result()), np.squeeze([e[1] for e in expected]), rtol=1e-5)


def test_rates_of_nothing_are_zero() -> None:
    for metric in (metrics.Precision(), metrics.Recall(), metrics.Mean(), metrics.AUC(curve="PR")):
        assert number(metric.result()) == 0


LABELS = np.array([0, 2, 1, 2])
SCORES = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.5, 0.4, 0.1]], "float32")
ONE_HOT = np.eye(3, dtype="float32")[LABELS]
ACCURACIES: list[Any] = [
    (metrics.SparseCategoricalAccuracy, {}, LABELS, SCORES, [1, 0, 1, 0]),
    (metrics.SparseCategoricalAccuracy, {}, LABELS[:, None], SCORES, [1, 0, 1, 0]),
    (metrics.CategoricalAccuracy, {}, ONE_HOT, SCORES, [1, 0, 1, 0]),
    (metrics.SparseTopKCategoricalAccuracy, {"k": 2}, LABELS, SCORES, [1, 1, 1, 0]),
    (metrics.TopKCategoricalAccuracy, {"k": 2}, ONE_HOT, SCORES, [1, 1, 1, 0]),
    (
        metrics.SparseTopKCategoricalAccuracy,
        {"k": 2, "from_sorted_ids": True},
        LABELS,
        np.argsort(-SCORES, -1),
        [1, 1, 1, 0],
    ),
    (metrics.BinaryAccuracy, {}, np.array([0.0, 1, 1, 0]), np.array([[0.2], [0.7], [0.4], [0.5]]), [1, 1, 0, 1]),
    (metrics.BinaryAccuracy, {"threshold": 0.3}, np.array([0, 1, 1, 0]), np.array([0.2, 0.7, 0.4, 0.5]), [1, 1, 1, 0]),
    (metrics.Accuracy, {}, np.array([1, 2, 3, 4]), np.array([1.0, 2.0, 0.0, 4.0]), [1, 1, 0, 1]),
    (metrics.MeanSquaredError, {}, np.zeros((4, 2)), np.arange(8.0).reshape(4, 2), [0.5, 6.5, 20.5, 42.5]),
    (metrics.MeanAbsoluteError, {}, np.zeros((4, 1)), np.array([1.0, -2.0, 3.0, -4.0]), [1, 2, 3, 4]),
]


@pytest.mark.parametrize(("cls", "kwargs", "y", "p", "values"), ACCURACIES)
def test_means_over_samples(cls: Any, kwargs: dict[str, Any], y: np.ndarray, p: np.ndarray, values: list[int]) -> None:
    metric, weight = cls(**kwargs), np.array([1.0, 2.0, 0.0, 0.5], "float32")
    p = p.astype("float32") if p.dtype == np.float64 else p
    for part in (slice(0, 3), slice(3, 4)):
        metric.update_state(y[part], p[part])
    assert number(metric.result()) == pytest.approx(np.mean(values))
    metric.reset_state()
    assert number(metric.result()) == 0
    metric.update_state(y, p, sample_weight=weight)
    assert number(metric.result()) == pytest.approx(np.average(values, weights=weight))
    again = metrics.deserialize(metrics.serialize(metric))
    assert type(again) is cls and again.get_config() == metric.get_config()


def test_mean_sum_and_root() -> None:
    mean, total, root = metrics.Mean(), metrics.Sum(), metrics.RootMeanSquaredError()
    for values, weight in (([1.0, 3.0], None), ([5.0], [2.0])):
        mean.update_state(values, weight)
        total.update_state(values, weight)
    root.update_state([0.0, 0.0], [3.0, 4.0])
    assert number(mean.result()) == pytest.approx(14 / 4)
    assert number(total.result()) == pytest.approx(14)
    assert number(root.result()) == pytest.approx(np.sqrt(12.5))


def test_state_is_updated_by_a_recorded_graph() -> None:
    metric = metrics.SparseCategoricalAccuracy()
    batch = None if not active.static_shapes else 2

    def step(y: Any, p: Any) -> None:
        metric.update_state(y, p)

    run = active.executable(trace(step, (TensorSpec((batch,), "int32"), TensorSpec((batch, 3), "float32"))))
    for part in (slice(0, 2), slice(2, 4)):
        run(active.to_tensor(LABELS[part].astype("int32")), active.to_tensor(SCORES[part]))
    assert number(metric.result()) == pytest.approx(0.5)
    assert [float(number(v)) for v in metric.variables] == [2.0, 4.0]


def test_what_a_mask_hides_does_not_count() -> None:
    metric = metrics.MeanSquaredError()
    output = SymbolicTensor((2, 3, 1), "float32")
    output.mask = SymbolicTensor((2, 3), "bool")

    def step(y: Any, p: Any) -> None:
        metric.update_state(y, p, np.array([1.0, 3.0], "float32"))

    run = active.executable(trace(step, (TensorSpec((2, 3, 1), "float32"), output)))
    y = np.arange(6, dtype="float32").reshape(2, 3, 1)
    mask = np.array([[True, True, False], [True, False, False]])
    run(*[active.to_tensor(v) for v in (y, np.zeros_like(y), mask)])
    assert number(metric.result()) == pytest.approx((0 + 1 + 3 * 9) / 5)


def test_what_names_mean() -> None:
    cases: list[Any] = [
        ("accuracy", (None, 1), (None, 1), "BinaryAccuracy"),
        ("accuracy", (None,), (None, 3), "SparseCategoricalAccuracy"),
        ("acc", (None, 1), (None, 3), "SparseCategoricalAccuracy"),
        ("accuracy", (None, 3), (None, 3), "CategoricalAccuracy"),
        ("accuracy", (None, 7), (None, 7, 3), "SparseCategoricalAccuracy"),
        ("AUC", (None,), (None,), "AUC"),
        ("mse", (None,), (None,), "MeanSquaredError"),
    ]
    for name, target, output, expected in cases:
        found = metrics.resolve(name, target, output)
        assert type(found).__name__ == expected
        assert found.name == name
    with pytest.raises(ValueError, match="nonsense"):
        metrics.resolve("nonsense", (None,), (None,))


@pytest.mark.parametrize("name", ["crossentropy", "sparse_categorical_crossentropy"])
def test_a_loss_as_a_metric_is_its_mean_over_samples(name: str) -> None:
    metric = metrics.resolve(name, (None,), (None, 3))
    for part in (slice(0, 3), slice(3, 4)):
        metric.update_state(LABELS[part], SCORES[part])
    expected = losses.SparseCategoricalCrossentropy()(LABELS, SCORES)
    assert metric.name == name
    assert number(metric.result()) == pytest.approx(float(number(expected)), rel=1e-5)


def test_functions_and_own_metrics() -> None:
    def gap(y: Any, p: Any) -> Any:
        return ops.subtract(p, y)

    metric = metrics.resolve(gap, (None,), (None,))
    metric.update_state(np.array([1.0, 2.0], "float32"), np.array([2.0, 4.0], "float32"))
    assert (metric.name, float(number(metric.result()))) == ("gap", 1.5)

    class Largest(metrics.Metric):
        def __init__(self, name: str = "largest") -> None:
            super().__init__(name=name)
            self.value = self.add_variable((), name="value")

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            self.value.assign(ops.maximum(self.value, ops.max(y_pred)))

        def result(self) -> Any:
            return self.value

    largest = Largest()
    assert number(largest(None, np.array([1.0, 5.0], "float32"))) == 5
    assert largest.variables[0].path == "largest/value"


@pytest.mark.parametrize(
    "make",
    [
        lambda: metrics.AUC(curve="receiver"),
        lambda: metrics.AUC(num_thresholds=1),
        lambda: metrics.AUC(summation_method="sum"),
        lambda: metrics.AUC(multi_label=True)(np.zeros(3), np.zeros(3)),
        lambda: metrics.AUC(multi_label=True, num_labels=2, label_weights=[1.0]),
        lambda: metrics.AUC(num_labels=2),
        lambda: metrics.Precision(thresholds=2.0),
        lambda: metrics.get("nonsense"),
        lambda: metrics.MeanSquaredError().update_state(np.zeros((3, 2)), np.zeros(3)),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any) -> None:
    with pytest.raises(ValueError):
        make()


def test_stateless_calls_leave_the_metric_as_it_is() -> None:
    metric = metrics.MeanSquaredError()
    metric.update_state(np.array([[1.0]], "float32"), np.array([[3.0]], "float32"))
    start = metric.stateless_reset_state()
    state = metric.stateless_update_state(start, np.array([[0.0]], "float32"), np.array([[3.0]], "float32"))
    assert [float(number(v)) for v in state] == [9.0, 1.0]
    assert number(metric.stateless_result(state)) == 9
    assert number(metric.result()) == 4
    with pytest.raises(ValueError, match="2 variables"):
        metric.stateless_result(state[:1])


def test_metrics_and_variables_among_the_attributes_are_state() -> None:
    class Outer(metrics.Metric):
        def __init__(self) -> None:
            super().__init__(name="outer")
            self.inner = metrics.Mean(name="inner")
            self.own = unidl.Variable(np.zeros((2,), "float32"), trainable=False)
            self.nested = {"more": [metrics.Sum(name="more"), unidl.Variable(np.zeros((3,), "float32"))]}

        def update_state(self, values: Any) -> None:
            self.inner.update_state(values)
            self.own.assign(ops.ones((2,)))
            self.nested["more"][1].assign(ops.ones((3,)))

    metric = Outer()
    metric.update_state(np.array([2.0, 4.0], "float32"))
    assert [tuple(ops.shape(v)) for v in metric.variables] == [(), (), (2,), (), (3,)]
    metric.reset_state()
    assert all(float(ops.convert_to_numpy(v).sum()) == 0 for v in metric.variables)


def test_a_result_does_not_change_with_the_state() -> None:
    for make in (metrics.TruePositives, metrics.Sum, lambda: metrics.FalseNegatives([0.2, 0.7])):
        metric: Any = make()
        y = np.ones(3, "float32")
        metric.update_state(*((y,) if isinstance(metric, metrics.Sum) else (y, np.array([0.1, 0.5, 0.9], "float32"))))
        before = metric.result()
        values = number(before).copy()
        metric.reset_state()
        np.testing.assert_array_equal(number(before), values)


def test_nan_and_numbers_outside_are_no_positives_beyond_their_place() -> None:
    y, p = np.array([1.0, 1.0, 0.0, 0.0]), np.array([np.nan, 2.0, -1.0, 0.5], "float32")
    for thresholds in ([0.25, 0.6], [0.0, 0.5, 1.0]):  # compared, and counted in buckets
        metric = metrics.TruePositives(thresholds)
        metric.update_state(y, p)
        assert number(metric.result())[1] == 1
    with pytest.warns(UserWarning, match="float32"):
        metrics.MeanIoU(2).update_state([0, 1], [0, 1], np.array([0.5, 0.5]))


NAMES = {
    "numbers": (
        *("mse", "MAE", "mape", "msle", "cosine_similarity", "logcosh", "huber", "r2_score", "RootMeanSquaredError"),
        *("hinge", "kld", "poisson", "bce", "AUC", "binary_focal_crossentropy", "dice", "precision", "Recall"),
        *("true_positives", "BinaryIoU", "categorical_accuracy"),
    ),
    "labels": ("accuracy", "sparse_categorical_crossentropy", "sparse_top_k_categorical_accuracy"),
}


@pytest.mark.skipif(not active.trains, reason="the backend does not train")
@pytest.mark.parametrize("kind", ["numbers", "labels"])
def test_metrics_by_name_in_compile(kind: str) -> None:
    """A step with all of them is recorded, so nothing asks for a value meanwhile."""
    rng = np.random.default_rng(0)
    x = rng.random((8, 4)).astype("float32")
    y = rng.random((8, 3)).round().astype("float32") if kind == "numbers" else rng.integers(0, 3, 8).astype("int32")
    model = unidl.Sequential([unidl.Input((4,)), unidl.layers.Dense(3, activation="softmax")])
    loss = "squared_hinge" if kind == "numbers" else "sparse_categorical_crossentropy"
    names = list(NAMES[kind])
    model.compile(optimizer="sgd", loss=loss, metrics=names)
    history = model.fit(x, y, batch_size=4, epochs=1, verbose=0).history
    assert set(history) == {"loss", *names}
    assert all(np.isfinite(v).all() for values in history.values() for v in values)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: metrics.FBetaScore(average="mean"), "'mean'"),
        (lambda: metrics.FBetaScore(beta=1), "`beta`"),
        (lambda: metrics.F1Score(threshold=2.0), "`threshold`"),
        (lambda: metrics.F1Score().update_state(np.zeros(3), np.zeros(3)), r"\(3,\)"),
        (lambda: metrics.R2Score(class_aggregation="sum"), "'sum'"),
        (lambda: metrics.R2Score(num_regressors=-1), "-1"),
        (lambda: metrics.IoU(2, [2]), "from 0 to 1"),
        (lambda: metrics.PrecisionAtRecall(1.5), "`recall`.*1.5"),
        (lambda: metrics.SensitivityAtSpecificity(0.5, num_thresholds=0), "`num_thresholds`"),
        (lambda: metrics.Precision(class_id=1).update_state(np.zeros(3), np.zeros(3)), "`class_id`"),
        (lambda: metrics.Mean().update_state(np.zeros((2, 2)), np.zeros((2, 2, 2))), r"\(2, 2, 2\)"),
        (lambda: metrics.Precision().update_state(np.zeros((2, 2)), np.zeros((2, 3))), r"\(2, 3\)"),
    ],
)
def test_errors_say_what_came(make: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


@pytest.mark.once
def test_registered_functions_are_found_by_their_names() -> None:
    @unidl.saving.register_keras_serializable("metrics_test", "halved")
    def halved(y_true: Any, y_pred: Any) -> Any:
        return ops.mean(ops.subtract(y_true, y_pred), -1) / 2

    metric = metrics.MeanMetricWrapper(halved, name="halved")
    again = metrics.deserialize(metrics.serialize(metric))
    again.update_state(np.ones((2, 3), "float32"), np.zeros((2, 3), "float32"))
    assert number(again.result()) == 0.5
    assert metrics.get("metrics_test>halved") is halved


def test_labels_may_have_other_dimensions_than_predictions_of_as_many_samples() -> None:
    labels = np.array([[0], [2]])
    scores = np.array([[[0.9, 0.1, 0.0], [0.8, 0.15, 0.05]]], "float32")
    np.testing.assert_array_equal(number(metrics.sparse_categorical_accuracy(labels, scores)), [[1.0], [0.0]])
