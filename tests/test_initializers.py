"""Initializers: the same numbers everywhere, other numbers for each variable, the right distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import unidl
from unidl import _seed, initializers, ops
from unidl.backend import active
from unidl.random import SeedGenerator


def drawn(initializer: Any, shape: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    return initializers.host_value(initializers.get(initializer), shape, dtype)


RANDOM = [
    "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "lecun_normal", "lecun_uniform", "orthogonal",
    "random_normal", "random_uniform", "truncated_normal", "variance_scaling",
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "glorot_uniform",
            ["0x1.f5ea400000000p-1", "0x1.f54a720000000p-3", "-0x1.cb79560000000p-1", "-0x1.153dde0000000p-1"],
        ),
        (
            "random_normal",
            ["0x1.2597f20000000p-4", "-0x1.91061e0000000p-7", "0x1.474f360000000p-4", "0x1.10a5700000000p-4"],
        ),
        (
            "truncated_normal",
            ["-0x1.103fa60000000p-4", "-0x1.169a4e0000000p-7", "0x1.ff7fca0000000p-11", "-0x1.afac520000000p-7"],
        ),
        (
            "he_normal",
            ["-0x1.82e1a20000000p+0", "-0x1.8be9360000000p-3", "0x1.6b6f6e0000000p-6", "-0x1.32b76e0000000p-2"],
        ),
        (
            "orthogonal",
            ["0x1.55e0360000000p-1", "-0x1.7d22e80000000p-1", "0x1.7d22e80000000p-1", "0x1.55e0360000000p-1"],
        ),
    ],
)
def test_an_int_seed_gives_the_same_bits_on_every_backend_and_machine(name: str, expected: list[str]) -> None:
    initializer = type(initializers.get(name))(seed=1)
    first = drawn(initializer, (2, 2))
    assert [float(v).hex() for v in first.ravel()] == expected
    np.testing.assert_array_equal(drawn(initializer, (2, 2)), first)
    np.testing.assert_array_equal(active.to_numpy(initializer((2, 2))), first)


@pytest.mark.parametrize("name", RANDOM)
def test_every_variable_gets_other_numbers_and_the_global_seed_decides_all(name: str) -> None:
    runs = []
    for seed in (3, 3, 4):
        _seed.set_global(seed)
        shared = initializers.get(name)
        runs.append([drawn(name, (4, 4)), drawn(name, (4, 4)), drawn(shared, (4, 4)), drawn(shared, (4, 4))])
    for i, a in enumerate(runs[0]):
        np.testing.assert_array_equal(a, runs[1][i])
        assert not np.array_equal(a, runs[2][i])
        assert not any(np.array_equal(a, b) for b in runs[0][:i])


def test_a_seed_generator_advances() -> None:
    initializer = initializers.RandomNormal(seed=SeedGenerator(5))
    a, b = drawn(initializer, (3,)), drawn(initializer, (3,))
    assert not np.array_equal(a, b)
    np.testing.assert_array_equal(drawn(initializers.RandomNormal(seed=SeedGenerator(5)), (3,)), a)


#: Name, arguments, variance and bound for a kernel of shape (3, 3, 40, 60): 360 inputs and 540 outputs.
DISTRIBUTIONS: list[Any] = [
    ("GlorotUniform", {}, 2 / 900, math.sqrt(6 / 900)),
    ("GlorotNormal", {}, 2 / 900, None),
    ("HeUniform", {}, 2 / 360, math.sqrt(6 / 360)),
    ("HeNormal", {}, 2 / 360, None),
    ("LecunUniform", {}, 1 / 360, math.sqrt(3 / 360)),
    ("LecunNormal", {}, 1 / 360, None),
    ("VarianceScaling", {"scale": 3.0, "mode": "fan_out", "distribution": "untruncated_normal"}, 3 / 540, None),
    ("VarianceScaling", {"input_axes": [2], "output_axes": [3]}, 1 / 40, None),
    ("RandomNormal", {"stddev": 0.5}, 0.25, None),
    ("RandomUniform", {"minval": -1.0, "maxval": 1.0}, 1 / 3, 1.0),
    ("TruncatedNormal", {"stddev": 0.5}, 0.25 * 0.7737, 1.0),
]


@pytest.mark.parametrize(("name", "kwargs", "variance", "bound"), DISTRIBUTIONS)
def test_distributions(name: str, kwargs: dict[str, Any], variance: float, bound: float | None) -> None:
    x = drawn(getattr(initializers, name)(seed=0, **kwargs), (3, 3, 40, 60)).astype("float64")
    assert abs(x.mean()) < 4 * math.sqrt(variance / x.size)
    assert x.var() == pytest.approx(variance, rel=0.04)
    if bound is not None:
        assert 0.98 * bound < np.abs(x).max() <= bound
    # Neighbours are independent.
    assert abs(np.corrcoef(x.ravel()[:-1], x.ravel()[1:])[0, 1]) < 0.02


def test_normal_numbers_are_normal() -> None:
    x = np.sort(drawn(initializers.RandomNormal(0.0, 1.0, seed=0), (100_000,)).astype("float64"))
    for quantile, expected in ((0.5, 0.0), (0.8413447, 1.0), (0.9772499, 2.0), (0.0013499, -3.0)):
        assert x[int(quantile * x.size)] == pytest.approx(expected, abs=0.06)


def test_a_large_draw_starts_like_a_small_one_of_whole_chunks() -> None:
    """Chunks bound the memory; they must not repeat each other."""
    x = drawn(initializers.RandomUniform(seed=0), (3 * 2**18,)).reshape(3, -1)
    assert not np.array_equal(x[0], x[1])
    np.testing.assert_array_equal(drawn(initializers.RandomUniform(seed=0), (2**18,)), x[0])


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (2, 3, 4)])
def test_orthogonal_has_orthonormal_rows_or_columns(shape: tuple[int, ...]) -> None:
    m = drawn(initializers.Orthogonal(gain=2.0, seed=0), shape).reshape(-1, shape[-1]).astype("float64")
    m = m if m.shape[0] >= m.shape[1] else m.T
    np.testing.assert_allclose(m.T @ m, 4 * np.eye(m.shape[1]), atol=1e-5)


def test_constants() -> None:
    np.testing.assert_array_equal(drawn("zeros", (2,)), [0, 0])
    np.testing.assert_array_equal(drawn("ones", (2,), "int32"), [1, 1])
    np.testing.assert_array_equal(drawn(initializers.Constant([1.0, 2.0]), (2, 2)), [[1, 2], [1, 2]])
    np.testing.assert_array_equal(drawn(initializers.Identity(3.0), (2, 3)), [[3, 0, 0], [0, 3, 0]])
    assert drawn("zeros", (), "float16").dtype == np.float16


def test_functions_make_values_too() -> None:
    def ramp(shape: Any, dtype: Any = None) -> Any:
        return ops.reshape(ops.arange(math.prod(shape), dtype=dtype), shape)

    variable = unidl.Variable(ramp, (2, 2))
    np.testing.assert_array_equal(active.to_numpy(variable), [[0, 1], [2, 3]])
    np.testing.assert_array_equal(drawn(lambda shape, dtype: np.ones(shape), (2,)), [1, 1])

    class Own(initializers.Initializer):
        def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
            return np.full(shape, 7.0, dtype)

    np.testing.assert_array_equal(drawn(Own(), (2,)), [7, 7])
    with pytest.raises(ValueError, match=r"\(3,\).*\(2,\)"):
        drawn(lambda shape, dtype: np.ones(3), (2,))


@pytest.mark.parametrize("name", [*RANDOM, "zeros", "ones", "constant", "identity"])
def test_configurations(name: str) -> None:
    original = initializers.get(name)
    if "seed" in original.get_config():
        original.seed = 3
    again = initializers.deserialize(initializers.serialize(original))
    assert type(again) is type(original) and again.get_config() == original.get_config()
    keras = {"module": "keras.initializers", "class_name": type(original).__name__, "config": original.get_config()}
    assert initializers.get(keras).get_config() == original.get_config()


@pytest.mark.parametrize(
    "make",
    [
        lambda: initializers.get("nonsense"),
        lambda: initializers.get(3.5),
        lambda: initializers.VarianceScaling(scale=0.0),
        lambda: initializers.VarianceScaling(mode="fan"),
        lambda: initializers.VarianceScaling(distribution="cauchy"),
        lambda: initializers.VarianceScaling(input_axes=[0]),
        lambda: initializers.RandomNormal(seed=-1),
        lambda: initializers.RandomNormal(seed=1.5),
        lambda: drawn("glorot_uniform", (2, 2), "int32"),
        lambda: drawn("orthogonal", (2,)),
        lambda: drawn("identity", (2,)),
        lambda: drawn(initializers.Constant([1.0, 2.0]), (3,)),
        lambda: initializers.deserialize({"config": {}}),
        lambda: initializers.deserialize({"class_name": "os.system", "config": {"command": "true"}}),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any) -> None:
    with pytest.raises(ValueError):
        make()


@pytest.mark.once
@pytest.mark.parametrize("name", ["boxcar", "hann", "hamming", "blackman", "nuttall", "blackmanharris", "flattop",
                                  "bartlett", "cosine", "tukey", "parzen"])  # fmt: skip
@pytest.mark.parametrize("periodic", [True, False])
def test_windows_are_those_of_scipy(name: str, periodic: bool) -> None:
    signal = pytest.importorskip("scipy.signal")
    from unidl.initializers._stft import window

    for size in (1, 2, 9, 16):
        np.testing.assert_allclose(window(name, size, periodic), signal.get_window(name, size, periodic), atol=1e-9)


@pytest.mark.once
def test_stft_kernels_transform() -> None:
    shape = (8, 1, 5)
    real, imag = (initializers.STFT(side, "hann", "spectrum", True)(shape) for side in ("real", "imag"))
    signal = np.random.default_rng(0).normal(size=8)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(8) / 8)
    wanted = np.fft.rfft(signal * hann) / hann.sum()
    got = [np.einsum("t,tf->f", signal, active.to_numpy(k)[:, 0]) for k in (real, imag)]
    np.testing.assert_allclose(got, [wanted.real, wanted.imag], atol=1e-6)
    bare = active.to_numpy(initializers.STFT(window=None, scaling=None)(shape))
    np.testing.assert_allclose(bare[:, 0, 1], np.cos(-2 * np.pi * np.arange(8) / 8), atol=1e-6)
    given = active.to_numpy(initializers.STFT(window=[float(i) for i in range(1, 9)], scaling="density")(shape))
    np.testing.assert_allclose(given[:, 0, 0], np.arange(1, 9) / np.sqrt((np.arange(1, 9) ** 2).sum()), rtol=1e-5)
    assert type(initializers.get("STFTInitializer")) is initializers.STFT


@pytest.mark.once
@pytest.mark.parametrize(
    "make",
    [
        lambda: initializers.STFT("both"),
        lambda: initializers.STFT(scaling="l2"),
        lambda: initializers.STFT(window="nonsense"),
        lambda: initializers.STFT(window=[1.0, 2.0])((3, 1, 2)),
        lambda: initializers.STFT()((3, 2)),
        lambda: initializers.get(np.ones((2, 2)))((3, 3)),
    ],
)
def test_bad_stft_kernels_and_arrays(make: Any) -> None:
    with pytest.raises(ValueError):
        make()


def test_an_array_is_an_initializer_of_its_own_values() -> None:
    values = np.arange(4, dtype="float32").reshape(2, 2)
    for given in (values, active.to_tensor(values)):
        np.testing.assert_array_equal(active.to_numpy(initializers.get(given)((2, 2))), values)


@pytest.mark.once
def test_products_in_einstein_notation_count_inputs_and_outputs_by_their_letters() -> None:
    heads = unidl.layers.EinsumDense("abc,cde->abde", (None, 8, 64), kernel_initializer="lecun_normal")
    heads.build((None, 3, 32))
    assert np.std(unidl.ops.convert_to_numpy(heads.kernel)) == pytest.approx(32**-0.5, rel=0.05)
    joined = unidl.layers.EinsumDense("abde,dec->abc", (None, 64), kernel_initializer="glorot_uniform")
    joined.build((None, 3, 8, 32))
    limit = np.sqrt(6 / (8 * 32 + 64))
    assert np.abs(unidl.ops.convert_to_numpy(joined.kernel)).max() == pytest.approx(limit, rel=0.01)
    told = unidl.initializers.LecunNormal(input_axes=[0], output_axes=[1])
    assert told.along([1], [0]) is told
    attention = unidl.layers.MultiHeadAttention(8, 64, kernel_initializer="lecun_normal")
    attention.build((None, 3, 32), (None, 3, 32))
    assert np.std(unidl.ops.convert_to_numpy(attention.query_dense.kernel)) == pytest.approx(32**-0.5, rel=0.05)
