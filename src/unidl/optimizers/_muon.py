"""Muon: orthogonalized momentum for matrices, Adam for everything else."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from unidl import ops
from unidl.backend import active
from unidl.optimizers._adam import debiased
from unidl.optimizers._base import Optimizer
from unidl.optimizers._state import path_of


class Muon(Optimizer):
    """Steps along the orthogonal matrix nearest to a momentum (K. Jordan et al., 2024; J. Liu et al., 2025).

    For matrices ``m = momentum * m + g``, with `nesterov` ``m' = g + momentum * m``, else ``m' = m``;
    ``w -= learning_rate * rms_rate * sqrt(max(rows, columns)) * orthogonalized(m')``. Variables that are no matrices,
    embeddings, and those that `exclude_layers` names (the output layer should be one) take the steps of Adam.

    Args:
        adam_beta_1, adam_beta_2, epsilon: for Adam's steps.
        adam_weight_decay: weight decay of the variables that take Adam's steps; `weight_decay` is for the others.
        exclude_layers: regular expressions; variables in whose path one is found take Adam's steps.
        exclude_embeddings: so do those with "embedding" in their path.
        muon_a, muon_b, muon_c: coefficients of the Newton-Schulz iteration.
        adam_lr_ratio: Adam's learning rate is so many times the other.
        ns_steps: how often the Newton-Schulz iteration is repeated.
        rms_rate: makes steps about as large as Adam's; None: steps of norm 1 in each direction.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | None = 0.004,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.7750,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name, **kwargs,
        )  # fmt: skip
        self.adam_beta_1, self.adam_beta_2, self.epsilon = adam_beta_1, adam_beta_2, epsilon
        self.adam_weight_decay, self.adam_lr_ratio = adam_weight_decay, adam_lr_ratio
        self.exclude_layers, self.exclude_embeddings = list(exclude_layers or ()), exclude_embeddings
        self.muon_a, self.muon_b, self.muon_c = muon_a, muon_b, muon_c
        self.momentum, self.ns_steps, self.nesterov, self.rms_rate = momentum, ns_steps, nesterov, rms_rate

    def _should_use_adamw(self, variable: Any) -> bool:
        path = path_of(variable)
        if len(active.shape(variable)) != 2 or (self.exclude_embeddings and "embedding" in path.lower()):
            return True
        return any(re.search(pattern, path) for pattern in self.exclude_layers)

    @property
    def slot_names(self) -> tuple[str, ...]:
        return ("momentum", "velocity")

    def make_slot(self, name: str, variable: Any) -> Any:
        if name == "velocity" and not self._should_use_adamw(variable):
            return None
        return self.add_variable_from_reference(variable, name)

    def _decay_of(self, variable: Any) -> float:
        if self._is_excluded(variable):
            return 0.0
        return float((self.adam_weight_decay if self._should_use_adamw(variable) else self.weight_decay) or 0.0)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        m = self.slot("momentum", variable)
        if self._should_use_adamw(variable):
            self._adam_step(gradient, variable, ops.multiply(learning_rate, float(self.adam_lr_ratio)), m)
            return
        self.assign(m, ops.add(ops.multiply(m, self.momentum), gradient))
        ahead = ops.add(gradient, ops.multiply(m, self.momentum)) if self.nesterov else m
        step = self.lr_adjust(self.zeropower_via_newtonschulz5(ahead, self.ns_steps))
        self.assign_sub(variable, ops.multiply(step, learning_rate))

    def _adam_step(self, gradient: Any, variable: Any, learning_rate: Any, m: Any) -> None:
        v, t, dtype = self.slot("velocity", variable), self.update_number(variable), active.dtype(variable)
        self.assign_add(m, ops.multiply(ops.subtract(gradient, m), 1.0 - self.adam_beta_1))
        self.assign_add(v, ops.multiply(ops.subtract(ops.square(gradient), v), 1.0 - self.adam_beta_2))
        scale = self.once_per_update("scale", dtype, lambda: debiased(self.adam_beta_1, self.adam_beta_2, t, dtype))
        rate = ops.multiply(learning_rate, scale)
        self.assign_sub(variable, ops.divide(ops.multiply(m, rate), ops.add(ops.sqrt(v), self.epsilon)))

    def transpose_last_axis(self, X: Any) -> Any:
        """`X` with its last two dimensions exchanged."""
        return ops.swapaxes(X, -1, -2)

    def lr_adjust(self, x: Any) -> Any:
        """A step times ``rms_rate * sqrt(max(rows, columns))``."""
        if self.rms_rate is None:
            return x
        return ops.multiply(x, float(self.rms_rate) * math.sqrt(max(ops.shape(x)[-2:])))

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        """About the nearest orthogonal matrix to each matrix in `x`: singular values go to around 1.

        The polynomial ``a * s + b * s ** 3 + c * s ** 5`` of the singular values is applied `steps` times.

        Raises:
            ValueError: if `x` is no matrix.
        """
        shape = tuple(ops.shape(x))
        if len(shape) < 2:
            raise ValueError(f"Muon orthogonalizes matrices; `x` has shape {shape}, which is below 2 dimensions.")
        tall = shape[-2] > shape[-1]
        x = self.transpose_last_axis(x) if tall else x
        norm = ops.sqrt(ops.sum(ops.square(x), axis=(-2, -1), keepdims=True))
        x = ops.divide(x, ops.add(norm, 1e-7))
        for _ in range(steps):
            square = ops.matmul(x, self.transpose_last_axis(x))
            rest = ops.add(ops.multiply(square, self.muon_b), ops.multiply(ops.matmul(square, square), self.muon_c))
            x = ops.add(ops.multiply(x, self.muon_a), ops.matmul(rest, x))
        return self.transpose_last_axis(x) if tall else x
