"""Channels-first inside, channels-last outside: transposes go to the edges of what is built from a graph.

Some targets have convolutions with channels first only. While a channels-last graph is written for such a target, the
results of convolutions stay as they come, and each op that can work on that form does: only an op that cannot gets the
transposed tensor. A tensor of the target may so exist as `first`, its channels-first form, and not yet as recorded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from unidl.backend.attributes import pad_pairs
from unidl.config import checked_data_format

#: Ops with windows, and the place of `data_format` among their arguments.
_WINDOWS = {"conv": 4, "conv_bias": 5, "depthwise_conv": 4, "conv_transpose": 5, "max_pool": 4, "average_pool": 4}
_UNARY = {
    "relu", "sigmoid", "tanh", "leaky_relu", "softplus", "softsign", "exp", "negative", "absolute", "square", "sqrt",
    "cast", "copy", "stop_gradient", "random_dropout", "erf", "round", "reciprocal",
}  # fmt: skip
_BINARY = {
    "add", "subtract", "multiply", "divide", "maximum", "minimum", "greater", "greater_equal", "less", "less_equal",
}  # fmt: skip
_REDUCE = {"mean", "max", "min", "sum"}


def first_axes(rank: int) -> tuple[int, ...]:
    """The order of axes that brings channels from the end to axis 1."""
    return (0, rank - 1, *range(1, rank - 1))


def last_axes(rank: int) -> tuple[int, ...]:
    """The order of axes that brings channels from axis 1 to the end."""
    return (0, *range(2, rank), 1)


class Layout(ABC):
    """How ops are called for a target whose convolutions are channels-first.

    Attributes:
        tensor: the class of the target's tensors.
        unary: names of the ops of one tensor that work on each element by itself.
    """

    tensor: type
    unary: frozenset[str] = frozenset(_UNARY)

    @abstractmethod
    def shape(self, x: Any) -> tuple[int | None, ...]:
        """The shape as recorded, channels last."""

    @abstractmethod
    def lazy(self, x: Any) -> bool:
        """Whether the tensor exists in the channels-first form only."""

    @abstractmethod
    def first(self, x: Any) -> Any:
        """The channels-first form, transposed if it is not there yet."""

    @abstractmethod
    def recorded(self, x: Any) -> Any:
        """The form as recorded, transposed if it is not there yet."""

    @abstractmethod
    def only_first(self, x: Any) -> Any:
        """A tensor whose channels-first form is `x`."""

    @abstractmethod
    def side(self, x: Any, shape: tuple[int | None, ...]) -> Any:
        """`x` so that it broadcasts with a channels-first tensor as it does with the recorded one, of `shape`.

        None if there is no such form that is cheap.
        """

    def call(self, name: str, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """``function(*args)``, on channels-first forms where `function` (of the op `name`) allows it."""
        if name in _WINDOWS:
            where = _WINDOWS[name]
            if checked_data_format(args[where]) == "channels_last":
                rest = tuple(self._plain(a) for a in args[1:])
                return self.only_first(
                    function(self.first(args[0]), *rest[: where - 1], "channels_first", *rest[where:])
                )
        operands = args[0] if name == "concatenate" else args
        lazy = [a for a in operands if self._is_lazy(a)]
        if lazy:
            result = self._without_transpose(name, function, args, self.shape(lazy[0]))
            if result is not None:
                return result
        return function(*[self._plain(a) for a in args])

    def _is_lazy(self, value: Any) -> bool:
        return type(value) is self.tensor and self.lazy(value)

    def _plain(self, value: Any) -> Any:
        if type(value) is self.tensor:
            return self.recorded(value)
        if isinstance(value, (list, tuple)):
            return type(value)(self._plain(v) for v in value)
        return value

    def _without_transpose(
        self, name: str, function: Callable[..., Any], args: tuple[Any, ...], shape: tuple[int | None, ...]
    ) -> Any:
        rank, x = len(shape), args[0]
        if name in self.unary and self._is_lazy(x) and not any(type(a) is self.tensor for a in args[1:]):
            return self.only_first(function(self.first(x), *args[1:]))
        if name in _BINARY:
            sides = [self.side(a, shape) if type(a) is self.tensor else a for a in args]
            return None if None in sides else self.only_first(function(*sides))
        if name in ("batch_normalization_training", "batch_normalization") and self._is_lazy(x):
            place = 1 if name.endswith("training") else 3
            if args[place] % rank != rank - 1:
                return None
            rest = [self._plain(a) for a in args[1:]]
            rest[place - 1] = 1
            results = function(self.first(x), *rest)
            return (
                (self.only_first(results[0]), *results[1:]) if name.endswith("training") else self.only_first(results)
            )
        if name == "concatenate" and args[1] % rank == rank - 1:
            return self.only_first(function([self.first(t) for t in x], 1))
        if name in _REDUCE and self._is_lazy(x):
            axis, keepdims = args[1], args[2]
            if isinstance(axis, (tuple, list)) and sorted(a % rank for a in axis) == list(range(1, rank - 1)):
                result = function(self.first(x), tuple(range(2, rank)), *args[2:])
                return self.only_first(result) if keepdims else result
        if name == "pad" and self._is_lazy(x):
            pairs = pad_pairs(args[1], rank)
            return self.only_first(function(self.first(x), tuple(pairs[a] for a in first_axes(rank)), *args[2:]))
        return None
