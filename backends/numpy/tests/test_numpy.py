"""What is particular to the NumPy backend: arrays are the tensors, and it only infers."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest

import unidl
from unidl import ops
from unidl.backend import active
from unidl.layers import LSTM, Conv2D, Dense, Flatten


def test_arrays_are_tensors_and_stay_arrays() -> None:
    x = np.arange(6, dtype="float32").reshape(2, 3)
    assert ops.convert_to_tensor(x) is x
    for result in (
        ops.exp(x),
        ops.sum(x),
        ops.argmax(x),
        ops.getitem(x, (0, 0)),
        ops.top_k(x, 2)[0],
        ops.square(x[0, 0]),
    ):
        assert type(result) is np.ndarray


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_results_without_dimensions_keep_their_dtype(dtype: str) -> None:
    """NumPy before 2 computes scalars with Python numbers in float64."""
    x = np.asarray(0.5, dtype)
    for name in ("sigmoid", "relu", "rsqrt", "erf", "gelu", "softplus", "selu", "hard_silu", "silu"):
        result = getattr(ops, name)(x)
        assert result.dtype == dtype and result.shape == (), name
    assert ops.add(x, 1.5).dtype == ops.multiply(2, x).dtype == ops.power(x, 2.0).dtype == dtype


def test_sums_are_accurate() -> None:
    x = np.full(2**20, 0.1, "float32")
    assert abs(float(ops.sum(x)) / (2**20 * float(np.float32(0.1))) - 1) < 1e-7
    assert float(ops.mean(np.full(5000, 1.5, "float16"))) == 1.5
    assert float(ops.sum(np.full(60000, 1.0, "float16"))) == 60000


def test_nothing_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ops.divide(np.ones(2), np.zeros(2))
        ops.log(np.zeros(2))
        ops.exp(np.full(2, 1e4))
        ops.mean(np.zeros(0))
        assert np.isnan(ops.sqrt(np.asarray(-1.0)))


def test_arrays_that_are_no_tensors() -> None:
    swapped = np.arange(3, dtype=">f4")
    assert not active.is_tensor(np.asarray(["a"])) and not active.is_tensor(swapped)
    result = ops.add(swapped, 1)
    assert result.dtype == np.dtype("float32") and result.dtype.isnative
    np.testing.assert_array_equal(result, [1, 2, 3])


def test_memory_maps_and_views_are_read(tmp_path: object) -> None:
    stored = np.memmap(f"{tmp_path}/x", "float32", "w+", shape=(2, 3))
    stored[:] = 2
    result = ops.sum(stored, 0)
    assert type(result) is np.ndarray
    np.testing.assert_array_equal(result, [4, 4, 4])


def test_variables_are_arrays_whose_results_are_not_variables() -> None:
    variable = active.make_variable(np.ones(3, "float32"), trainable=False, name="v")
    assert type(np.exp(variable)) is type(variable + 1) is type(1 + variable) is np.ndarray
    assert type(np.ones(3, "float32") * variable) is np.ndarray
    assert type(ops.stop_gradient(variable)) is np.ndarray
    clone = copy.deepcopy(variable)
    clone.assign([5, 5, 5])
    assert clone.name == "v" and not clone.trainable and float(ops.sum(variable)) == 3
    assert variable in {variable: 1}


def test_a_model_predicts() -> None:
    inputs = unidl.Input((8, 8, 1))
    model = unidl.Model(inputs, Dense(3, activation="softmax")(Flatten()(Conv2D(4, 3, activation="relu")(inputs))))
    x = np.random.default_rng(0).random((5, 8, 8, 1)).astype("float32")
    result = model.predict(x, verbose=0)
    assert result.shape == (5, 3)
    np.testing.assert_allclose(result.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(model(x), result, rtol=1e-5)
    assert LSTM(4)(np.ones((2, 5, 3), "float32")).shape == (2, 4)


def test_training_is_refused_with_the_remedy() -> None:
    model = unidl.Sequential([unidl.Input((2,)), Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(RuntimeError, match=r"inference.*UNIDL_BACKEND to torch"):
        model.fit(np.ones((4, 2), "float32"), np.ones((4, 1), "float32"), verbose=0)
