"""What can happen to gradients and variables around an update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from unidl import ops
from unidl.backend import active
from unidl.ops._bind import dtype_of

Gradients = Sequence[Any]
Apply = Callable[[Gradients], None]


def check_clipping(kind: str, clipnorm: Any, clipvalue: Any, global_clipnorm: Any) -> None:
    """Raise ValueError unless at most one of the numbers is given, and that is positive."""
    given = {
        n: v
        for n, v in (("clipnorm", clipnorm), ("clipvalue", clipvalue), ("global_clipnorm", global_clipnorm))
        if v is not None
    }
    if len(given) > 1:
        raise ValueError(f"{kind}: gradients are clipped in only one of these ways, not in {len(given)}: {given}.")
    for name, value in given.items():
        if not value > 0:
            raise ValueError(f"{kind}: `{name}` must be above 0, not {value}.")


def clips(optimizer: Any) -> bool:
    """Whether the optimizer's options ask for clipping."""
    return any(v is not None for v in (optimizer.clipnorm, optimizer.clipvalue, optimizer.global_clipnorm))


def clipped(optimizer: Any, gradients: Gradients) -> Gradients:
    """`gradients`, clipped as the optimizer's options say."""
    if optimizer.clipnorm is not None:
        return [_clipped(g, ops.sum(ops.square(g)), optimizer.clipnorm) for g in gradients]
    if optimizer.clipvalue is not None:
        v = float(optimizer.clipvalue)
        return [ops.clip(g, -v, v) for g in gradients]
    if optimizer.global_clipnorm is not None:
        return _clipped_together(gradients, optimizer.global_clipnorm)
    return gradients


def _clipped(gradient: Any, squares: Any, limit: float) -> Any:
    """`gradient` times ``limit / norm`` if that is below 1; infinite elements become NaN."""
    return ops.multiply(gradient, ops.cast(_factor(ops.sqrt(squares), limit), dtype_of(gradient)))


def _factor(norm: Any, limit: float) -> Any:
    return ops.divide(float(limit), ops.maximum(norm, float(limit)))


def _clipped_together(gradients: Gradients, limit: float) -> list[Any]:
    """All gradients times ``limit / norm`` of them together; a norm that is not finite makes all of them NaN."""
    squares = None
    for gradient in gradients:
        own = ops.cast(ops.sum(ops.square(gradient)), "float32")
        squares = own if squares is None else ops.add(squares, own)
    norm = ops.sqrt(squares)
    factor = ops.add(_factor(norm, limit), ops.subtract(norm, norm))
    return [ops.multiply(g, ops.cast(factor, dtype_of(g))) for g in gradients]


def decay(optimizer: Any, pairs: Sequence[tuple[Any, float]]) -> None:
    """Multiply variables by ``1 - learning_rate * factor`` (I. Loshchilov, F. Hutter, ICLR 2019)."""
    for variable, factor in pairs:
        kept = ops.subtract(1.0, ops.multiply(ops.cast(optimizer._rate, active.dtype(variable)), float(factor)))
        optimizer.assign(variable, ops.multiply(variable, kept))


def accumulating(optimizer: Any, variables: list[Any], update: Apply) -> Apply:
    """Sum gradients, and `update` by their mean at every `gradient_accumulation_steps`-th call."""
    steps = int(optimizer.gradient_accumulation_steps)
    sums = [optimizer.slot("gradient_accumulator", v) for v in variables]

    def accumulate(gradients: Gradients) -> None:
        totals = [ops.add(s, g) for s, g in zip(sums, gradients, strict=True)]

        def finish() -> None:
            optimizer._updates.assign(ops.floor_divide(optimizer._iterations, steps))
            update([ops.divide(t, float(steps)) for t in totals])
            for total in optimizer.slots["gradient_accumulator"]:
                total.assign(ops.zeros_like(total))

        def gather() -> None:
            for total, new in zip(sums, totals, strict=True):
                total.assign(new)

        ops.cond(_is_last(optimizer, steps), finish, gather)

    return accumulate


def _is_last(optimizer: Any, steps: int) -> Any:
    return ops.equal(ops.mod(ops.add(optimizer._iterations, 1), steps), 0)


def overwriting(optimizer: Any, variables: list[Any]) -> Apply:
    """Take gradients as new values; the greatest of them where gradients are gathered."""
    steps = optimizer.gradient_accumulation_steps

    def overwrite(gradients: Gradients) -> None:
        for variable, gradient in zip(variables, gradients, strict=True):
            if not steps:
                variable.assign(gradient)
                continue
            kept = optimizer.slot("gradient_accumulator", variable)
            last, greatest = _is_last(optimizer, steps), ops.maximum(gradient, kept)
            variable.assign(ops.where(last, greatest, variable))
            kept.assign(ops.where(last, ops.zeros_like(kept), greatest))

    return overwrite


def averaging(optimizer: Any) -> Callable[[], None]:
    """Moving averages of the variables, the first of them the values after the first update."""
    momentum, every = float(optimizer.ema_momentum), optimizer.ema_overwrite_frequency

    def update() -> None:
        iterations = optimizer.iterations
        kept_later = ops.multiply(ops.cast(ops.not_equal(iterations, 0), "float32"), momentum)
        is_due = None if every is None else ops.equal(ops.mod(ops.add(iterations, 1), int(every)), 0)
        for variable, average in zip(optimizer._trained, optimizer.slots["average"], strict=True):
            if average is None:
                continue
            kept = ops.cast(kept_later, active.dtype(variable))
            average.assign(ops.add(ops.multiply(average, kept), ops.multiply(variable, ops.subtract(1.0, kept))))
            if is_due is not None:
                optimizer.assign(variable, ops.where(is_due, average, variable))

    return update


def constrain(variables: Sequence[Any]) -> None:
    """Have each variable satisfy its constraint."""
    for variable in variables:
        variable.assign(variable.constraint(variable))
