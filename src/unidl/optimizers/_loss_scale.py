"""Loss scaling that finds its factor by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from unidl import initializers, ops
from unidl.backend import active
from unidl.ops._bind import dtype_of
from unidl.optimizers._base import Optimizer
from unidl.optimizers._state import is_overwritten
from unidl.optimizers._updating import Apply, Gradients
from unidl.saving.objects import plain

_FIXED: dict[str, Any] = {
    "weight_decay": None, "clipnorm": None, "global_clipnorm": None, "clipvalue": None, "use_ema": False,
    "ema_momentum": 0.99, "ema_overwrite_frequency": None, "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}  # fmt: skip


class LossScaleOptimizer(Optimizer):
    """Another optimizer, for losses scaled so that gradients do not vanish in float16 (P. Micikevicius et al., 2018).

    `scale_loss` multiplies by the present scale; `apply` divides by it. If a gradient is not finite, the update is left
    out, and the scale is halved. After `dynamic_growth_steps` updates without such an event it is doubled.

    Args:
        inner_optimizer: makes the updates. Its own `loss_scale_factor` is set to None.
        initial_scale: the first scale. One that is too high is lowered soon.
        dynamic_growth_steps: after how many good updates the scale grows.

    Attributes:
        dynamic_scale: the present scale, a variable.
        step_counter: good updates since the scale changed.

    Example:
        >>> import unidl
        >>> optimizer = unidl.optimizers.LossScaleOptimizer(unidl.optimizers.SGD(0.5), initial_scale=4.0)
        >>> weight = unidl.Variable([1.0])
        >>> optimizer.apply([unidl.ops.array([float("inf")])], [weight])
        >>> float(weight[0]), float(optimizer.dynamic_scale)
        (1.0, 2.0)
        >>> optimizer.apply([unidl.ops.array([2.0])], [weight])
        >>> float(weight[0])
        0.5
    """

    def __init__(
        self,
        inner_optimizer: Any,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not kwargs.pop("dynamic", True):
            raise ValueError(
                "LossScaleOptimizer is always dynamic. For a fixed factor set `loss_scale_factor` of the optimizer."
            )
        for option in sorted(set(kwargs) & set(_FIXED)):
            if kwargs.pop(option) != _FIXED[option]:
                raise ValueError(
                    f"LossScaleOptimizer has no `{option}` of its own: set it on the `inner_optimizer` instead."
                )
        if kwargs:
            raise ValueError(f"LossScaleOptimizer does not know the arguments: `{'`, `'.join(kwargs)}`.")
        if not isinstance(inner_optimizer, Optimizer):
            raise ValueError(f"LossScaleOptimizer: `inner_optimizer` must be an optimizer, not {inner_optimizer!r}.")
        if not initial_scale > 0 or dynamic_growth_steps < 1:
            raise ValueError(
                "LossScaleOptimizer: `initial_scale` must be above 0 and `dynamic_growth_steps` at least 1, not "
                f"{initial_scale} and {dynamic_growth_steps}."
            )
        super().__init__(0.0, name=name)
        inner_optimizer.loss_scale_factor = None
        self.inner_optimizer, self.initial_scale = inner_optimizer, initial_scale
        self.dynamic_growth_steps = dynamic_growth_steps
        # Here and not in build(): a step may be recorded before, and must not take the first scale for good.
        self.step_counter = self.add_variable((), dtype="int32", name="step_counter")
        start = initializers.Constant(float(initial_scale))
        self.dynamic_scale = self.add_variable((), start, "float32", name="dynamic_scale")

    def build(self, variables: Sequence[Any]) -> None:
        """Build the inner optimizer."""
        self.inner_optimizer._ensure_built(variables)
        super().build(variables)

    @property
    def variables(self) -> list[Any]:
        """The optimizer's own, the scale among them, and those of the inner optimizer."""
        return super().variables + self.inner_optimizer.variables

    @property
    def learning_rate(self) -> Any:
        """That of the inner optimizer."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    @property
    def iterations(self) -> Any:
        """How many updates the inner optimizer has made."""
        return self.inner_optimizer.iterations

    def scale_loss(self, loss: Any) -> Any:
        """`loss` times the present scale."""
        return ops.multiply(loss, self.dynamic_scale)

    def check_finite(self, grads: Gradients) -> Any:
        """Whether all gradients are finite: a 0-d bool tensor."""
        found = None
        for gradient in grads:
            if gradient is not None:
                own = ops.all(ops.isfinite(gradient))
                found = own if found is None else ops.logical_and(found, own)
        return ops.convert_to_tensor(True) if found is None else found

    def graph(self, variables: Sequence[Any]) -> None:
        """None: whether there is an update depends on the gradients' values."""

    def _resolved(self, variables: list[Any]) -> Apply:
        inner, no_grad = self.inner_optimizer, active.no_grad
        scaled = [not is_overwritten(v) for v in variables]

        def good(gradients: Gradients) -> None:
            scale = self.dynamic_scale
            inner._run(
                [
                    ops.divide(g, ops.cast(scale, dtype_of(g))) if wanted else g
                    for g, wanted in zip(gradients, scaled, strict=True)
                ],
                variables,
            )
            is_due = ops.equal(self.step_counter, int(self.dynamic_growth_steps) - 1)
            scale.assign(ops.multiply(scale, ops.where(is_due, 2.0, 1.0)))
            self.step_counter.assign(ops.where(is_due, 0, ops.add(self.step_counter, 1)))

        def bad() -> None:
            self.dynamic_scale.assign(ops.multiply(self.dynamic_scale, 0.5))
            self.step_counter.assign(ops.zeros_like(self.step_counter))

        def apply(gradients: Gradients) -> None:
            with no_grad():
                ops.cond(self.check_finite(gradients), lambda: good(gradients), bad)

        return apply

    def finalize_variable_values(self, var_list: Sequence[Any]) -> None:
        """As the inner optimizer does it."""
        self.inner_optimizer.finalize_variable_values(var_list)

    def exclude_from_weight_decay(
        self, var_list: Sequence[Any] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """As the inner optimizer does it."""
        self.inner_optimizer.exclude_from_weight_decay(var_list, var_names)

    def get_config(self) -> dict[str, Any]:
        """The inner optimizer's configuration, and how the scale starts and grows."""
        return {
            "name": self.name,
            "inner_optimizer": plain(self.inner_optimizer),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The optimizer that `get_config` described, without its state."""
        from unidl.optimizers import deserialize

        rest = dict(config)
        return cls(deserialize(rest.pop("inner_optimizer"), custom_objects), **rest)
