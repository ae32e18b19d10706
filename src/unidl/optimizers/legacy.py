"""The optimizers of Keras 2 under their old names: they are not here, and say what is in their place."""

from __future__ import annotations

from typing import Any


class Optimizer:
    """What the old optimizers have in common: none can be made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kind = type(self).__name__
        raise ImportError(
            f"unidl.optimizers.legacy.{kind} belongs to Keras 2. Use unidl.optimizers.{kind}; in place of `decay` give "
            "`learning_rate` a schedule such as unidl.optimizers.schedules.InverseTimeDecay."
        )


class Adagrad(Optimizer):
    """Use `unidl.optimizers.Adagrad`."""


class Adam(Optimizer):
    """Use `unidl.optimizers.Adam`."""


class Ftrl(Optimizer):
    """Use `unidl.optimizers.Ftrl`."""


class RMSprop(Optimizer):
    """Use `unidl.optimizers.RMSprop`."""


class SGD(Optimizer):
    """Use `unidl.optimizers.SGD`."""


__all__ = ["SGD", "Adagrad", "Adam", "Ftrl", "Optimizer", "RMSprop"]
