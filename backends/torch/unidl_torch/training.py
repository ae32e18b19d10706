"""Fused optimizer updates over flat lists of parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Apply = Callable[[list[Tensor]], None]


class _Number:
    """The value of a 0-d variable on the host, fetched only when the variable has changed."""

    def __init__(self, variable: Tensor) -> None:
        self.variable = variable
        self.version = -1
        self.value = 0.0

    def read(self) -> float:
        if self.version != self.variable._version:
            self.version = self.variable._version
            self.value = self.variable.item()
        return self.value


def _aligned(parameters: list[Tensor]) -> Callable[[list[Tensor]], list[Tensor]]:
    """Fused kernels walk memory side by side: gradients must be laid out as their parameters."""
    strides = [p.stride() for p in parameters]

    def align(gradients: list[Tensor]) -> list[Tensor]:
        if [g.stride() for g in gradients] == strides:
            return gradients
        return [
            g if g.stride() == s else torch.empty_like(p).copy_(g)
            for g, s, p in zip(gradients, strides, parameters, strict=True)
        ]

    return align


def sgd(optimizer: Any, variables: list[Tensor]) -> Apply:
    rate = _Number(optimizer.learning_rate)
    momentum, nesterov = optimizer.momentum, optimizer.nesterov
    velocities = optimizer.slots["momentum"] if momentum else []

    @torch.no_grad()
    def apply(gradients: list[Tensor]) -> None:
        lr = rate.read()
        if not momentum:
            torch._foreach_add_(variables, gradients, alpha=-lr)
            return
        torch._foreach_mul_(velocities, momentum)
        torch._foreach_add_(velocities, gradients, alpha=-lr)
        if nesterov:
            torch._foreach_add_(variables, velocities, alpha=momentum)
            torch._foreach_add_(variables, gradients, alpha=-lr)
        else:
            torch._foreach_add_(variables, velocities)

    return apply


def _adam(kernel: Any) -> Callable[[Any, list[Tensor]], Apply | None]:
    def make(optimizer: Any, variables: list[Tensor]) -> Apply | None:
        if any(v.is_complex() for v in variables):
            return None
        rate, iterations = _Number(optimizer.learning_rate), optimizer.iterations
        beta_1, beta_2, epsilon = optimizer.beta_1, optimizer.beta_2, optimizer.epsilon
        decay = getattr(optimizer, "decoupled_decay", 0.0)
        first, second = optimizer.slots["momentum"], optimizer.slots["velocity"]
        largest = optimizer.slots["velocity_hat"] if optimizer.amsgrad else []
        align = _aligned(variables)
        step = torch.zeros((), dtype=torch.float32, device=variables[0].device)
        steps = [step] * len(variables)
        count = _Number(iterations)

        @torch.no_grad()
        def apply(gradients: list[Tensor]) -> None:
            # The count is kept on the host: reading it back each step would wait for the device.
            t = int(count.read()) + 1
            step.fill_(t)
            kernel(
                variables, align(gradients), first, second, largest, steps,
                lr=rate.read(), beta1=beta_1, beta2=beta_2, weight_decay=decay,
                # Keras adds epsilon before the bias correction of the root, PyTorch after it.
                eps=epsilon / math.sqrt(1.0 - beta_2**t), amsgrad=optimizer.amsgrad, maximize=False,
                grad_scale=None, found_inf=None,
            )  # fmt: skip

        return apply

    return make


def rmsprop(optimizer: Any, variables: list[Tensor]) -> Apply | None:
    if optimizer.centered:
        return None
    rate, rho, epsilon, momentum = (
        _Number(optimizer.learning_rate),
        optimizer.rho,
        optimizer.epsilon,
        optimizer.momentum,
    )
    squares = optimizer.slots["velocity"]
    momenta = optimizer.slots["momentum"] if momentum else []

    @torch.no_grad()
    def apply(gradients: list[Tensor]) -> None:
        lr = rate.read()
        torch._foreach_mul_(squares, rho)
        torch._foreach_addcmul_(squares, gradients, gradients, 1.0 - rho)
        roots = torch._foreach_add(squares, epsilon)
        torch._foreach_sqrt_(roots)
        if momentum:
            torch._foreach_mul_(momenta, momentum)
            torch._foreach_addcdiv_(momenta, gradients, roots, lr)
            torch._foreach_sub_(variables, momenta)
        else:
            torch._foreach_addcdiv_(variables, gradients, roots, -lr)

    return apply


def adagrad(optimizer: Any, variables: list[Tensor]) -> Apply:
    rate, epsilon, squares = _Number(optimizer.learning_rate), optimizer.epsilon, optimizer.slots["accumulator"]

    @torch.no_grad()
    def apply(gradients: list[Tensor]) -> None:
        torch._foreach_addcmul_(squares, gradients, gradients)
        roots = torch._foreach_add(squares, epsilon)
        torch._foreach_sqrt_(roots)
        torch._foreach_addcdiv_(variables, gradients, roots, -rate.read())

    return apply


def adadelta(optimizer: Any, variables: list[Tensor]) -> Apply:
    rate, rho, epsilon = _Number(optimizer.learning_rate), optimizer.rho, optimizer.epsilon
    squares, sizes = optimizer.slots["accumulated_grad"], optimizer.slots["accumulated_delta_var"]

    @torch.no_grad()
    def apply(gradients: list[Tensor]) -> None:
        torch._foreach_mul_(squares, rho)
        torch._foreach_addcmul_(squares, gradients, gradients, 1.0 - rho)
        steps = torch._foreach_add(sizes, epsilon)
        torch._foreach_div_(steps, torch._foreach_add(squares, epsilon))
        torch._foreach_sqrt_(steps)
        torch._foreach_mul_(steps, gradients)
        torch._foreach_mul_(sizes, rho)
        torch._foreach_addcmul_(sizes, steps, steps, 1.0 - rho)
        torch._foreach_add_(variables, steps, alpha=-rate.read())

    return apply


def adamax(optimizer: Any, variables: list[Tensor]) -> Apply:
    rate, count = _Number(optimizer.learning_rate), _Number(optimizer.iterations)
    beta_1, beta_2, epsilon = optimizer.beta_1, optimizer.beta_2, optimizer.epsilon
    first, norms = optimizer.slots["momentum"], optimizer.slots["norm"]

    @torch.no_grad()
    def apply(gradients: list[Tensor]) -> None:
        torch._foreach_lerp_(first, gradients, 1.0 - beta_1)
        torch._foreach_mul_(norms, beta_2)
        torch._foreach_maximum_(norms, torch._foreach_abs(gradients))
        step = rate.read() / (1.0 - beta_1 ** (int(count.read()) + 1))
        torch._foreach_addcdiv_(variables, first, torch._foreach_add(norms, epsilon), -step)

    return apply


def lion(optimizer: Any, variables: list[Tensor]) -> Apply:
    rate, beta_1, beta_2 = _Number(optimizer.learning_rate), optimizer.beta_1, optimizer.beta_2
    first = optimizer.slots["momentum"]

    @torch.no_grad()
    def apply(gradients: list[Tensor]) -> None:
        steps = torch._foreach_mul(first, beta_1)
        torch._foreach_add_(steps, gradients, alpha=1.0 - beta_1)
        torch._foreach_sign_(steps)
        torch._foreach_add_(variables, steps, alpha=-rate.read())
        torch._foreach_mul_(first, beta_2)
        torch._foreach_add_(first, gradients, alpha=1.0 - beta_2)

    return apply


KERNELS: dict[str, Callable[[Any, list[Tensor]], Apply | None]] = {
    "sgd": sgd,
    "adam": _adam(torch._fused_adam_),
    "adamw": _adam(torch._fused_adamw_),
    "rmsprop": rmsprop,
    "adagrad": adagrad,
    "adadelta": adadelta,
    "adamax": adamax,
    "lion": lion,
}
