"""`ai.onnx.ml`: scaling, encoding, linear models and trees."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl.interchange.onnx._tensors import text
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import MICROSOFT, ML, operator
from unidl.interchange.onnx.importing._values import dtype_of, shape_of


@operator("Binarizer", domain=ML)
def _binarizer(call: Call, x: Any) -> Any:
    return ops.cast(ops.greater(x, call.get("threshold", 0.0)), dtype_of(x))


@operator("Scaler", domain=ML)
def _scaler(call: Call, x: Any) -> Any:
    offset, scale = (np.asarray(call.get(n), np.float32) for n in ("offset", "scale"))
    return ops.multiply(ops.subtract(ops.cast(x, "float32"), offset), scale)


@operator("Normalizer", domain=ML)
def _normalizer(call: Call, x: Any) -> Any:
    x, kind = ops.cast(x, "float32"), call.get("norm", "MAX")
    if kind == "MAX":
        size = ops.max(x, -1, True)
    elif kind == "L1":
        size = ops.sum(ops.absolute(x), -1, True)
    else:
        size = ops.sqrt(ops.sum(ops.square(x), -1, True))
    return ops.divide(x, ops.where(ops.equal(size, 0.0), ops.ones_like(size), size))


@operator("Imputer", domain=ML)
def _imputer(call: Call, x: Any) -> Any:
    floats = call.get("imputed_value_floats")
    values = np.asarray(floats or call.get("imputed_value_int64s"), dtype_of(x))
    replaced = call.get("replaced_value_float" if floats else "replaced_value_int64", 0)
    missing = ops.isnan(x) if floats and np.isnan(replaced) else ops.equal(x, replaced)
    return ops.where(missing, values, x)


@operator("FeatureVectorizer", domain=ML)
def _feature_vectorizer(call: Call, *xs: Any) -> Any:
    return ops.concatenate([ops.cast(ops.reshape(x, (shape_of(x)[0], -1)), "float32") for x in xs], 1)


@operator("OneHotEncoder", domain=ML)
def _one_hot_encoder(call: Call, x: Any) -> Any:
    classes = call.get("cats_int64s") or call.get("cats_strings")
    array = call.array(x, "the categories")
    hot = (array[..., None] == np.array(classes, object if isinstance(classes[0], str) else None)).astype(np.float32)
    if not call.get("zeros", 1) and not hot.any(-1).all():
        raise call.error("an element is none of the categories")
    return hot


@operator("LabelEncoder", domain=ML)
def _label_encoder(call: Call, x: Any) -> Any:
    """Each element replaced by the value that belongs to it as a key."""
    array = call.array(x, "the labels")
    return _replaced(array, *encoding(call, array.dtype == object))


@operator("CategoryMapper", domain=ML)
def _category_mapper(call: Call, x: Any) -> Any:
    """Texts for integers, or integers for texts, by two lists of equal length."""
    array = call.array(x, "the categories")
    texts, integers = call.need("cats_strings"), call.need("cats_int64s")
    if len(texts) != len(integers):
        raise call.error(f"there are {len(texts)} strings for {len(integers)} integers")
    if array.dtype == object:
        return _replaced(array, texts, integers, call.get("default_int64", -1))
    return _replaced(array, integers, texts, call.get("default_string", "_Unused"))


def _replaced(array: np.ndarray, keys: Any, values: Any, default: Any) -> np.ndarray:
    table = {_key(k): v for k, v in zip(keys, values, strict=True)}
    found = [table.get(_key(v), default) for v in array.reshape(-1).tolist()]
    if isinstance(values[0], str):
        return text(found).reshape(array.shape)
    return np.array(found, numbers_dtype(values)).reshape(array.shape)


def encoding(call: Call, of_text: bool) -> tuple[Any, Any, Any]:
    """Keys and values of a LabelEncoder, and the value for other keys."""
    if call.has("classes_strings"):
        keys: Any = call.get("classes_strings")
        values: Any = list(range(len(keys)))
        if not of_text:
            keys, values = values, keys
    else:
        keys, values = (_listed(call, what) for what in ("keys", "values"))
    return keys, values, _default(call, values)


def numbers_dtype(values: Any) -> Any:
    """The dtype of a LabelEncoder's values that are numbers: an attribute, a list of ints or one of floats."""
    return getattr(values, "dtype", np.int64 if isinstance(values[0], int) else np.float32)


