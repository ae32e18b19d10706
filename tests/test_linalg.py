"""Linear algebra and Fourier transforms where formulas need care: zeros, singular matrices, equal eigenvalues."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import unidl
from unidl import ops
from unidl.backend import active
from unidl.errors import OpError
from unidl.testing import assert_close

trained = pytest.mark.skipif(not active.trains, reason="this backend has no gradients")
numbers = np.random.default_rng(5)


def slope(fn: Callable[[Any], Any], x: Any) -> np.ndarray:
    return ops.convert_to_numpy(unidl.grad(lambda v: ops.sum(fn(v)))(ops.array(np.asarray(x, "float64"))))


@trained
@pytest.mark.parametrize("order", [None, 1, 2, 3, 1.5, 0.5, np.inf])
def test_the_norm_of_zero_has_gradient_zero(order: Any) -> None:
    assert not slope(lambda x: ops.norm(x, order, axis=-1), np.zeros((2, 3))).any()


@trained
def test_a_distance_of_zero_has_gradient_zero() -> None:
    x = np.asarray([[1.0, 2.0], [4.0, 6.0]])
    assert_close(
        slope(lambda v: ops.cdist(v, ops.stop_gradient(v)), x), np.asarray([[-0.6, -0.8], [0.6, 0.8]]), 1e-9, 1e-12
    )


@trained
def test_the_determinant_of_a_singular_matrix_has_its_cofactors_as_gradient() -> None:
    x = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]
    cofactors = np.asarray([[-3.0, 6.0, -3.0], [6.0, -12.0, 6.0], [-3.0, 6.0, -3.0]])
    assert_close(slope(ops.det, x), cofactors, 1e-6, 1e-9)
    assert_close(slope(ops.det, np.zeros((1, 1))), [[1.0]])


@trained
def test_equal_singular_values_and_eigenvalues() -> None:
    x, g = np.eye(3), numbers.normal(size=(3, 3))
    assert_close(slope(lambda v: ops.multiply(ops.pinv(v), g), x), -g, 1e-9, 1e-9)
    assert_close(slope(lambda v: ops.svd(v, compute_uv=False), x), np.eye(3), 1e-9, 1e-9)
    assert_close(slope(lambda v: ops.norm(v, "nuc"), x), np.eye(3), 1e-9, 1e-9)
    assert_close(slope(lambda v: ops.eigh(v)[0], x), np.eye(3), 1e-9, 1e-9)

    def again(v: Any) -> Any:
        u, s, vh = ops.svd(v, full_matrices=False)
        return ops.matmul(ops.multiply(u, ops.expand_dims(s, -2)), vh)

    assert np.isfinite(slope(again, x)).all()


@trained
def test_only_the_lower_triangle_counts() -> None:
    x = np.asarray([[4.0, 9.0], [2.0, 10.0]])
    assert_close(ops.cholesky(x), [[2.0, 0.0], [1.0, 3.0]])
    for fn in (ops.cholesky, lambda v: ops.eigh(v)[0]):
        assert slope(fn, x)[0, 1] == 0


@trained
@pytest.mark.skipif(active.name == "mxnet", reason="mxnet differentiates these once")
@pytest.mark.parametrize("name", ["det", "inv", "pinv", "solve", "svd", "eigh", "cholesky", "qr"])
def test_second_derivatives(name: str) -> None:
    x = np.asarray([[2.0, 0.5], [0.25, 3.0]])
    v = numbers.normal(size=x.shape)

    def factors(m: Any) -> Any:
        u, s, vh = ops.svd(m)
        return ops.matmul(u * ops.expand_dims(s * s, -2), vh)

    def vectors(m: Any) -> Any:
        values, columns = ops.eigh(m)
        return ops.matmul(columns * ops.expand_dims(values * values * values, -2), ops.transpose(columns))

    functions: dict[str, Any] = {
        "det": ops.det, "inv": ops.inv, "pinv": ops.pinv, "solve": lambda m: ops.solve(m, x), "svd": factors,
        "eigh": vectors, "cholesky": ops.cholesky, "qr": lambda m: ops.square(ops.qr(m)[1]),
    }  # fmt: skip

    def once(m: Any) -> Any:
        return ops.sum(functions[name](m) * ops.sin(functions[name](m)))

    def along(m: Any) -> Any:
        return ops.sum(ops.multiply(unidl.grad(once)(m), v))

    step = 1e-5
    found = np.sum(slope(along, x) * v)
    ahead, behind = (float(along(ops.array(x + side * step * v))) for side in (1, -1))
    np.testing.assert_allclose(found, (ahead - behind) / (2 * step), rtol=1e-4, atol=1e-6)


def test_singular_matrices_are_refused() -> None:
    for fn, x in ((ops.inv, [[1.0, 2.0], [2.0, 4.0]]), (ops.cholesky, [[1.0, 0.0], [0.0, -1.0]])):
        with pytest.raises(Exception):  # noqa: B017 - the engine's own
            fn(ops.array(x))
    assert np.isnan(float(ops.logdet([[-1.0, 0.0], [0.0, 1.0]])))
    assert float(ops.logdet([[1.0, 2.0], [2.0, 4.0]])) == -np.inf


def test_pivots_give_the_rows_exchanged() -> None:
    x = numbers.normal(size=(2, 4, 3))
    lu, pivots = map(ops.convert_to_numpy, ops.lu_factor(x))
    for matrix, factor, exchanges in zip(x, lu, pivots, strict=True):
        product = (np.tril(factor, -1) + np.eye(4, 3)) @ np.triu(factor[:3])
        for i, place in reversed(list(enumerate(exchanges))):
            product[[i, place]] = product[[place, i]]
        np.testing.assert_allclose(product, matrix, atol=1e-9)


@pytest.mark.parametrize("window", ["hann", "hamming", None])
@pytest.mark.parametrize("length, stride, size", [(8, 2, 8), (6, 3, 8), (5, 2, 7), (4, 1, 4)])
def test_a_sequence_comes_back_from_its_windows(window: Any, length: int, stride: int, size: int) -> None:
    x = numbers.normal(size=(2, 31))
    parts = ops.stft(x, length, stride, size, window)
    assert parts[0].shape[-1] == size // 2 + 1
    back = ops.istft(parts, length, stride, size, 25, window)
    assert_close(back, x[:, :25], 1e-9, 1e-9)


def test_windows_are_checked() -> None:
    x = ops.ones((16,))
    for arguments in ((4, 2, 2), (0, 2, 4), (4, 2, 4, "kaiser"), (4, 2, 4, np.ones(3))):
        with pytest.raises(OpError, match=r"ops\.stft"):
            ops.stft(x, *arguments)


def test_einsum_as_numpy() -> None:
    x, y = numbers.normal(size=(2, 3, 3)), numbers.normal(size=(3, 4))
    for subscripts, operands in (
        ("bii->b", [x]), ("...ii->...i", [x]), ("bij,jk", [x, y]), ("bij,jk,bij->k", [x, y, x]), ("i...->...", [x]),
        (" bij , jk -> kb ", [x, y]), ("ab,ab->", [x[0], x[1][:1]]),
    ):  # fmt: skip
        assert_close(ops.einsum(subscripts, *operands), np.einsum(subscripts, *operands), 1e-9, 1e-9)
    assert ops.einsum("ij,jk", np.ones((2, 2), "int8"), np.ones((2, 2), "int8")).shape == (2, 2)
    for subscripts in ("ij,jk->ikz", "ij", "ij,jkl", "i?,jk", "ij,jk->ii", "...ij,jk->ik...j..."):
        with pytest.raises(OpError, match="subscripts"):
            ops.einsum(subscripts, x[0], y)
