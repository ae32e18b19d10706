"""Losses and metrics to be compared with Keras: what is made, and with what data.

Imported by the tests, and by the process that runs Keras (`keras_losses_oracle`): nothing of unidl here.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

REDUCTIONS = ("sum_over_batch_size", "sum", "mean_with_sample_weight", None)
TABLE: Any = ((4, 5), (2, 3, 5))


@dataclass(frozen=True)
class Case:
    """One loss or metric.

    Attributes:
        name: of the class.
        kind: of the data, a key of `KINDS`.
        kwargs: arguments of the class.
        shapes: of the predictions; the first dimension is the batch.
        weights: whether sample weights and masks make sense.
    """

    name: str
    kind: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    shapes: tuple[tuple[int, ...], ...] = TABLE
    weights: bool = True

    @property
    def id(self) -> str:
        return f"{self.name}-{self.kind}" + "".join(f"-{k}={v}" for k, v in self.kwargs.items()).replace(" ", "")


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return (e / e.sum(-1, keepdims=True)).astype("float32")


def _labels(rng: Any, shape: Any) -> np.ndarray:
    return rng.integers(0, shape[-1], shape[:-1]).astype("int32")


def _one_hot(rng: Any, shape: Any) -> np.ndarray:
    return np.eye(shape[-1], dtype="float32")[_labels(rng, shape)]


def _normal(rng: Any, shape: Any) -> np.ndarray:
    return rng.normal(size=shape).astype("float32")


def _bits(rng: Any, shape: Any) -> np.ndarray:
    return (rng.random(shape) > 0.5).astype("float32")


def _unit(rng: Any, shape: Any) -> np.ndarray:
    x = _normal(rng, shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _some_ignored(rng: Any, shape: Any) -> np.ndarray:
    labels = _labels(rng, shape)
    labels.flat[0], labels.flat[-1] = 2, -1
    return labels


#: Kind of data: targets, and predictions, from a generator and the shape of the predictions.
KINDS: dict[str, tuple[Callable[[Any, Any], np.ndarray], Callable[[Any, Any], np.ndarray]]] = {
    "real": (_normal, _normal),
    "column": (lambda r, s: _normal(r, s[:-1]), _normal),
    "positive": (lambda r, s: r.random(s).astype("float32") + 0.05, lambda r, s: r.random(s).astype("float32") + 0.05),
    "counts": (lambda r, s: r.integers(0, 4, s).astype("float32"), lambda r, s: r.random(s).astype("float32") + 0.1),
    "signs": (lambda r, s: 2 * _bits(r, s) - 1, _normal),
    "bits_real": (_bits, _normal),
    "bits": (_bits, lambda r, s: r.random(s).astype("float32")),
    "bits_steps": (_bits, lambda r, s: (r.integers(0, 9, s) / 8).astype("float32")),
    "distribution": (lambda r, s: _softmax(_normal(r, s)), lambda r, s: _softmax(_normal(r, s))),
    "one_hot": (_one_hot, lambda r, s: _softmax(_normal(r, s))),
    "one_hot_real": (_one_hot, _normal),
    "labels": (_labels, lambda r, s: _softmax(_normal(r, s))),
    "labels_real": (_labels, _normal),
    "labels_column": (lambda r, s: _labels(r, s)[..., None], lambda r, s: _softmax(_normal(r, s))),
    "ignored": (_some_ignored, lambda r, s: _softmax(_normal(r, s))),
    "ids": (lambda r, s: r.integers(0, 3, s), lambda r, s: r.integers(0, 3, s)),
    "sorted_ids": (_labels, lambda r, s: np.argsort(r.random(s), -1).astype("int32")),
    "embeddings": (lambda r, s: r.integers(0, 2, s[:1]).astype("int32"), _unit),
    "sequences": (lambda r, s: r.integers(1, s[-1], (s[0], 2)).astype("int32"), _normal),
}
FLAT = ((4, 5),)

LOSSES = [
    *(Case(n, "real") for n in ("MeanSquaredError", "MeanAbsoluteError", "LogCosh", "Huber", "CosineSimilarity")),
    *(Case(n, "column", {}, ((4, 1), (2, 3, 1))) for n in ("MeanSquaredError", "Huber", "LogCosh")),
    Case("MeanAbsolutePercentageError", "positive"),
    Case("MeanSquaredLogarithmicError", "positive"),
    Case("Huber", "real", {"delta": 0.3}),
    Case("CosineSimilarity", "real", {"axis": 1}),
    *(Case(n, k) for n in ("Hinge", "SquaredHinge") for k in ("signs", "bits_real")),
    *(Case("CategoricalHinge", k) for k in ("one_hot_real", "one_hot")),
    Case("KLDivergence", "distribution"),
    Case("Poisson", "counts"),
    *(
        Case(n, "one_hot", k)
        for n in ("CategoricalCrossentropy", "CategoricalFocalCrossentropy")
        for k in ({}, {"label_smoothing": 0.1})
    ),
    *(
        Case(n, "one_hot_real", {"from_logits": True})
        for n in ("CategoricalCrossentropy", "CategoricalFocalCrossentropy")
    ),
    Case("CategoricalCrossentropy", "distribution", {"axis": 1}),
    Case("CategoricalFocalCrossentropy", "one_hot", {"alpha": 0.5, "gamma": 1.5}),
    *(Case("SparseCategoricalCrossentropy", k) for k in ("labels", "labels_column")),
    Case("SparseCategoricalCrossentropy", "labels_real", {"from_logits": True}),
    Case("SparseCategoricalCrossentropy", "ignored", {"ignore_class": -1}, ((4, 5), (2, 3, 5))),
    *(
        Case(n, "bits", k)
        for n in ("BinaryCrossentropy", "BinaryFocalCrossentropy")
        for k in ({}, {"label_smoothing": 0.2})
    ),
    *(Case(n, "bits_real", {"from_logits": True}) for n in ("BinaryCrossentropy", "BinaryFocalCrossentropy")),
    Case("BinaryFocalCrossentropy", "bits", {"apply_class_balancing": True, "alpha": 0.3, "gamma": 3.0}),
    Case("BinaryCrossentropy", "bits", {"axis": 1}),
    *(Case("CategoricalGeneralizedCrossEntropy", "labels", {"q": q}) for q in (0.5, 0.8)),
    *(Case(n, "bits", {}) for n in ("Dice", "Tversky")),
    *(Case(n, "bits", {"axis": (1, 2)}, ((3, 2, 4),)) for n in ("Dice", "Tversky")),
    Case("Tversky", "bits", {"alpha": 0.3, "beta": 0.9, "axis": -1}),
    Case("Circle", "embeddings", {}, ((8, 4),)),
    Case("Circle", "embeddings", {"gamma": 8.0, "margin": 0.2, "remove_diagonal": False}, ((8, 4),)),
    Case("CTC", "sequences", {}, ((3, 6, 4),)),
]

AT = ("SensitivityAtSpecificity", "SpecificityAtSensitivity", "PrecisionAtRecall", "RecallAtPrecision")
COUNTS = ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives")
LINE: Any = ((12,), (6, 3))
METRICS = [
    *(Case(n, "real") for n in ("MeanSquaredError", "MeanAbsoluteError", "LogCoshError", "RootMeanSquaredError")),
    *(Case(n, "column", {}, ((4, 1), (2, 3, 1))) for n in ("MeanSquaredError", "RootMeanSquaredError")),
    *(Case(n, "positive") for n in ("MeanAbsolutePercentageError", "MeanSquaredLogarithmicError")),
    Case("CosineSimilarity", "real"),
    Case("CosineSimilarity", "real", {"axis": 1}, ((4, 5),)),
    *(Case(n, k) for n in ("Hinge", "SquaredHinge") for k in ("signs", "bits_real")),
    Case("CategoricalHinge", "one_hot_real"),
    Case("KLDivergence", "distribution"),
    Case("Poisson", "counts"),
    *(Case(n, "real") for n in ("PearsonCorrelation", "ConcordanceCorrelation")),
    Case("PearsonCorrelation", "real", {"axis": 1}, ((2, 5, 3),), False),
    Case("BinaryCrossentropy", "bits", {"label_smoothing": 0.1}),
    Case("BinaryCrossentropy", "bits_real", {"from_logits": True}),
    Case("CategoricalCrossentropy", "one_hot", {"label_smoothing": 0.1}),
    Case("CategoricalCrossentropy", "one_hot_real", {"from_logits": True}),
    Case("SparseCategoricalCrossentropy", "labels"),
    Case("SparseCategoricalCrossentropy", "labels_real", {"from_logits": True}),
    Case("SparseCategoricalCrossentropy", "ignored", {"ignore_class": -1}),
    Case("Accuracy", "ids"),
    *(Case("BinaryAccuracy", "bits", k) for k in ({}, {"threshold": 0.3})),
    Case("CategoricalAccuracy", "one_hot"),
    *(Case("SparseCategoricalAccuracy", k) for k in ("labels", "labels_column")),
    Case("TopKCategoricalAccuracy", "one_hot", {"k": 2}),
    *(Case("SparseTopKCategoricalAccuracy", k, {"k": 2}) for k in ("labels", "labels_column")),
    Case("SparseTopKCategoricalAccuracy", "sorted_ids", {"k": 2, "from_sorted_ids": True}),
    *(
        Case(n, "bits_steps", {"thresholds": t}, LINE)
        for n in COUNTS
        for t in (None, 0.25, [0.2, 0.9], [0.0, 0.5, 1.0])
    ),
    *(
        Case(n, "bits_steps", {"thresholds": t}, LINE)
        for n in ("Precision", "Recall")
        for t in (None, [0.2, 0.9], [0.0, 0.5, 1.0])
    ),
    *(
        Case(n, "bits", k, FLAT)
        for n in ("Precision", "Recall")
        for k in ({"top_k": 2}, {"class_id": 1}, {"top_k": 1, "class_id": 2})
    ),
    *(
        Case(n, k, {n.split("At")[1].lower(): 0.6, "num_thresholds": t}, LINE)
        for n in AT
        for k, t in (("bits", 50), ("bits_steps", 9), ("bits", 1))
    ),
    *(Case(n, "bits", {n.split("At")[1].lower(): 0.5, "class_id": 1}, ((6, 3),)) for n in AT),
    *(
        Case("AUC", "bits", {"num_thresholds": 30, "curve": c, "summation_method": m}, LINE)
        for c in ("ROC", "PR", "PRGAIN")
        for m in ("interpolation", "minoring", "majoring")
    ),
    Case("AUC", "bits_steps", {"thresholds": [0.1, 0.4, 0.8]}, LINE),
    Case("AUC", "bits_steps", {"thresholds": [0.25, 0.5, 0.75]}, LINE),
    *(Case("AUC", "bits", {"num_thresholds": 20, "multi_label": True, "curve": c}, ((6, 3),)) for c in ("ROC", "PR")),
    Case(
        "AUC",
        "bits",
        {"num_thresholds": 20, "multi_label": True, "num_labels": 3, "label_weights": [1.0, 0.5, 2.0]},
        ((6, 3),),
    ),
    Case("AUC", "bits", {"thresholds": [0.1, 0.4, 0.8], "multi_label": True, "num_labels": 3}, ((6, 3),)),
    Case("AUC", "bits", {"num_thresholds": 20, "label_weights": [1.0, 0.5, 2.0]}, ((6, 3),)),
    Case("AUC", "bits_real", {"num_thresholds": 20, "from_logits": True}, LINE),
    *(
        Case("FBetaScore", "bits", {"average": a, "beta": 2.0, "threshold": 0.5}, FLAT)
        for a in (None, "micro", "macro", "weighted")
    ),
    *(Case("F1Score", "one_hot", {"average": a}, FLAT) for a in (None, "micro", "macro", "weighted")),
    *(
        Case("R2Score", "real", {"class_aggregation": a}, FLAT)
        for a in (None, "uniform_average", "variance_weighted_average")
    ),
    Case("R2Score", "real", {"num_regressors": 2}, FLAT),
    Case("IoU", "ids", {"num_classes": 3, "target_class_ids": [0, 2], "dtype": "float32"}, LINE),
    Case("IoU", "ids", {"num_classes": 2, "target_class_ids": [1], "ignore_class": 0}, LINE, False),
    Case("IoU", "labels", {"num_classes": 5, "target_class_ids": [0, 3], "sparse_y_pred": False, "dtype": "float32"}),
    Case("BinaryIoU", "bits", {"threshold": 0.3, "dtype": "float32"}, LINE),
    Case("MeanIoU", "ids", {"num_classes": 3, "dtype": "float32"}, LINE),
    Case("OneHotIoU", "one_hot", {"num_classes": 5, "target_class_ids": [0, 3], "dtype": "float32"}),
    Case("OneHotMeanIoU", "one_hot", {"num_classes": 5, "dtype": "float32"}),
]


def weights_like(case: Case, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of sample weights: that of the values of the function, as Keras wants them."""
    if case.name in ("CTC", "Circle") or case.name.startswith(("AUC", "FBeta", "F1", "R2")) or case.name in AT:
        return shape[:1]
    if "axis" in case.kwargs and isinstance(case.kwargs["axis"], tuple):
        return shape[:1]
    if case.kwargs.get("axis") == 1 and len(shape) > 2:
        return (shape[0], *shape[2:])
    if case.kind == "column":  # the last dimension is dropped, and the mean is over the one before
        return shape[:1]
    if case.kind == "ids" or case.name == "BinaryIoU":
        return shape
    return shape[:-1] if len(shape) > 1 else shape