def _key(value: Any) -> Any:
    return "nan" if isinstance(value, float) and value != value else value


def _listed(call: Call, what: str) -> Any:
    for name in ("strings", "int64s", "floats"):
        if call.has(f"{what}_{name}"):
            return call.get(f"{what}_{name}")
    return call.need(f"{what}_tensor").reshape(-1)


def _default(call: Call, values: Any) -> Any:
    if call.has("default_tensor"):
        return call.get("default_tensor").reshape(-1)[0]
    if isinstance(values[0], str):
        return call.get("default_string", "_Unused")
    if isinstance(values[0], (int, np.integer)):
        return call.get("default_int64", -1)
    return call.get("default_float", -0.0)


def _linear(call: Call, x: Any, rows: int) -> Any:
    weights = np.asarray(call.need("coefficients"), np.float32).reshape(rows, -1)
    y = ops.matmul(ops.cast(x, "float32"), weights.T)
    bias = call.get("intercepts")
    return y if not bias else ops.add(y, np.asarray(bias, np.float32))


def transformed(scores: Any, how: str) -> Any:
    if how == "SOFTMAX":
        return ops.softmax(scores, -1)
    if how == "LOGISTIC":
        return ops.sigmoid(scores)
    if how == "SOFTMAX_ZERO":
        zero = ops.equal(scores, 0.0)
        return ops.where(zero, ops.zeros_like(scores), ops.softmax(ops.where(zero, -np.inf, scores), -1))
    if how == "PROBIT":
        return ops.multiply(ops.erfinv(ops.subtract(ops.multiply(scores, 2.0), 1.0)), float(np.sqrt(2)))
    return scores


@operator("LinearRegressor", domain=ML)
def _linear_regressor(call: Call, x: Any) -> Any:
    return transformed(_linear(call, x, call.get("targets", 1)), call.get("post_transform", "NONE"))


@operator("LinearClassifier", domain=ML)
def _linear_classifier(call: Call, x: Any) -> Any:
    labels = call.get("classlabels_ints") or call.get("classlabels_strings")
    rows, post = len(call.get("intercepts") or labels), call.get("post_transform", "NONE")
    scores = _linear(call, x, rows)
    if rows == 1 and len(labels) == 2:
        positive = ops.squeeze(ops.greater(scores, 0.0), -1)
        return labelled(call, ops.cast(positive, "int64"), labels), of_two_classes(
            scores, post, ops.subtract(1.0, scores)
        )
    return labelled(call, ops.argmax(scores, -1), labels), transformed(scores, post)


def of_two_classes(positive: Any, post: str, other: Any) -> Any:
    """Scores of two classes, as onnxruntime makes them of that of the second; `other` is what the first has."""
    if post == "LOGISTIC":
        positive, other = ops.sigmoid(positive), ops.sigmoid(ops.negative(positive))
    return ops.concatenate([other, positive], -1)


def labelled(call: Call, places: Any, labels: Any) -> Any:
    if isinstance(labels[0], str):
        return text([labels[i] for i in call.array(places, "the class").tolist()])
    return ops.take(np.asarray(labels, np.int64), places, 0)


# -- trees -----------------------------------------------------------------------------------------

_COMPARISONS: dict[str, Any] = {
    "BRANCH_LEQ": np.less_equal, "BRANCH_LT": np.less, "BRANCH_GTE": np.greater_equal, "BRANCH_GT": np.greater,
    "BRANCH_EQ": np.equal, "BRANCH_NEQ": np.not_equal,
}  # fmt: skip


def _walk(x: np.ndarray, step: Any, root: int, depth: int) -> np.ndarray:
    """The leaf that each row reaches; `step` gives the next node of rows, or the same at a leaf."""
    place = np.full(len(x), root)
    for _ in range(depth):
        following = step(x, place)
        if (following == place).all():
            break
        place = following
    return place


