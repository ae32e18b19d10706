"""Random tensors.

The `seed` of every function is one of

* an int: the numbers are drawn on the host by Philox, the same at each call and on every backend
  (inside a traced function they are a constant);
* None or a :class:`SeedGenerator`: they are drawn by the engine's own generator, anew at each run of
  the graph. With ``UNIDL_PORTABLE_RANDOM=1`` the host draws these as well, the same on every backend:
  from the `SeedGenerator`, or without one from a sequence that the global seed determines.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unidl import _draws, _seed, ops
from unidl._objects import Configurable
from unidl.dtypes import dtype_name, is_float, is_integer
from unidl.errors import OpError
from unidl.graph.symbolic import SymbolicTensor
from unidl.ops._bind import dtype_of, host_array, numpy_dtype
from unidl.ops.creation import static_shape
from unidl.ops.random import random_binomial, random_dropout, random_gamma, random_normal, random_uniform


class SeedGenerator(Configurable):
    """Where a layer's randomness comes from: a seed, and how often it has been used.

    Args:
        seed: non-negative int; None: derived from the global seed and the number of generators made.
        name: for messages.

    Attributes:
        seed: the int, fixed.
        counter: draws so far.
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any) -> None:
        if kwargs:
            raise TypeError(f"SeedGenerator does not take {sorted(kwargs)}.")
        checked = checked_seed(seed)
        if isinstance(checked, SeedGenerator):
            raise ValueError("SeedGenerator: `seed` must be an int or None, not another SeedGenerator.")
        self.seed: int = _seed.derived_seed("seed_generator") if checked is None else checked
        self.counter = 0
        self.name = name or "seed_generator"

    def next(self, ordered: bool = True) -> tuple[int, int]:
        """(seed, counter), which no other call returns; `ordered` is accepted for compatibility."""
        self.counter += 1
        return self.seed, self.counter - 1

    def stream(self) -> np.random.Generator:
        """The Philox generator of the next draw."""
        seed, counter = self.next()
        return _seed.stream("seed_generator", counter, seed=seed)

    @property
    def state(self) -> np.ndarray:
        """[seed, counter] as int64; assign such an array to go back to that point."""
        return np.array([self.seed, self.counter], np.int64)

    @state.setter
    def state(self, value: Any) -> None:
        self.seed, self.counter = (int(v) for v in value)

    def state_dict(self) -> dict[str, Any]:
        """The state, for `unidl.saving.Checkpoint`."""
        return {"state": self.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to what `state_dict` returned."""
        self.state = state["state"]

    def __repr__(self) -> str:
        return f"<SeedGenerator seed={self.seed} counter={self.counter}>"


def checked_seed(seed: Any) -> int | SeedGenerator | None:
    """`seed` as an int, `SeedGenerator` or None; configurations of a `SeedGenerator` are read.

    Raises:
        ValueError: for anything else, and for negative numbers.
    """
    if seed is None or isinstance(seed, SeedGenerator):
        return seed
    if isinstance(seed, dict) and seed.get("class_name") == "SeedGenerator":
        return SeedGenerator(**seed["config"])
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool) and seed >= 0:
        return int(seed)
    raise ValueError(f"A seed is a non-negative int, a unidl.random.SeedGenerator or None, not {seed!r}.")


def _float(dtype: Any, what: str) -> str:
    name = dtype_name(dtype)
    if not is_float(name):
        raise OpError(f"random.{what}: dtype {name!r} is no float. Use random.randint for whole numbers.")
    return name


def _host(draw: Any, shape: Any, dtype: str, what: str, seed: int, *numbers: Any) -> Any:
    """A tensor of numbers that an int seed determines."""
    dims = static_shape(shape)
    if None in dims:
        raise OpError(
            f"random.{what}: the shape {dims} has an unknown size, and an int `seed` draws while the graph is "
            "recorded. Pass a SeedGenerator (or None) as `seed`."
        )
    exact = dtype in ("float32", "float64") or is_integer(dtype)
    values = draw(_seed.stream("random", seed=seed), dims, dtype if exact else "float32", *numbers)
    return ops.convert_to_tensor(values if exact else values.astype(numpy_dtype(dtype)))


def _unit(shape: Any, dtype: str, seed: Any, what: str) -> Any:
    """Uniform numbers from [0, 1)."""
    seed = checked_seed(seed)
    if isinstance(seed, int):
        return _host(_draws.uniform, shape, dtype, what, seed)
    return random_uniform(shape, dtype, seed)


def uniform(shape: Any, minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Numbers from [minval, maxval), all equally likely.

    Example:
        >>> from unidl import random
        >>> x = random.uniform((2, 3), seed=1)  # the same six numbers on every backend
    """
    name, seed = _float(dtype, "uniform"), checked_seed(seed)
    if isinstance(seed, int):
        return _host(_draws.uniform, shape, name, "uniform", seed, float(minval), float(maxval))
    x = random_uniform(shape, name, seed)
    if (minval, maxval) != (0, 1):
        x = ops.add(ops.multiply(x, maxval - minval), minval)
    return x


def normal(shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Numbers from the normal distribution.

    Example:
        >>> from unidl import random
        >>> tuple(random.normal((2, 3), mean=1.0, stddev=0.5, seed=1).shape)
        (2, 3)
    """
    name, seed = _float(dtype, "normal"), checked_seed(seed)
    if isinstance(seed, int):
        return _host(_draws.normal, shape, name, "normal", seed, float(mean), float(stddev))
    return _scaled(random_normal(shape, name, seed), mean, stddev)


def truncated_normal(shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Numbers from the normal distribution, none of them 2 standard deviations or more from the mean.

    Example:
        >>> from unidl import random
        >>> tuple(random.truncated_normal((2, 3), seed=1).shape)
        (2, 3)
    """
    name, seed = _float(dtype, "truncated_normal"), checked_seed(seed)
    if isinstance(seed, int):
        return _host(_draws.truncated_normal, shape, name, "truncated_normal", seed, float(mean), float(stddev))
    limit = math.erf(math.sqrt(2.0))  # the probability of lying within 2 standard deviations
    u = random_uniform(shape, name, seed)
    x = ops.add(ops.multiply(u, 2.0 * limit), -limit)
    return _scaled(ops.multiply(_central_erfinv(x), math.sqrt(2.0)), mean, stddev)


def _scaled(x: Any, mean: Any, stddev: Any) -> Any:
    return x if (mean, stddev) == (0, 1) else ops.add(ops.multiply(x, stddev), mean)


# M. Giles, "Approximating the erfinv function", GPU Computing Gems, 2011: the branch w < 5.
_ERFINV = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164,
    0.246640727, 1.50140941,
)  # fmt: skip


def _central_erfinv(x: Any) -> Any:
    """The inverse of erf for ``abs(x) < 0.996``, to 2e-7."""
    w = ops.subtract(ops.negative(ops.log(ops.multiply(ops.subtract(1.0, x), ops.add(1.0, x)))), 2.5)
    p = ops.add(ops.multiply(w, _ERFINV[0]), _ERFINV[1])
    for coefficient in _ERFINV[2:]:
        p = ops.add(ops.multiply(p, w), coefficient)
    return ops.multiply(p, x)


def gamma(shape: Any, alpha: Any, dtype: Any = None, seed: Any = None) -> Any:
    """Numbers from the gamma distribution of shape `alpha` and scale 1: mean and variance are `alpha`.

    Args:
        alpha: positive; a number, or an array or tensor that broadcasts to `shape`.

    Example:
        >>> from unidl import random
        >>> tuple(random.gamma((2, 3), 2.0, seed=1).shape)
        (2, 3)
    """
    name, seed = _float(dtype, "gamma"), checked_seed(seed)
    if isinstance(seed, int):
        return _host(_draws.gamma, shape, name, "gamma", seed, _known(alpha, "alpha", "gamma"))
    return random_gamma(shape, alpha, name, seed)


def beta(shape: Any, alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> Any:
    """Numbers from the beta distribution: between 0 and 1, of mean ``alpha / (alpha + beta)``.

    Args:
        alpha, beta: positive; numbers, or arrays or tensors that broadcast to `shape`.

    Example:
        >>> from unidl import random
        >>> tuple(random.beta((2, 3), 2.0, 3.0, seed=1).shape)
        (2, 3)
    """
    name, seed = _float(dtype, "beta"), checked_seed(seed)
    if isinstance(seed, int):
        given = _known(alpha, "alpha", "beta"), _known(beta, "beta", "beta")
        return _host(_draws.beta, shape, name, "beta", seed, *given)
    # In float64, where gamma numbers of small shapes do not become 0.
    x, y = (random_gamma(shape, p, "float64", seed) for p in (alpha, beta))
    total = ops.add(x, y)
    ratio = ops.divide(x, ops.where(ops.equal(total, 0), 1.0, total))
    return ops.cast(ops.where(ops.equal(total, 0), 0.5, ratio), name)


def binomial(shape: Any, counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None) -> Any:
    """How many of `counts` independent trials succeed, each with one of `probabilities`: whole numbers, as floats.

    Args:
        counts, probabilities: numbers, or arrays or tensors that broadcast to `shape`.

    Example:
        >>> from unidl import ops, random
        >>> print(ops.convert_to_numpy(random.binomial((2,), 8, [0.0, 1.0], seed=1)))
        [0. 8.]
    """
    name, seed = _float(dtype, "binomial"), checked_seed(seed)
    if isinstance(seed, int):
        given = _known(counts, "counts", "binomial"), _known(probabilities, "probabilities", "binomial")
        return _host(_draws.binomial, shape, name, "binomial", seed, *given)
    return random_binomial(shape, counts, probabilities, name, seed)


def _known(value: Any, name: str, what: str) -> np.ndarray:
    """The values of a distribution's parameter, for the host."""
    if isinstance(value, SymbolicTensor):
        raise OpError(
            f"random.{what}: `{name}` has no value while the graph is recorded, and an int `seed` draws then. Pass a "
            "SeedGenerator (or None) as `seed`."
        )
    return host_array(value).astype("float64")


def randint(shape: Any, minval: int, maxval: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """Whole numbers from [minval, maxval), all equally likely.

    Raises:
        OpError: if the range is empty, or `dtype` is no integer dtype or cannot hold it.

    Example:
        >>> from unidl import ops, random
        >>> print(ops.convert_to_numpy(random.randint((3,), 7, 8)))
        [7 7 7]
    """
    name, seed = dtype_name(dtype), checked_seed(seed)
    if not is_integer(name):
        raise OpError(f"random.randint: dtype {name!r} is no integer. Use random.uniform for real numbers.")
    low, high = int(minval), int(maxval)
    if low >= high:
        raise OpError(f"random.randint: no whole number is at least {low} and below {high}.")
    if low < np.iinfo(name).min or high - 1 > np.iinfo(name).max:
        raise OpError(f"random.randint: {name} cannot hold all numbers from {low} to {high - 1}.")
    if isinstance(seed, int):
        return _host(_draws.integers, shape, name, "randint", seed, low, high)
    span = high - low
    # A float32 has 24 random bits: not enough for all of a large range to be equally likely.
    u = random_uniform(shape, "float32" if span <= 1 << 12 else "float64", seed)
    steps = ops.minimum(ops.floor(ops.multiply(u, float(span))), float(span - 1))
    return ops.add(ops.cast(steps, name), low)


def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """Class indices drawn with the probabilities ``softmax(logits)``.

    Args:
        logits: shape (batch, classes).
        num_samples: draws for each row.

    Returns:
        Shape (batch, num_samples). The largest of logits plus Gumbel noise is chosen
        (E. Gumbel, 1954; C. Maddison et al., NeurIPS 2014).

    Example:
        >>> from unidl import ops, random
        >>> print(ops.convert_to_numpy(random.categorical([[0.0, -float("inf")]], 3)))
        [[0 0 0]]
    """
    logits = ops.convert_to_tensor(logits)
    shape = tuple(ops.shape(logits))
    if len(shape) != 2:
        raise OpError(f"random.categorical: `logits` must have shape (batch, classes), not {list(shape)}.")
    kind = dtype_of(logits) if is_float(dtype_of(logits)) else "float32"
    u = _unit((shape[0], int(num_samples), shape[1]), kind, seed, "categorical")
    tiny = 1e-7 if kind == "float16" else 1e-30  # keeps the logarithm of 0 away
    noise = ops.negative(ops.log(ops.maximum(ops.negative(ops.log(ops.maximum(u, tiny))), tiny)))
    return ops.cast(ops.argmax(ops.add(ops.expand_dims(logits, 1), noise), -1), dtype_name(dtype))


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Any:
    """`x` with its slices along `axis` in a random order.

    Example:
        >>> from unidl import ops, random
        >>> print(ops.convert_to_numpy(ops.sort(random.shuffle([3, 1, 2]))))
        [1 2 3]
    """
    x, seed = ops.convert_to_tensor(x), checked_seed(seed)
    n = ops.shape(x)[axis]
    if isinstance(seed, int):
        if not isinstance(n, int):
            raise OpError("random.shuffle: an int `seed` needs a known size along `axis`. Pass a SeedGenerator.")
        order: Any = _draws.permutation(_seed.stream("random", seed=seed), n).astype("int32")
    else:
        order = ops.argsort(random_uniform((n,), "float32", seed))
    return ops.take(x, order, axis)


def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """`inputs` with elements set to 0 with probability `rate`, the others divided by ``1 - rate``.

    Args:
        noise_shape: shape of the random mask, which is broadcast: 1 where all elements share their
            fate, None for the size of `inputs`.
        rate: at least 0; 1 gives zeros.

    (N. Srivastava et al., JMLR 15, 2014.)

    Example:
        >>> from unidl import ops, random
        >>> print(ops.convert_to_numpy(ops.max(random.dropout(ops.ones((100,)), 0.5))))
        2.0
    """
    if not 0 <= rate <= 1:
        raise OpError(f"random.dropout: `rate` must be from 0 to 1, not {rate}.")
    if rate == 1:
        return ops.zeros_like(inputs)
    seed = checked_seed(seed)
    if rate == 0:
        return ops.convert_to_tensor(inputs)
    if noise_shape is None and not isinstance(seed, int):
        return random_dropout(inputs, rate, seed)
    inputs = ops.convert_to_tensor(inputs)
    shape = tuple(ops.shape(inputs))
    if noise_shape is not None:
        if len(noise_shape) != len(shape):
            raise OpError(f"random.dropout: `noise_shape` {tuple(noise_shape)} does not fit inputs {list(shape)}.")
        shape = tuple(have if n is None else n for n, have in zip(noise_shape, shape, strict=True))
    kind = dtype_of(inputs) if is_float(dtype_of(inputs)) else "float32"
    keep = ops.cast(ops.greater_equal(_unit(shape, kind, seed, "dropout"), rate), kind)
    return ops.multiply(inputs, ops.multiply(keep, 1.0 / (1.0 - rate)))


__all__ = [
    "SeedGenerator", "beta", "binomial", "categorical", "checked_seed", "dropout", "gamma", "normal", "randint",
    "shuffle", "truncated_normal", "uniform",
]  # fmt: skip
