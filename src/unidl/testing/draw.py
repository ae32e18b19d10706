"""Drawing arguments for ops: shapes and attributes by Hypothesis, numbers from a generator that it seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

FLOAT = ("float32", "float64", "float16", "bfloat16")
INTEGER = ("int32", "int64", "uint8")
SMALL = ("int8", "int16", "uint16", "uint32")
COMPLEX = ("complex64", "complex128")
NUMBER = FLOAT + INTEGER
ANY = (*NUMBER, "bool")
SPECIALS = (float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1.0, -1.0)

#: Strategies are made once: to make one takes longer than to draw from it.
_integers = lru_cache(maxsize=1024)(st.integers)


@lru_cache(maxsize=32)
def _sides(least: int) -> st.SearchStrategy[int]:
    return st.sampled_from([d for d in (1, 2, 3, 4, 5, 7, 0) if d >= least])


class Draw:
    """What a case builds an example with.

    Attributes:
        dtype: the dtype of tensors, unless the case says another.
        smooth: whether the example is for a derivative: no empty tensors, no two equal values, none
            near a multiple of 0.5, where ops may have a kink or a jump.
    """

    def __init__(self, draw: Callable[[Any], Any], dtype: str, smooth: bool = False) -> None:
        self.draw = draw
        self.dtype = dtype
        self.smooth = smooth
        self.numbers = np.random.default_rng(draw(_integers(0, 2**32 - 1)))

    def die(self, sides: int) -> int:
        """A number from 0 to ``sides - 1``, for what has no simpler and no more complicated choices."""
        return int(self.numbers.integers(sides))

    # -- attributes ---------------------------------------------------------------------------

    def integer(self, low: int, high: int) -> int:
        return self.draw(_integers(low, high))

    def choice(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def flag(self) -> bool:
        return self.draw(st.booleans())

    def axis(self, rank: int) -> int:
        """One axis, counted from either end."""
        return self.integer(-rank, rank - 1)

    def axes(self, rank: int) -> Any:
        """None, an axis, or a tuple of some."""
        kind = self.integer(0, 2)
        if kind == 0 or rank == 0:
            return None
        if kind == 1:
            return self.axis(rank)
        return tuple(self.draw(st.lists(st.integers(0, rank - 1), min_size=1, max_size=rank, unique=True)))

    # -- shapes -------------------------------------------------------------------------------

    def side(self, low: int = 0) -> int:
        """The size of a dimension: 0 is rare, and absent from smooth examples."""
        return self.draw(_sides(max(low, int(self.smooth))))

    def shape(self, low: int = 0, high: int = 3, side: int = 0) -> tuple[int, ...]:
        """A shape of `low` to `high` dimensions of at least `side`."""
        return tuple(self.side(side) for _ in range(self.integer(low, high)))

    def broadcasting(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A shape that broadcasts to `shape`."""
        return tuple(1 if self.die(4) == 0 else d for d in shape[self.integer(0, len(shape)) :])

    # -- tensors ------------------------------------------------------------------------------

    def array(
        self,
        shape: Sequence[int],
        dtype: str | None = None,
        low: float = -4,
        high: float = 4,
        specials: Sequence[float] = (),
        distinct: bool = False,
    ) -> np.ndarray:
        """Numbers from `low` to `high`; in one of four float arrays, some of `specials`."""
        from unidl.ops._bind import numpy_dtype

        dtype = dtype or self.dtype
        shape = tuple(shape)
        size = int(np.prod(shape))
        if dtype == "bool":
            return np.asarray(self.numbers.random(shape) < 0.5)
        if "int" in dtype:
            if distinct:
                values = self.numbers.permutation(size)
            else:
                values = self.numbers.integers(int(max(low, 0) if dtype[0] == "u" else low), int(high) + 1, size)
            return values.reshape(shape).astype(dtype)
        if self.smooth or distinct:
            places = (self.numbers.permutation(size) + self.numbers.uniform(0.2, 0.8, size)) / max(size, 1)
            floats = low + (high - low) * places
            if self.smooth:
                off = floats * 2 - np.rint(floats * 2)
                floats = np.where(np.abs(off) < 0.05, floats + np.where(floats < (low + high) / 2, 0.06, -0.06), floats)
        else:
            floats = self.numbers.uniform(low, high, size)
            if self.die(4) == 0:  # round numbers make ties and exact zeros
                floats = np.clip(np.rint(floats), np.ceil(low), np.floor(high))
            if specials and self.die(4) == 0:
                pick = self.numbers.random(size) < 0.5
                floats[pick] = self.numbers.choice(np.asarray(specials), int(pick.sum()))
        return floats.reshape(shape).astype(numpy_dtype(dtype))

    def tensor(self, rank: int = 0, most: int = 3, side: int = 0, **options: Any) -> np.ndarray:
        """An array of a drawn shape of `rank` to `most` dimensions of at least `side`."""
        return self.array(self.shape(rank, most, side), **options)

    def pair(self, **options: Any) -> tuple[Any, Any]:
        """Two tensors that broadcast together; in one of four examples one is a Python number."""
        shape = self.shape()
        first = self.array(shape, **options)
        if not self.smooth and self.dtype != "bool" and self.die(4) == 0:
            number = self.integer(1, 3) if "int" in self.dtype or self.flag() else 1.5
            return (first, number) if self.flag() else (number, first)
        second = self.array(self.broadcasting(shape), **options)
        return (first, second) if self.flag() else (second, first)


