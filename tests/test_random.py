"""unidl.random: what a seed means, distributions, shapes known and unknown, portable mode."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from unidl import _draws, _seed, ops, random
from unidl.backend import active
from unidl.errors import OpError
from unidl.graph.symbolic import TensorSpec
from unidl.graph.trace import trace
from unidl.random import SeedGenerator

#: Each function for a shape of (400, 50), or something of as many numbers.
DRAWS: dict[str, Callable[[Any], Any]] = {
    "uniform": lambda seed: random.uniform((400, 50), seed=seed),
    "uniform from 2 to 5": lambda seed: random.uniform((400, 50), 2.0, 5.0, seed=seed),
    "normal": lambda seed: random.normal((400, 50), 1.0, 2.0, seed=seed),
    "truncated_normal": lambda seed: random.truncated_normal((400, 50), seed=seed),
    "randint": lambda seed: random.randint((400, 50), -2, 3, seed=seed),
    "wide randint": lambda seed: random.randint((400, 50), 0, 2**30, seed=seed),
    "categorical": lambda seed: random.categorical(
        np.log(np.tile([[0.2, 0.3, 0.5]], (400, 1))).astype("float32"), 50, seed=seed
    ),
    "dropout": lambda seed: random.dropout(np.ones((400, 50), "float32"), 0.25, seed=seed),
    "gamma": lambda seed: random.gamma((400, 50), 5.0, seed=seed),
    "beta": lambda seed: random.beta((400, 50), 2.0, np.full((50,), 3.0, "float32"), seed=seed),
    "binomial": lambda seed: random.binomial((400, 50), 100, [0.3], seed=seed),
    "shuffle": lambda seed: random.shuffle(np.arange(20_000, dtype="int32"), seed=seed),
}
#: Mean, variance, smallest and largest possible value, dtype.
MOMENTS: dict[str, tuple[float, float, float, float, str]] = {
    "uniform": (0.5, 1 / 12, 0, 1, "float32"),
    "uniform from 2 to 5": (3.5, 9 / 12, 2, 5, "float32"),
    "normal": (1, 4, -20, 20, "float32"),
    "truncated_normal": (0, 0.7737, -2, 2, "float32"),
    "randint": (0, 2, -2, 2, "int32"),
    "wide randint": (2.0**29, 2.0**60 / 12, 0, 2**30 - 1, "int32"),
    "categorical": (1.3, 0.61, 0, 2, "int32"),
    "dropout": (1, 1 / 3, 0, 4 / 3 + 1e-6, "float32"),
    "gamma": (5, 5, 0, 60, "float32"),
    "beta": (0.4, 0.04, 0, 1, "float32"),
    "binomial": (30, 21, 0, 100, "float32"),
    "shuffle": (9999.5, 20_000**2 / 12, 0, 19_999, "int32"),
}
#: What these draws must give for ever, as hexadecimal floats.
UNIFORM = ["0x1.182e340000000p-1", "0x1.706f3a0000000p-1", "0x1.fc6bf40000000p-1"]
RANDINT = [54, 71, 99, 79, 97, 24]
SHUFFLED = [5, 0, 1, 3, 4, 2]
PORTABLE = [
    "0x0.0p+0 0x1.000000p+1 0x1.000000p+1 0x1.000000p+1 0x0.0p+0 0x1.000000p+1",
    "-0x1.a47566p-2 -0x1.63d02ep-1 0x1.18fa18p+1 -0x1.86bae4p+0 -0x1.6e0d8ep-2 -0x1.3ba190p+0",
    "0x1.000000p+1 0x0.0p+0 0x0.0p+0 0x0.0p+0 0x1.000000p+1 0x0.0p+0",
    "-0x1.dd881cp-1 -0x1.78104ep-2 -0x1.01171cp-1 -0x1.89e8f2p-5 0x1.19fa6ep+1 -0x1.84f9dep+0",
    "0x1.eb013ep-4 0x1.23fb4ep-3",
    "13.0 11.0 17.0 16.0 316.0 1096.0",
]
each = pytest.mark.parametrize("name", list(DRAWS))


def drawn(name: str, seed: Any) -> np.ndarray:
    return active.to_numpy(DRAWS[name](seed)).copy()


@each
@pytest.mark.parametrize("seed", [0, None, "generator"])
def test_moments(name: str, seed: Any) -> None:
    x = drawn(name, SeedGenerator(0) if seed == "generator" else seed)
    mean, variance, low, high, dtype = MOMENTS[name]
    assert x.dtype == dtype
    x = x.astype("float64")
    assert abs(x.mean() - mean) < 5 * math.sqrt(variance / x.size)
    assert x.var() == pytest.approx(variance, rel=0.06)
    assert x.min() >= low and x.max() <= high
    if name == "shuffle":
        np.testing.assert_array_equal(np.sort(x), np.arange(20_000))


@each
def test_an_int_seed_gives_the_same_numbers_at_each_call(name: str) -> None:
    a, b, c = drawn(name, 1), drawn(name, 1), drawn(name, 2)
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


@each
@pytest.mark.parametrize("seeded", [False, True])
def test_other_seeds_give_other_numbers_at_each_call(name: str, seeded: bool) -> None:
    seed = SeedGenerator(1) if seeded else None
    assert not np.array_equal(drawn(name, seed), drawn(name, seed))


def test_an_int_seed_means_the_same_bits_everywhere() -> None:
    x = active.to_numpy(random.uniform((3,), seed=1))
    assert [float(v).hex() for v in x] == UNIFORM
    assert active.to_numpy(random.randint((6,), 0, 100, seed=1)).tolist() == RANDINT
    assert active.to_numpy(random.shuffle(np.arange(6), seed=1)).tolist() == SHUFFLED


def test_uniform_never_reaches_its_upper_end() -> None:
    x = _draws.filled(lambda stream, n: np.full(n, 1 - 2.0**-53), _seed.stream("x", seed=0), (3,), "float32")
    assert (x == 1).all()  # what rounding alone would give

    class Highest:
        bit_generator = type("Bits", (), {"random_raw": staticmethod(lambda n: np.full(n, 2**64 - 1, np.uint64))})

    assert (_draws.uniform(Highest(), (3,), "float32") < 1).all()  # type: ignore[arg-type]
    assert (_draws.uniform(Highest(), (3,), "float32", -2.0, 7.0) < 7).all()  # type: ignore[arg-type]


def test_recorded_draws_are_anew_at_each_run_unless_an_int_seeds_them() -> None:
    def fresh(x: Any) -> Any:
        return ops.add(x, random.uniform(ops.shape(x)))

    def fixed(x: Any) -> Any:
        return ops.add(x, random.uniform((4, 3), seed=1))

    spec = TensorSpec((4 if active.static_shapes else None, 3), "float32")
    zero = active.to_tensor(np.zeros((4, 3), "float32"))
    for function, same in ((fresh, False), (fixed, True)):
        run = active.executable(trace(function, (spec,)))
        a, b = (active.to_numpy(run(zero)[0]).copy() for _ in range(2))
        assert a.shape == (4, 3) and ((a >= 0) & (a < 1)).all()
        assert np.array_equal(a, b) is same


def test_an_int_seed_needs_known_sizes() -> None:
    with pytest.raises(OpError, match="unknown size"):
        trace(lambda x: random.uniform(ops.shape(x), seed=1), (TensorSpec((None, 3), "float32"),))


def test_dropout_with_a_shape_of_noise() -> None:
    for seed in (3, None):
        x = active.to_numpy(random.dropout(np.ones((200, 5, 3), "float32"), 0.5, noise_shape=(None, 1, 3), seed=seed))
        assert (x == x[:, :1]).all() and set(np.unique(x)) == {0.0, 2.0}
    x = np.ones((2, 2), "float32")
    np.testing.assert_array_equal(active.to_numpy(random.dropout(x, 0.0)), x)
    assert not active.to_numpy(random.dropout(x, 1.0)).any()


def test_shuffle_along_an_axis_keeps_slices_together() -> None:
    x = np.arange(12).reshape(2, 6).astype("float32")
    for seed in (0, None):
        y = active.to_numpy(random.shuffle(x, axis=1, seed=seed))
        np.testing.assert_array_equal(y[1] - y[0], 6)
        assert sorted(y[0]) == list(range(6))


def test_draws_of_distributions_are_right_for_large_and_small_parameters() -> None:
    stream = _seed.stream("x", seed=0)
    for alpha in (0.05, 1.0, 300.0):
        x = _draws.gamma(stream, (50_000,), "float64", alpha)
        assert x.mean() == pytest.approx(alpha, rel=0.08) and x.var() == pytest.approx(alpha, rel=0.12)
    for n, p in ((3, 0.9), (17, 0.5), (10_000, 0.001), (10_000, 0.7), (10_000_000, 0.25)):
        x = _draws.binomial(stream, (20_000,), "float64", n, p)
        assert (x == np.rint(x)).all() and x.min() >= 0 and x.max() <= n
        assert x.mean() == pytest.approx(n * p, abs=5 * math.sqrt(n * p * (1 - p) / 20_000))
        assert x.var() == pytest.approx(n * p * (1 - p), rel=0.06)
    odd = _draws.binomial(stream, (6,), "float64", [5, 5, 40, 40, -1, 3], [0.0, 1.0, 0.0, 1.0, 0.5, 1.5])
    np.testing.assert_array_equal(odd, [0, 5, 0, 40, np.nan, np.nan])
    assert np.isnan(_draws.gamma(stream, (2,), "float64", [0.0, -1.0])).all()


def test_parameters_of_distributions_may_be_recorded() -> None:
    spec = TensorSpec((4 if active.static_shapes else None, 1), "float32")

    def draw(p: Any) -> Any:
        shape = (ops.shape(p)[0], 500)
        return random.binomial(shape, 1, p), random.gamma(shape, p), random.beta(shape, p, 2.0)

    run = active.executable(trace(draw, (spec,)))
    p = np.array([[0.1], [0.4], [0.6], [0.9]], "float32")
    means = [active.to_numpy(x).mean(1) for x in run(active.to_tensor(p))]
    for mean, wanted in zip(means, (p, p, p / (p + 2)), strict=True):
        np.testing.assert_allclose(mean, wanted[:, 0], atol=0.2)
    with pytest.raises(OpError, match="SeedGenerator"):
        trace(lambda p: random.gamma((4, 3), p, seed=1), (spec,))


def test_seed_generators() -> None:
    _seed.set_global(7)
    a = [SeedGenerator().seed for _ in range(3)]
    _seed.set_global(7)
    assert [SeedGenerator().seed for _ in range(3)] == a and len(set(a)) == 3
    generator = SeedGenerator(4, name="drops")
    assert [generator.next() for _ in range(2)] == [(4, 0), (4, 1)]
    saved = generator.state
    first = generator.stream().bit_generator.random_raw(3)
    generator.state = saved
    np.testing.assert_array_equal(generator.stream().bit_generator.random_raw(3), first)
    assert SeedGenerator.from_config(generator.get_config()).get_config() == generator.get_config()


@pytest.mark.parametrize(
    "make",
    [
        lambda: random.uniform((2,), dtype="int32"),
        lambda: random.normal((2,), seed=-1),
        lambda: random.normal((2,), seed="x"),
        lambda: random.randint((2,), 3, 3),
        lambda: random.randint((2,), 0, 3, dtype="float32"),
        lambda: random.categorical(np.zeros(3, "float32"), 2),
        lambda: random.dropout(np.ones((2, 2)), 1.5),
        lambda: random.randint((2,), 0, 300, dtype="uint8"),
        lambda: random.gamma((2,), np.ones(3, "float32")),
        lambda: random.gamma((2,), 1.0, dtype="int32"),
        lambda: random.binomial((2, 3), 4, [0.1, 0.2]),
        lambda: random.dropout(np.ones((2, 2)), 0.5, noise_shape=(2,)),
        lambda: SeedGenerator(SeedGenerator(1)),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any) -> None:
    with pytest.raises(ValueError):
        make()


_PORTABLE = """
import os
os.environ["UNIDL_PORTABLE_RANDOM"] = "1"
import numpy as np
from unidl import _seed, ops, random
from unidl.backend import active
from unidl.graph.symbolic import TensorSpec
from unidl.graph.trace import trace

_seed.set_global(3)
generator = random.SeedGenerator(5)
spec = TensorSpec((2 if active.static_shapes else None, 3), "float32")
run = active.executable(trace(lambda x: (random.dropout(x, 0.5, seed=generator), random.normal(ops.shape(x))), (spec,)))
ones = active.to_tensor(np.ones((2, 3), "float32"))
for _ in range(2):
    for value in run(ones):
        print(*[float(v).hex().replace("0000000p", "p") for v in active.to_numpy(value).ravel()])
print(*[float(v).hex().replace("0000000p", "p") for v in active.to_numpy(random.uniform((2,))).ravel()])
whole, real = random.binomial((4,), 30, 0.5), random.gamma((2,), 2.0)
print(*active.to_numpy(whole).tolist(), *np.round(active.to_numpy(real) * 100).tolist())
"""


def test_portable_draws_are_the_same_on_every_backend(fresh_python: Callable[..., str]) -> None:
    assert fresh_python(_PORTABLE).strip().splitlines() == PORTABLE