def _old_trees(call: Call, x: np.ndarray) -> tuple[dict[tuple[int, int], int], np.ndarray]:
    """Leaves (rows, trees) of the parallel lists of TreeEnsembleRegressor and -Classifier, as node numbers."""
    trees, nodes = call.need("nodes_treeids"), call.need("nodes_nodeids")
    index = {(t, n): i for i, (t, n) in enumerate(zip(trees, nodes, strict=True))}
    modes = call.need("nodes_modes")
    features = np.asarray(call.need("nodes_featureids"))
    bounds = call.get("nodes_values_as_tensor")
    bounds = np.asarray(call.get("nodes_values") if bounds is None else bounds)
    kinds = np.array(modes, object)
    leaf = kinds == "LEAF"
    yes, no = (
        np.array([i if leaf[i] else index[trees[i], n] for i, n in enumerate(call.need(name))])
        for name in ("nodes_truenodeids", "nodes_falsenodeids")
    )
    missing = np.asarray(call.get("nodes_missing_value_tracks_true") or [0] * len(nodes), bool)

    def step(x: np.ndarray, place: np.ndarray) -> np.ndarray:
        value = x[np.arange(len(x)), features[place]]
        taken = np.zeros(len(x), bool)
        for name, compare in _COMPARISONS.items():
            here = kinds[place] == name
            taken[here] = compare(value[here], bounds[place][here])
        taken |= np.isnan(value) & missing[place]
        return np.where(leaf[place], place, np.where(taken, yes[place], no[place]))

    roots = [index[t, min(n for u, n in index if u == t)] for t in dict.fromkeys(trees)]
    return index, np.stack([_walk(x, step, root, len(nodes)) for root in roots], 1)


