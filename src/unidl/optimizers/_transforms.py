"""What can happen to gradients and variables around an update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from unidl import ops
from unidl.backend import active

Gradients = Sequence[Any]


def check_clipping(kind: str, clipnorm: Any, clipvalue: Any, global_clipnorm: Any) -> None:
    """Raise ValueError unless at most one of the numbers is given, and that is positive."""
    given = {
        n: v
        for n, v in (("clipnorm", clipnorm), ("clipvalue", clipvalue), ("global_clipnorm", global_clipnorm))
        if v is not None
    }
    if len(given) > 1:
        raise ValueError(f"{kind}: only one of clipnorm, clipvalue and global_clipnorm may be given, not {given}.")
    for name, value in given.items():
        if not value > 0:
            raise ValueError(f"{kind}: `{name}` must be above 0, not {value}.")


def clipping(optimizer: Any) -> Callable[[Gradients], Gradients] | None:
    """The clipping that the optimizer's options ask for, as a function of all gradients."""
    if optimizer.clipnorm is not None:
        return lambda gradients: [_clipped(g, ops.sum(ops.square(g)), optimizer.clipnorm) for g in gradients]
    if optimizer.clipvalue is not None:
        v = float(optimizer.clipvalue)
        return lambda gradients: [ops.clip(g, -v, v) for g in gradients]
    if optimizer.global_clipnorm is not None:
        return lambda gradients: _clipped_together(gradients, optimizer.global_clipnorm)
    return None


def _clipped(gradient: Any, squares: Any, limit: float) -> Any:
    """`gradient` times ``limit / norm`` if that is below 1; a norm that is not finite makes it NaN."""
    norm = ops.sqrt(squares)
    return ops.multiply(
        gradient, ops.cast(ops.divide(float(limit), ops.maximum(norm, float(limit))), active.dtype(gradient))
    )


def _clipped_together(gradients: Gradients, limit: float) -> list[Any]:
    squares = None
    for gradient in gradients:
        own = ops.cast(ops.sum(ops.square(gradient)), "float32")
        squares = own if squares is None else ops.add(squares, own)
    return [_clipped(g, squares, limit) for g in gradients]


def decay(variables: Sequence[Any], rate: Any, factor: Any) -> None:
    """Multiply the variables by ``1 - rate * factor`` (I. Loshchilov, F. Hutter, ICLR 2019)."""
    for variable in variables:
        kept = ops.subtract(1.0, ops.multiply(ops.cast(rate, active.dtype(variable)), float(factor)))
        variable.assign(ops.multiply(variable, kept))


def averaging(optimizer: Any, variables: list[Any]) -> Callable[[], None]:
    """Moving averages of the variables, the first of them the values after the first step."""
    averages = [optimizer.slot("average", v) for v in variables]
    iterations, momentum, every = optimizer.iterations, optimizer.ema_momentum, optimizer.ema_overwrite_frequency

    def update() -> None:
        later = ops.cast(ops.not_equal(iterations, 0), "float32")
        is_due = None if every is None else ops.equal(ops.mod(ops.add(iterations, 1), int(every)), 0)
        for variable, average in zip(variables, averages, strict=True):
            kept = ops.cast(ops.multiply(later, float(momentum)), active.dtype(variable))
            average.assign(ops.add(ops.multiply(average, kept), ops.multiply(variable, ops.subtract(1.0, kept))))
            if is_due is not None:
                variable.assign(ops.where(is_due, average, variable))

    return update


def constrain(variables: Sequence[Any]) -> None:
    """Have each variable satisfy its constraint."""
    for variable in variables:
        variable.assign(variable.constraint(variable))
