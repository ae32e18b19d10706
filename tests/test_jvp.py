"""Derivatives along a direction: `ops.jvp`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from unidl import ops
from unidl.backend import active
from unidl.testing import assert_close

trained = pytest.mark.skipif(not active.trains, reason="this backend has no gradients")
X = np.asarray([[2.0, 0.5], [0.25, 3.0]], "float32")
V = np.asarray([[0.5, -1.0], [2.0, 0.25]], "float32")


@trained
def test_value_and_derivative() -> None:
    value, slope = ops.jvp(ops.sin, (ops.array(0.1),), (ops.array(0.2),))
    assert_close(value, np.float32(np.sin(0.1)))
    assert_close(slope, np.float32(0.2 * np.cos(0.1)))


@trained
def test_several_inputs_and_outputs_in_nested_structures() -> None:
    def fn(x: Any, pair: Any) -> Any:
        return {"product": ops.matmul(x, pair["y"]), "list": [ops.sum(x), ops.argmax(pair["y"]), ops.ones((2,))]}

    y, w = X + 1, V * 2
    outputs, slopes = ops.jvp(fn, [X, {"y": y}], [V, {"y": w}])
    assert_close(outputs["product"], X @ y)
    assert_close(slopes["product"], V @ y + X @ w)
    assert_close(slopes["list"][0], V.sum())
    assert int(outputs["list"][1]) == 3 and int(slopes["list"][1]) == 0
    assert_close(slopes["list"][2], np.zeros(2, "float32"))


@trained
def test_auxiliary_results() -> None:
    value, slope, aux = ops.jvp(lambda x: (x * x, {"seen": x}), (ops.array(3.0),), (ops.array(2.0),), has_aux=True)
    assert (float(value), float(slope), float(aux["seen"])) == (9.0, 12.0, 3.0)


_FUNCTIONS: dict[str, Any] = {
    "inv": ops.inv,
    "det": ops.det,
    "solve": lambda x: ops.solve(x, X),
    "cholesky": lambda x: ops.cholesky(ops.matmul(x, ops.transpose(x))),
    "svd": lambda x: ops.svd(x, compute_uv=False),
    "eigh": lambda x: ops.eigh(x)[0],
    "pinv": ops.pinv,
    "rfft": lambda x: list(ops.rfft(x)),
    "norm": ops.norm,
    "einsum": lambda x: ops.einsum("ij,jk,ki->k", x, x, x),
    "softmax": ops.softmax,
}


@trained
@pytest.mark.parametrize("name", _FUNCTIONS)
def test_against_differences(name: str) -> None:
    fn, step = _FUNCTIONS[name], 1e-4
    x, v = X.astype("float64"), V.astype("float64")
    _, slope = ops.jvp(fn, (ops.array(x),), (ops.array(v),))
    ahead, behind = (fn(ops.array(x + side * step * v)) for side in (1, -1))
    parts = zip(*(p if isinstance(p, list) else [p] for p in (slope, ahead, behind)), strict=True)
    for got, a, b in parts:
        want = (ops.convert_to_numpy(a) - ops.convert_to_numpy(b)) / (2 * step)
        assert_close(got, want, 1e-5, 1e-6, name)


@trained
def test_arguments_that_do_not_fit() -> None:
    with pytest.raises(TypeError, match="primals"):
        ops.jvp(ops.sin, X, (V,))
    with pytest.raises(ValueError, match="shapes"):
        ops.jvp(ops.sin, (X,), (V[0],))
    with pytest.raises(TypeError, match="floats"):
        ops.jvp(ops.sin, (np.ones(2, "int32"),), (np.ones(2),))


@pytest.mark.skipif(active.trains, reason="this backend has gradients")
def test_a_backend_without_gradients_says_so() -> None:
    with pytest.raises(RuntimeError, match="UNIDL_BACKEND"):
        ops.jvp(ops.sin, (X,), (V,))
