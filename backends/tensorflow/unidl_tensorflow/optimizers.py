"""TensorFlow's fused optimizer kernels: one op for each variable, which updates it and its slots in place.

Each is used only where it computes what the optimizer's own `update_step` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from unidl_tensorflow._engine import tensorflow as tf

Apply = Callable[[list[Any]], None]

_raw = tf.raw_ops


def _by_dtype(variables: Sequence[Any], *values: Any) -> dict[Any, tuple[Any, ...]]:
    """Numbers and scalars cast once for each dtype among the variables."""
    return {d: tuple(tf.cast(v, d) for v in values) for d in {v.dtype for v in variables}}


def sgd(optimizer: Any, variables: Sequence[Any]) -> Apply:
    momentum, nesterov = optimizer.momentum, optimizer.nesterov
    velocities = optimizer.slots["momentum"] if momentum else [None] * len(variables)

    def apply(gradients: list[Any]) -> None:
        scalars = _by_dtype(variables, optimizer.learning_rate, momentum)
        for variable, velocity, gradient in zip(variables, velocities, gradients, strict=True):
            lr, factor = scalars[variable.dtype]
            if velocity is None:
                _raw.ResourceApplyGradientDescent(var=variable.handle, alpha=lr, delta=gradient)
            else:
                _raw.ResourceApplyKerasMomentum(
                    var=variable.handle, accum=velocity.handle, lr=lr, grad=gradient, momentum=factor,
                    use_nesterov=nesterov,
                )  # fmt: skip

    return apply


def adam(optimizer: Any, variables: Sequence[Any]) -> Apply:
    beta_1, beta_2, epsilon, amsgrad = optimizer.beta_1, optimizer.beta_2, optimizer.epsilon, optimizer.amsgrad
    decay = getattr(optimizer, "decoupled_decay", 0.0)
    first, second = optimizer.slots["momentum"], optimizer.slots["velocity"]
    largest = optimizer.slots["velocity_hat"] if amsgrad else [None] * len(variables)

    def apply(gradients: list[Any]) -> None:
        step = tf.cast(optimizer.iterations, tf.float32) + 1.0
        rate = tf.convert_to_tensor(optimizer.learning_rate)
        powers = tf.pow(beta_1, step), tf.pow(beta_2, step)
        scalars = _by_dtype(variables, rate, *powers, beta_1, beta_2, epsilon, 1.0 - rate * decay)
        for variable, m, v, top, gradient in zip(variables, first, second, largest, gradients, strict=True):
            lr, power_1, power_2, b1, b2, small, kept = scalars[variable.dtype]
            if decay:
                _raw.AssignVariableOp(resource=variable.handle, value=variable() * kept)
            if top is None:
                _raw.ResourceApplyAdam(
                    var=variable.handle, m=m.handle, v=v.handle, beta1_power=power_1, beta2_power=power_2, lr=lr,
                    beta1=b1, beta2=b2, epsilon=small, grad=gradient,
                )  # fmt: skip
            else:
                _raw.ResourceApplyAdamWithAmsgrad(
                    var=variable.handle, m=m.handle, v=v.handle, vhat=top.handle, beta1_power=power_1,
                    beta2_power=power_2, lr=lr, beta1=b1, beta2=b2, epsilon=small, grad=gradient,
                )  # fmt: skip

    return apply


def rmsprop(optimizer: Any, variables: Sequence[Any]) -> Apply:
    rho, epsilon, momentum, centered = optimizer.rho, optimizer.epsilon, optimizer.momentum, optimizer.centered
    squares = optimizer.slots["velocity"]
    momenta = optimizer.slots["momentum"] if momentum else []
    means = optimizer.slots["average_gradient"] if centered else []

    def apply(gradients: list[Any]) -> None:
        scalars = _by_dtype(variables, optimizer.learning_rate, rho, momentum, epsilon)
        for i, (variable, square, gradient) in enumerate(zip(variables, squares, gradients, strict=True)):
            lr, decay, factor, small = scalars[variable.dtype]
            if momentum:
                common = {
                    "var": variable.handle, "ms": square.handle, "mom": momenta[i].handle, "lr": lr, "rho": decay,
                    "momentum": factor, "epsilon": small, "grad": gradient,
                }  # fmt: skip
                if centered:
                    _raw.ResourceApplyCenteredRMSProp(mg=means[i].handle, **common)
                else:
                    _raw.ResourceApplyRMSProp(**common)
                continue
            mean_square = decay * square() + (1.0 - decay) * tf.square(gradient)
            _raw.AssignVariableOp(resource=square.handle, value=mean_square)
            if centered:
                mean = decay * means[i]() + (1.0 - decay) * gradient
                _raw.AssignVariableOp(resource=means[i].handle, value=mean)
                mean_square = mean_square - tf.square(mean)
            _raw.AssignSubVariableOp(resource=variable.handle, value=lr * gradient * tf.math.rsqrt(mean_square + small))

    return apply


def adadelta(optimizer: Any, variables: Sequence[Any]) -> Apply:
    squares, sizes = optimizer.slots["accumulated_grad"], optimizer.slots["accumulated_delta_var"]

    def apply(gradients: list[Any]) -> None:
        scalars = _by_dtype(variables, optimizer.learning_rate, optimizer.rho, optimizer.epsilon)
        for variable, square, size, gradient in zip(variables, squares, sizes, gradients, strict=True):
            lr, rho, small = scalars[variable.dtype]
            _raw.ResourceApplyAdadelta(
                var=variable.handle, accum=square.handle, accum_update=size.handle, lr=lr, rho=rho, epsilon=small,
                grad=gradient,
            )  # fmt: skip

    return apply


def adamax(optimizer: Any, variables: Sequence[Any]) -> Apply:
    first, norms = optimizer.slots["momentum"], optimizer.slots["norm"]

    def apply(gradients: list[Any]) -> None:
        power = tf.pow(optimizer.beta_1, tf.cast(optimizer.iterations, tf.float32) + 1.0)
        scalars = _by_dtype(
            variables, optimizer.learning_rate, power, optimizer.beta_1, optimizer.beta_2, optimizer.epsilon
        )
        for variable, m, norm, gradient in zip(variables, first, norms, gradients, strict=True):
            lr, power_1, b1, b2, small = scalars[variable.dtype]
            _raw.ResourceApplyAdaMax(
                var=variable.handle, m=m.handle, v=norm.handle, beta1_power=power_1, lr=lr, beta1=b1, beta2=b2,
                epsilon=small, grad=gradient,
            )  # fmt: skip

    return apply


KERNELS: dict[str, Callable[[Any, Sequence[Any]], Apply]] = {
    "sgd": sgd, "adam": adam, "adamw": adam, "rmsprop": rmsprop, "adadelta": adadelta,
    "adamax": adamax,
}  # fmt: skip
