"""Losses: values against Keras 3.15's, weights, masks, shapes, configurations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import unidl
from unidl import losses, ops
from unidl.backend import active
from unidl.graph.symbolic import SymbolicTensor, TensorSpec
from unidl.graph.trace import trace


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    target, output = rng.random((4, 5)).astype("float32"), rng.random((4, 5)).astype("float32")
    return target / target.sum(-1, keepdims=True), output / output.sum(-1, keepdims=True), np.array([0, 4, 2, 2])


WEIGHTS = np.array([1.0, 0.0, 2.0, 0.5], "float32")
REDUCTIONS = ("sum_over_batch_size", "sum", "mean_with_sample_weight")
#: Loss, its arguments, whether targets are integers, and what each reduction gives without and with weights.
GOLDEN: list[Any] = [
    ("MeanSquaredError", {}, False, (0.02082311, 0.08329243, 0.02082311), (0.01239564, 0.04958257, 0.01416645)),
    ("MeanAbsoluteError", {}, False, (0.1202105, 0.4808422, 0.1202105), (0.08895291, 0.3558117, 0.1016605)),
    ("Huber", {"delta": 0.1}, False, (0.007658688, 0.03063475, 0.007658688), (0.00527698, 0.02110792, 0.006030835)),
    ("CategoricalCrossentropy", {}, False, (1.822925, 7.291701, 1.822925), (1.55064, 6.202561, 1.77216)),
    (
        "CategoricalCrossentropy",
        {"label_smoothing": 0.1},
        False,
        (1.827757, 7.311027, 1.827757),
        (1.554721, 6.218886, 1.776825),
    ),
    (
        "CategoricalCrossentropy",
        {"from_logits": True},
        False,
        (1.611322, 6.445286, 1.611322),
        (1.405037, 5.620148, 1.605757),
    ),
    ("SparseCategoricalCrossentropy", {}, True, (1.330328, 5.321312, 1.330328), (1.271349, 5.085395, 1.45297)),
    (
        "SparseCategoricalCrossentropy",
        {"from_logits": True},
        True,
        (1.546224, 6.184895, 1.546224),
        (1.382406, 5.529623, 1.579892),
    ),
    (
        "SparseCategoricalCrossentropy",
        {"ignore_class": 2},
        True,
        (1.270955, 2.541909, 1.270955),
        (0.7639951, 1.52799, 1.52799),
    ),
    (
        "BinaryCrossentropy",
        {"label_smoothing": 0.2},
        False,
        (0.6506931, 2.602772, 0.6506931),
        (0.5549641, 2.219856, 0.6342446),
    ),
    (
        "BinaryCrossentropy",
        {"from_logits": True},
        False,
        (0.7588162, 3.035265, 0.7588162),
        (0.662933, 2.651732, 0.7576377),
    ),
]


def number(value: Any) -> float:
    return float(active.to_numpy(ops.convert_to_tensor(value)))


@pytest.mark.parametrize(("name", "kwargs", "sparse", "plain", "weighted"), GOLDEN)
def test_values_are_those_of_keras(name: str, kwargs: Any, sparse: bool, plain: Any, weighted: Any) -> None:
    target, output, labels = data()
    for weights, expected in ((None, plain), (WEIGHTS, weighted)):
        for reduction, value in zip(REDUCTIONS, expected, strict=True):
            loss = getattr(losses, name)(reduction=reduction, **kwargs)
            got = loss(labels if sparse else target, output, sample_weight=weights)
            assert number(got) == pytest.approx(value, rel=2e-5, abs=1e-7), (reduction, weights)
        unreduced = getattr(losses, name)(reduction=None, **kwargs)(labels if sparse else target, output, weights)
        assert tuple(ops.shape(unreduced)) == (4,)
        assert number(ops.sum(unreduced)) == pytest.approx(expected[1], rel=2e-5)


@pytest.mark.parametrize(("name", "kwargs", "sparse", "plain", "weighted"), GOLDEN)
def test_a_recorded_loss_gives_what_the_eager_one_gives(
    name: str, kwargs: Any, sparse: bool, plain: Any, weighted: Any
) -> None:
    target, output, labels = data()
    y = labels.astype("int32") if sparse else target
    loss = getattr(losses, name)(**kwargs)
    specs = [TensorSpec((4, *v.shape[1:]), str(v.dtype)) for v in (y, output)]
    run = active.executable(trace(loss, tuple(specs)))
    (got,) = run(active.to_tensor(y), active.to_tensor(output))
    assert number(got) == pytest.approx(plain[0], rel=2e-5, abs=1e-7)


def test_targets_of_shape_n_and_n_1_are_the_same() -> None:
    y, p = np.array([1.0, 2.0, 4.0], "float32"), np.array([[1.0], [1.0], [1.0]], "float32")
    expected = (0 + 1 + 9) / 3
    for a, b in ((y, p), (y[:, None], p), (y[:, None], p[:, 0])):
        assert number(losses.MeanSquaredError()(a, b)) == pytest.approx(expected)
    labels, output = np.array([[0], [1]]), np.array([[0.9, 0.1], [0.2, 0.8]], "float32")
    loss = losses.SparseCategoricalCrossentropy()
    assert number(loss(labels, output)) == pytest.approx(number(loss(labels[:, 0], output)))
    assert number(loss(labels, output)) == pytest.approx(-(np.log(0.9) + np.log(0.8)) / 2, rel=1e-5)


@pytest.mark.parametrize(
    "shapes", [((4, 1), (4, 3)), ((4, 2), (4, 3)), ((5, 3), (4, 3)), ((3,), (4, 3)), ((2, 4, 3), (4, 3))]
)
@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "binary_crossentropy"])
def test_shapes_that_do_not_fit_are_an_error_that_shows_both(shapes: Any, loss: str) -> None:
    with pytest.raises(ValueError) as caught:
        losses.loss_object(loss)(np.zeros(shapes[0], "float32"), np.zeros(shapes[1], "float32"))
    for shape in shapes:
        assert str(shape) in str(caught.value) or str(list(shape)) in str(caught.value)


def test_weights_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"\(3, 2, 2\)"):
        losses.MeanSquaredError()(np.zeros((3, 2)), np.zeros((3, 2)), sample_weight=np.ones((3, 2, 2)))


def test_categorical_crossentropy_refuses_outputs_of_one_class() -> None:
    with pytest.raises(ValueError, match="binary_crossentropy"):
        losses.CategoricalCrossentropy()(np.zeros((3, 1)), np.zeros((3, 1)))


def test_what_a_mask_hides_does_not_count() -> None:
    output = SymbolicTensor((2, 3, 1), "float32")
    output.mask = SymbolicTensor((2, 3), "bool")
    graph = trace(losses.MeanSquaredError(), (TensorSpec((2, 3, 1), "float32"), output))
    y = np.arange(6, dtype="float32").reshape(2, 3, 1)
    mask = np.array([[True, True, False], [True, False, False]])
    inputs = [active.to_tensor(v) for v in (y, np.zeros_like(y), mask)]
    (got,) = active.executable(graph)(*inputs)
    assert number(got) == pytest.approx((0 + 1 + 9) / 3)


def test_custom_losses() -> None:
    class Cubed(losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return ops.power(ops.subtract(y_pred, y_true), 3)

    y, p = np.array([1.0, 2.0], "float32"), np.array([3.0, 3.0], "float32")
    assert number(Cubed()(y, p)) == pytest.approx(4.5)
    assert Cubed().name == "cubed"
    assert number(losses.loss_object(lambda a, b: ops.subtract(b, a))(y, p)) == pytest.approx(1.5)


def test_names_and_configurations() -> None:
    for name, cls in (("mse", "MeanSquaredError"), ("mean_absolute_error", "MeanAbsoluteError"), ("Huber", "Huber")):
        assert type(losses.loss_object(name)).__name__ == cls
    assert losses.get("MSE") is losses.get("mean_squared_error") is losses.mean_squared_error
    assert type(losses.get("MeanSquaredError")) is losses.MeanSquaredError
    assert losses.get(None) is None
    original = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=3, reduction="sum", name="x")
    again = losses.deserialize(losses.serialize(original))
    assert again.get_config() == original.get_config()
    assert (again.reduction, again.name, again.ignore_class) == ("sum", "x", 3)
    assert losses.get({"class_name": "MeanSquaredError", "config": {"reduction": "sum"}}).reduction == "sum"
    with pytest.raises(ValueError, match=r"Unknown loss 'nonsense'.*mean_squared_error"):
        losses.get("nonsense")
    with pytest.raises(ValueError, match="reduction"):
        losses.MeanSquaredError(reduction="average")


def test_every_short_name_finds_the_function() -> None:
    names = {
        "bce": "binary_crossentropy",
        "kld": "kl_divergence",
        "mape": "mean_absolute_percentage_error",
        "msle": "mean_squared_logarithmic_error",
        "logcosh": "log_cosh",
    }
    for short, name in names.items():
        assert losses.get(short) is getattr(losses, name)
        assert short == "logcosh" or losses.get(short.upper()) is getattr(losses, name)
        made = losses.loss_object(short)
        assert isinstance(made, losses.Loss) and made.fn is getattr(losses, name)  # type: ignore[attr-defined]


@pytest.mark.skipif(not active.trains, reason="the backend has no gradients")
@pytest.mark.parametrize(
    ("loss", "target", "output"),
    [
        (losses.Circle(), [0, 0, 0], np.eye(3)),  # nothing of another class
        (losses.Circle(), [0, 1, 2], np.eye(3)),  # nothing of the same
        (losses.CategoricalGeneralizedCrossEntropy(), [0, 1, 1], [[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]]),
        (losses.BinaryFocalCrossentropy(gamma=0.5), [[1.0, 0.0]], [[1.0, 0.0]]),
        (losses.BinaryFocalCrossentropy(gamma=0.0), [[1.0, 0.0]], [[1.0, 0.0]]),
        (losses.CategoricalFocalCrossentropy(gamma=0.5), [[1.0, 0.0]], [[1.0, 0.0]]),
        (losses.CategoricalFocalCrossentropy(gamma=0.5, from_logits=True), [[1.0, 0.0]], [[90.0, -90.0]]),
        (losses.BinaryFocalCrossentropy(from_logits=True), [[1.0, 0.0]], [[-200.0, 200.0]]),
        (losses.SparseCategoricalCrossentropy(ignore_class=-1), [0, -1], [[0.5, 0.5], [0.0, 0.0]]),
        (losses.CosineSimilarity(), [[0.0, 0.0], [1.0, 2.0]], [[1.0, 2.0], [0.0, 0.0]]),
        (losses.LogCosh(), [[0.0, 0.0]], [[1e30, -1e30]]),
        (losses.KLDivergence(), [[0.0, 1.0]], [[1.0, 0.0]]),
        (losses.Poisson(), [[0.0, 1.0]], [[0.0, 0.0]]),
        (losses.Dice(), np.zeros((2, 2)), np.zeros((2, 2))),
        (losses.Tversky(), np.zeros((2, 2)), np.zeros((2, 2))),
    ],
    ids=lambda v: getattr(v, "name", ""),
)
def test_values_and_gradients_are_finite_at_the_edges(loss: Any, target: Any, output: Any) -> None:
    target = np.array(target, "int32" if isinstance(target[0], int) else "float32")
    output = active.to_tensor(np.array(output, "float32"))
    value, gradient = unidl.value_and_grad(lambda p: ops.sum(loss(target, p)))(output)
    assert np.isfinite(number(value))
    assert np.isfinite(active.to_numpy(gradient)).all()


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_a_loss_computes_in_its_own_dtype(dtype: str) -> None:
    y, p = np.zeros((2, 3), dtype), np.full((2, 3), 300.0, dtype)
    assert number(losses.MeanSquaredError()(y, p)) == 90000  # more than float16 can hold
    assert ops.convert_to_tensor(losses.MeanSquaredError()(y, p)).dtype == ops.zeros((), "float32").dtype
    wide = losses.MeanAbsoluteError(dtype="float64")
    assert wide.dtype == "float64" and wide.get_config()["dtype"] == "float64"
    assert losses.MeanAbsoluteError.from_config(wide.get_config()).dtype == "float64"


def test_plain_lists_and_structures() -> None:
    assert number(losses.MeanSquaredError()([[1, 2]], [[2, 4]])) == pytest.approx(2.5)

    class Both(losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            first = losses.mean_squared_error(y_true["a"], y_pred["a"])
            return ops.add(first, losses.mean_absolute_error(y_true["b"], y_pred["b"]))

    y = {"a": np.zeros((2, 1)), "b": np.zeros((2, 1))}
    p = {"a": np.full((2, 1), 3.0), "b": np.full((2, 1), 4.0)}
    assert number(Both()(y, p)) == pytest.approx(13)


def test_one_weight_for_each_sample_counts_for_all_its_values() -> None:
    y, p = (
        np.zeros((2, 3, 1), "float32"),
        np.array([1.0, 2.0], "float32").reshape(2, 1, 1) * np.ones((2, 3, 1), "float32"),
    )
    weight = np.array([1.0, 3.0], "float32")
    assert number(losses.MeanAbsoluteError()(y, p, weight)) == pytest.approx((1 + 6) / 2)
    loss = losses.MeanAbsoluteError(reduction="mean_with_sample_weight")
    assert number(loss(y, p, weight)) == pytest.approx((1 + 6) / 4)


def test_what_makes_no_sense_is_refused() -> None:
    for make, text in (
        (lambda: losses.CategoricalGeneralizedCrossEntropy(q=1.0), "`q`"),
        (lambda: losses.CategoricalFocalCrossentropy()(np.zeros((2, 1)), np.zeros((2, 1))), "one class"),
        (lambda: losses.categorical_crossentropy(np.zeros((2, 2)), np.zeros((2, 2)), axis=True), "`axis`"),
        (lambda: losses.ctc(np.zeros((2, 3)), np.zeros((2, 3))), r"`y_pred`.*\(2, 3\)"),
        (lambda: losses.Loss()(np.zeros(2), np.zeros(2)), "must define call"),
    ):  # fmt: skip
        with pytest.raises((ValueError, NotImplementedError), match=text):
            make()


@pytest.mark.once
def test_crossentropy_means_the_one_that_fits_the_shapes() -> None:
    for target, output, kind in (
        ((None, 1), (None, 1), losses.BinaryCrossentropy),
        ((None,), (None, 5), losses.SparseCategoricalCrossentropy),
        ((None, 1), (None, 5), losses.SparseCategoricalCrossentropy),
        ((None, 5), (None, 5), losses.CategoricalCrossentropy),
    ):
        assert type(losses.resolve("crossentropy", target, output)) is kind
    assert type(losses.resolve("mse", (None, 1), (None, 1))) is losses.MeanSquaredError
