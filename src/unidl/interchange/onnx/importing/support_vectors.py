"""`ai.onnx.ml`: support vector machines."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import ML, operator
from unidl.interchange.onnx.importing.classical import labelled, of_two_classes, transformed


def _kernel(call: Call, x: Any, vectors: np.ndarray) -> Any:
    """Kernels of rows (batch, features) with vectors (count, features): (batch, count)."""
    gamma, shift, degree = [*call.get("kernel_params", []), 0.0, 0.0, 0.0][:3]
    kind = call.get("kernel_type", "LINEAR")
    products = ops.matmul(x, vectors.T)
    if kind == "LINEAR":
        return products
    if kind == "RBF":
        squares = ops.sum(ops.square(x), -1, True)
        distances = ops.add(ops.subtract(squares, ops.multiply(products, 2.0)), np.square(vectors).sum(-1))
        return ops.exp(ops.multiply(distances, -gamma))
    affine = ops.add(ops.multiply(products, gamma), shift)
    if kind == "POLY":
        return ops.power(affine, degree)
    if kind == "SIGMOID":
        return ops.tanh(affine)
    raise call.error(f"the kernel {kind!r} is unknown; known are LINEAR, POLY, RBF, SIGMOID")


def _array(call: Call, name: str, rows: int) -> np.ndarray:
    """An attribute as (rows, …)."""
    values = np.asarray(call.need(name), np.float32)
    if rows < 1 or values.size % rows:
        raise call.error(f"{name} has {values.size} numbers, which are not a whole number of {rows} rows")
    return values.reshape(rows, -1)


@operator("SVMRegressor", domain=ML)
def _svm_regressor(call: Call, x: Any) -> Any:
    x, count = ops.cast(x, "float32"), call.get("n_supports", 0)
    vectors = _array(call, "support_vectors", count) if count else _array(call, "coefficients", 1)
    weights = _array(call, "coefficients", 1) if count else np.ones((1, 1), np.float32)
    y = ops.add(ops.matmul(_kernel(call, x, vectors), weights.T), float(call.need("rho")[0]))
    if call.get("one_class", 0):
        return ops.subtract(ops.multiply(ops.cast(ops.greater(y, 0.0), "float32"), 2.0), 1.0)
    return transformed(y, call.get("post_transform", "NONE"))


@operator("SVMClassifier", domain=ML)
def _svm_classifier(call: Call, x: Any) -> Any:
    labels = call.get("classlabels_ints") or call.get("classlabels_strings")
    x, rho, post = ops.cast(x, "float32"), call.need("rho"), call.get("post_transform", "NONE")
    each = call.get("vectors_per_class")
    if not each:
        weights = _array(call, "coefficients", len(labels))
        scores = ops.add(_kernel(call, x, weights), float(rho[0]))
        return labelled(call, _of_scores(scores, weights), labels), transformed(scores, post)
    classes = len(each)
    pairs = classes * (classes - 1) // 2
    if len(rho) != pairs:
        raise call.error(f"rho has {len(rho)} numbers, but {classes} classes have {pairs} pairs")
    kernels = _kernel(call, x, _array(call, "support_vectors", sum(each)))
    scores = ops.add(ops.matmul(kernels, _of_pairs(call, each)), np.asarray(rho, np.float32))
    won = ops.cast(ops.greater(scores, 0.0), "float32")
    firsts, seconds = np.eye(classes, dtype=np.float32)[np.stack(np.triu_indices(classes, 1))]
    votes = ops.add(ops.matmul(won, firsts), ops.matmul(ops.subtract(1.0, won), seconds))
    chosen = labelled(call, ops.argmax(votes, -1), labels)
    if call.get("prob_a"):
        return chosen, transformed(_coupled(call.array(_sure(call, scores), "the scores"), classes), post)
    if classes > 2:
        return chosen, transformed(scores, post)
    other = ops.negative(scores) if post == "NONE" else ops.subtract(1.0, scores)
    return chosen, of_two_classes(scores, post, other)


def _of_scores(scores: Any, weights: np.ndarray) -> Any:
    """The class of each row; as in onnxruntime the second of two classes wins whenever a score is large enough."""
    best = ops.argmax(scores, -1)
    if len(weights) != 2:
        return best
    top = ops.max(scores, -1)
    large = ops.greater_equal(top, 0.5) if (weights >= 0).all() else ops.greater(top, 0.0)
    return ops.where(large, ops.ones_like(best), best)


def _of_pairs(call: Call, each: list[int]) -> np.ndarray:
    """The weights of support vectors in the decision between each pair of classes: (vectors, pairs).

    A class's vectors have one weight against each of the other classes, in order (libsvm's `sv_coef`).
    """
    weights = _array(call, "coefficients", len(each) - 1)
    starts = np.cumsum([0, *each])
    pairs = np.stack(np.triu_indices(len(each), 1), 1).tolist()
    table = np.zeros((weights.shape[1], len(pairs)), np.float32)
    for column, (i, j) in enumerate(pairs):
        own, other = slice(starts[i], starts[i + 1]), slice(starts[j], starts[j + 1])
        table[own, column], table[other, column] = weights[j - 1, own], weights[i, other]
    return table


def _sure(call: Call, scores: Any) -> Any:
    """Platt's estimate of how probable the first class of each pair is."""
    a, b = (np.asarray(call.need(n), np.float32) for n in ("prob_a", "prob_b"))
    return ops.clip(ops.sigmoid(ops.negative(ops.add(ops.multiply(scores, a), b))), 1e-7, 1 - 1e-7)


def _coupled(pairwise: np.ndarray, classes: int) -> np.ndarray:
    """Probabilities of classes from those of pairs (batch, pairs): Wu, Lin and Weng (JMLR 2004), algorithm 2.

    It minimizes the sum over pairs of ``(r_ji p_i - r_ij p_j)²``, one class after the other, until the gradients
    differ by less than 0.005 / classes; results depend on when it stops, and this is when libsvm does.
    """
    rows = len(pairwise)
    r = np.zeros((rows, classes, classes))
    first, second = np.triu_indices(classes, 1)
    r[:, first, second], r[:, second, first] = pairwise, 1 - pairwise
    q = -r * r.swapaxes(1, 2)
    places = np.arange(classes)
    q[:, places, places] = (r**2).sum(1)
    p = np.full((rows, classes), 1 / classes)
    for _ in range(max(100, classes)):
        slopes = np.einsum("bij,bj->bi", q, p)
        mean = (p * slopes).sum(-1)
        going = np.abs(slopes - mean[:, None]).max(-1, initial=0.0) >= 0.005 / classes
        if not going.any():
            break
        for t in places:
            change = np.where(going, (mean - slopes[:, t]) / q[:, t, t], 0.0)
            p[:, t] += change
            p /= (1 + change)[:, None]
            slopes = np.einsum("bij,bj->bi", q, p)
            mean = (p * slopes).sum(-1)
    return p.astype(np.float32)
