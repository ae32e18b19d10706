"""What a layer needs to know about a piece of an engine's own code that it wraps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any


class NativeModule(ABC):
    """A module of the engine (`torch.nn.Module`, a gluon block, a SavedModel), made by `Backend.native_module`.

    Attributes:
        source: the engine's object.
    """

    source: Any

    def prepare(self, inputs: Sequence[Any]) -> None:  # noqa: B027  (most modules have nothing to do)
        """Make what depends on the inputs' shapes, if `variables` lacks it. Called once, before the first call."""

    @abstractmethod
    def variables(self) -> list[Any]:
        """The module's parameters and state, as `Backend.Variable`s whose `trainable` says which are trained.

        They are the module's own: changing one changes what the module computes.
        """

    @abstractmethod
    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any], training: bool) -> Any:
        """What the module gives for native tensors."""


__all__ = ["NativeModule"]