def data(case: Case, shape: tuple[int, ...], batch: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Targets, predictions, weights and a mask, the same in every process."""
    rng = np.random.default_rng(zlib.crc32(f"{case.id}{shape}{batch}".encode()))
    target, output = (make(rng, shape) for make in KINDS[case.kind])
    weight = (rng.random(weights_like(case, shape)) * 2).astype("float32")
    mask = rng.random(weight.shape) > 0.3
    mask.flat[0], mask.flat[-1] = True, False
    return target, output, weight, mask


def loss_results(case: Case, losses: Any, tensor: Any, masked: Any, array: Any, gradient: Any) -> dict[str, np.ndarray]:
    """All results of a loss, with the functions of either library.

    Args:
        tensor, array: from and to NumPy.
        masked: attaches a mask to a tensor.
        gradient: of a function of one tensor, there; None without gradients.
    """
    found = {}
    for shape in case.shapes:
        target, output, weight, mask = data(case, shape)
        for reduction in REDUCTIONS:
            loss = getattr(losses, case.name)(reduction=reduction, **case.kwargs)
            key = f"{shape}/{reduction}"
            found[key] = array(loss(tensor(target), tensor(output)))
            scalar = case.name in ("Dice", "Tversky") and case.kwargs.get("axis") is None
            if not case.weights or scalar or reduction == "sum":
                continue
            found[f"{key}/weight"] = array(loss(tensor(target), tensor(output), sample_weight=weight))
            found[f"{key}/number"] = array(loss(tensor(target), tensor(output), sample_weight=2.5))
            found[f"{key}/mask"] = array(loss(tensor(target), masked(tensor(output), mask)))
            found[f"{key}/both"] = array(loss(tensor(target), masked(tensor(output), mask), sample_weight=weight))
        if gradient is not None:
            loss = getattr(losses, case.name)(reduction="sum", **case.kwargs)
            found[f"{shape}/gradient"] = array(gradient(lambda p, f=loss, t=target: f(tensor(t), p), tensor(output)))
    return found


def metric_results(case: Case, metrics: Any, tensor: Any, array: Any) -> dict[str, np.ndarray]:
    """State and results of a metric over two batches, without and with weights."""
    found = {}
    for shape in case.shapes:
        for weighted in (False, True)[: 1 + case.weights]:
            metric = getattr(metrics, case.name)(**case.kwargs)
            for batch in (0, 1):
                target, output, weight, _ = data(case, (shape[0] + batch, *shape[1:]), batch)
                weights = (tensor(weight),) if weighted else ()
                metric.update_state(tensor(target), tensor(output), *weights)
                found[f"{shape}/{weighted}/{batch}"] = array(metric.result())
            for variable in metric.variables:
                found[f"{shape}/{weighted}/{variable.name}"] = array(variable)
            metric.reset_state()
            for variable in metric.variables:
                found[f"{shape}/{weighted}/{variable.name}/reset"] = array(variable)
    return found