def _tree_scores(call: Call, x: Any, kind: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums (or other aggregates) of the weights of the leaves that each row reaches, and whether there are any."""
    array = call.array(x, "the features")
    index, leaves = _old_trees(call, array)
    weights = call.get(f"{kind}_weights_as_tensor")
    weights = np.asarray(call.get(f"{kind}_weights") if weights is None else weights)
    table: dict[int, list[tuple[int, float]]] = {}
    for t, n, c, w in zip(
        call.need(f"{kind}_treeids"), call.need(f"{kind}_nodeids"), call.need(f"{kind}_ids"), weights, strict=True
    ):
        table.setdefault(index[t, n], []).append((c, float(w)))
    how = call.get("aggregate_function", "SUM")
    scores, found = np.zeros((len(array), count)), np.zeros((len(array), count), bool)
    for row, reached in enumerate(leaves):
        for leaf in reached:
            for c, w in table.get(int(leaf), ()):
                old = scores[row, c] if found[row, c] else {"MIN": np.inf, "MAX": -np.inf}.get(how, 0.0)
                scores[row, c] = min(old, w) if how == "MIN" else max(old, w) if how == "MAX" else old + w
                found[row, c] = True
    return scores / leaves.shape[1] if how == "AVERAGE" else scores, found


def _base_values(call: Call) -> np.ndarray:
    base = call.get("base_values_as_tensor")
    base = call.get("base_values") if base is None else base
    return np.zeros(0, np.float32) if base is None else np.asarray(base)


@operator("TreeEnsembleRegressor", domain=ML)
def _tree_ensemble_regressor(call: Call, x: Any) -> Any:
    scores, _ = _tree_scores(call, x, "target", call.get("n_targets", 1))
    base = _base_values(call)
    return transformed((scores + base if base.size else scores).astype(np.float32), call.get("post_transform", "NONE"))


@operator("TreeEnsembleClassifier", domain=ML)
def _tree_ensemble_classifier(call: Call, x: Any) -> Any:
    labels = call.get("classlabels_int64s") or call.get("classlabels_strings")
    scores, found = _tree_scores(call, x, "class", len(labels))
    base, post = _base_values(call), call.get("post_transform", "NONE")
    if len(labels) != 2:
        scores = (scores + base if base.size else scores).astype(np.float32)
        return labelled(call, ops.argmax(scores, -1), labels), transformed(scores, post)
    return _two_classes(call, scores, found, base, labels, post)


def _two_classes(
    call: Call, scores: np.ndarray, found: np.ndarray, base: np.ndarray, labels: Any, post: str
) -> tuple[Any, Any]:
    """As onnxruntime: the second class wins by its own score; where it has none, the first one's stands for it."""
    weights = call.get("class_weights_as_tensor")
    weights = np.asarray(call.get("class_weights") if weights is None else weights)
    likely = bool((weights >= 0).all())  # weights are probabilities
    both = found[:, 1:] | (len(base) == 2)
    scores = scores.astype(np.float32)
    if len(base):
        scores = scores + np.asarray([*base, 0.0][:2], np.float32)
    positive = np.where(both, scores[:, 1:], scores[:, :1])
    single = len(set(call.need("class_ids"))) == 1
    chosen = (positive[:, 0] > (0.5 if likely and single else 0.0)).astype(np.int64)
    paired = of_two_classes(positive, post, 1 - positive if likely and single else -positive)
    return labelled(call, chosen, labels), ops.where(both, transformed(scores, post), paired)


@operator("TreeEnsemble", 5, domain=ML)
def _tree_ensemble(call: Call, x: Any) -> Any:
    """Trees in the compact form: inner nodes and leaves in lists of their own."""
    array = call.array(x, "the features")
    modes, features = np.asarray(call.need("nodes_modes")), np.asarray(call.need("nodes_featureids"))
    splits = call.need("nodes_splits")
    members = call.get("membership_values")
    sets = _member_sets(members)
    count = len(modes)
    kinds = list(_COMPARISONS)
    inner_yes, inner_no = np.asarray(call.need("nodes_truenodeids")), np.asarray(call.need("nodes_falsenodeids"))
    yes = np.where(np.asarray(call.need("nodes_trueleafs"), bool), inner_yes + count, inner_yes)
    no = np.where(np.asarray(call.need("nodes_falseleafs"), bool), inner_no + count, inner_no)
    missing = np.asarray(call.get("nodes_missing_value_tracks_true") or [0] * count, bool)
    member_of = np.cumsum(modes == 6) - 1

    def step(x: np.ndarray, place: np.ndarray) -> np.ndarray:
        inner = np.minimum(place, count - 1)
        value = x[np.arange(len(x)), features[inner]]
        taken = np.zeros(len(x), bool)
        for code, name in enumerate(kinds):
            here = modes[inner] == code
            taken[here] = _COMPARISONS[name](value[here], splits[inner][here])
        for i in np.flatnonzero(modes[inner] == 6):
            taken[i] = float(value[i]) in sets[member_of[inner[i]]]
        taken |= np.isnan(value) & missing[inner]
        return np.where(place >= count, place, np.where(taken, yes[inner], no[inner]))

    weights, targets = call.need("leaf_weights"), np.asarray(call.need("leaf_targetids"))
    how = call.get("aggregate_function", 1)
    leaves = np.stack([_walk(array, step, root, count + 1) for root in call.need("tree_roots")], 1) - count
    scores = np.full((len(array), call.get("n_targets", 1)), {2: np.inf, 3: -np.inf}.get(how, 0.0))
    found = np.zeros(scores.shape, bool)
    gather: Any = {2: np.minimum, 3: np.maximum}.get(how, np.add)
    for column in leaves.T:
        gather.at(scores, (np.arange(len(array)), targets[column]), weights[column])
        found[np.arange(len(array)), targets[column]] = True
    scores = np.where(found, scores, 0.0)
    if how == 0:
        scores /= leaves.shape[1]
    post = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")[call.get("post_transform", 0)]
    result = scores.astype(array.dtype)
    return result if post == "NONE" else transformed(result, post)


def _member_sets(values: Any) -> list[set[float]]:
    """Sets of values, each ended by a NaN."""
    sets: list[set[float]] = [set()]
    for value in [] if values is None else np.asarray(values).reshape(-1).tolist():
        if value != value:
            sets.append(set())
        else:
            sets[-1].add(float(value))
    return sets


@operator("CDist", domain=MICROSOFT)
def _distances(call: Call, a: Any, b: Any) -> Any:
    """Distances of each row of `a` to each row of `b`."""
    metric = call.get("metric", "sqeuclidean")
    if metric not in ("sqeuclidean", "euclidean"):
        raise call.error(f"the metric {metric!r} is unknown; known are 'sqeuclidean' and 'euclidean'")
    squares = ops.sum(ops.square(ops.subtract(ops.expand_dims(a, 1), ops.expand_dims(b, 0))), -1)
    return squares if metric == "sqeuclidean" else ops.sqrt(squares)


__all__ = ["labelled", "of_two_classes", "transformed"]