class Tolerance(NamedTuple):
    """How much looser than `unidl.testing.TOLERANCES` a comparison is.

    Attributes:
        factor: multiplies them.
        scaled: whether errors are relative to the largest number of a result (sums of products),
            not to each one.
    """

    factor: float = 1.0
    scaled: bool = False


EXACT = Tolerance()


@dataclass(frozen=True)
class Case:
    """How one op is tested.

    Attributes:
        build: makes an example, the op's arguments in order (trailing ones may be left out).
        dtypes: what `Draw.dtype` may be.
        gradient: the parameters by which the op is differentiable; their derivative is checked.
        unknown: the parameters whose dimensions may be unknown while recording; None: all.
        refuses: whether recording may refuse unknown dimensions (with an error that says so).
        differentiated: how many of the outputs the derivative is taken of; None: all.
        tolerance, gradient_tolerance: of values and of derivatives.
        check: for random ops: judges arguments and outputs in place of the oracle.
        unique: where an op leaves a choice (signs of vectors): makes of arguments and outputs, by ops, what
            all choices have in common. That is compared and differentiated, in place of the outputs.
        partial: whether engines refuse some values (singular matrices), which no rule can know.
    """

    build: Callable[[Draw], tuple[Any, ...]]
    dtypes: tuple[str, ...] = FLOAT
    gradient: tuple[str, ...] = ()
    unknown: tuple[str, ...] | None = None
    refuses: bool = False
    differentiated: int | None = None
    tolerance: Tolerance = EXACT
    gradient_tolerance: float = 1.0
    check: Callable[[tuple[Any, ...], list[np.ndarray]], None] | None = None
    unique: Callable[[tuple[Any, ...], Any], Any] | None = None
    partial: bool = False


#: Every op's case by the op's name.
CASES: dict[str, Case] = {}


def add(names: str, build: Callable[[Draw], tuple[Any, ...]], dtypes: tuple[str, ...] = FLOAT, **options: Any) -> None:
    """Register one case for each of the ops in `names`."""
    options["gradient"] = tuple(options.get("gradient", "").split())
    if "unknown" in options:
        options["unknown"] = tuple(options["unknown"].split())
    for name in names.split():
        if name in CASES:
            raise ValueError(f"op {name!r} has two cases.")
        CASES[name] = Case(build, dtypes, **options)
