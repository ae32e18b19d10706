"""Optimizers with options, and what to do with each: shared by test_keras_optimizers and the process that runs Keras.

It imports neither unidl nor Keras.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

SHAPES: list[tuple[int, ...]] = [(3, 4), (4, 2), (5,), (), (2, 3, 2)]
STEPS = 6


class Case(NamedTuple):
    """One optimizer.

    Attributes:
        name, kwargs: its class and options. An option `schedule` is a schedule's class and arguments.
        exclude: names that weight decay leaves out.
        missing: the variables that have no gradient at odd steps.
        infinite: the step at which one gradient is infinite.
        overwritten: the variables that take their gradient as their value.
    """

    name: str
    kwargs: dict[str, Any] = {}
    exclude: tuple[str, ...] = ()
    missing: tuple[int, ...] = ()
    infinite: int | None = None
    overwritten: tuple[int, ...] = ()

    @property
    def id(self) -> str:
        options = [f"{k}={v}" for k, v in self.kwargs.items()]
        rest = [f"{k}={v}" for k, v in self._asdict().items() if k not in ("name", "kwargs") and v not in ((), None)]
        return "-".join([self.name, *options, *rest]).replace(" ", "").replace("/", "|")


# ScheduleFreeAdamW is checked by its formula, in test_optimizers: on TensorFlow and PyTorch Keras 3.15 reads the moved
# `z` where it means the one before the step, because `Variable.value` is no copy there.
OWN: dict[str, list[dict[str, Any]]] = {
    "SGD": [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}],
    "Adam": [{}, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.01}, {"amsgrad": True, "beta_2": 0.5}],
    "AdamW": [{}, {"weight_decay": 0.3, "amsgrad": True}],
    "RMSprop": [{}, {"momentum": 0.5}, {"centered": True, "epsilon": 0.1}, {"centered": True, "momentum": 0.5}],
    "Adagrad": [{}, {"initial_accumulator_value": 0.0, "epsilon": 0.01}],
    "Adadelta": [{}, {"rho": 0.5, "epsilon": 0.01}],
    "Adamax": [{}, {"beta_1": 0.5, "beta_2": 0.6, "epsilon": 0.01}],
    "Nadam": [{}, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.01}],
    "Ftrl": [
        {},
        {"learning_rate_power": -0.2, "initial_accumulator_value": 0.4, "beta": 0.3},
        {"l1_regularization_strength": 0.05, "l2_regularization_strength": 0.1},
        {"l2_shrinkage_regularization_strength": 0.2, "learning_rate_power": 0.0},
    ],
    "Lion": [{}, {"beta_1": 0.5, "beta_2": 0.6}],
    "Lamb": [{}, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.01}],
    "Adafactor": [
        {},
        {"beta_2_decay": -0.5, "epsilon_1": 1e-3, "epsilon_2": 0.1, "clip_threshold": 0.5, "relative_step": False},
    ],
    "Muon": [
        {},
        {"exclude_layers": ["w1"], "nesterov": False, "rms_rate": None, "adam_weight_decay": None},
        {"adam_lr_ratio": 0.1, "momentum": 0.5, "ns_steps": 3, "adam_beta_1": 0.5, "adam_beta_2": 0.9},
    ],
}  # fmt: skip
COMMON: list[dict[str, Any]] = [
    {"weight_decay": 0.2},
    {"clipnorm": 0.7},
    {"clipvalue": 0.3},
    {"global_clipnorm": 1.5},
    {"use_ema": True, "ema_momentum": 0.7},
    {"use_ema": True, "ema_momentum": 0.7, "ema_overwrite_frequency": 2},
    {"loss_scale_factor": 8.0},
    {"gradient_accumulation_steps": 2},
    {"gradient_accumulation_steps": 2, "weight_decay": 0.2, "clipnorm": 0.7, "loss_scale_factor": 8.0},
    {"gradient_accumulation_steps": 2, "use_ema": True, "ema_momentum": 0.7, "ema_overwrite_frequency": 2},
    {"schedule": ("ExponentialDecay", (0.1, 1, 0.5))},
    {"schedule": ("ExponentialDecay", (0.1, 1, 0.5)), "gradient_accumulation_steps": 3},
]
CASES = [
    *(Case(name, kwargs) for name, variants in OWN.items() for kwargs in variants),
    *(Case(name, kwargs) for name in ("SGD", "Adam", "Nadam") for kwargs in COMMON),
    *(Case(name, COMMON[8] | {"use_ema": True}) for name in OWN if name not in ("SGD", "Adam", "Nadam")),
    *(Case(name, {"weight_decay": 0.2}, exclude=("w1", "w[34]")) for name in ("SGD", "AdamW", "Adagrad", "Muon")),
    *(Case(name, {"gradient_accumulation_steps": 2}, missing=(1, 3)) for name in ("SGD", "RMSprop", "Adafactor")),
    Case("Adam", {"use_ema": True}, missing=(0,)),
    Case("SGD", {"loss_scale_factor": 4.0}, overwritten=(1,)),
    Case("Adamax", {"gradient_accumulation_steps": 3}, overwritten=(0, 2)),
    Case("SGD", {"global_clipnorm": 1.0}, infinite=STEPS - 1),
    Case("SGD", {"clipnorm": 1.0}, infinite=STEPS - 1),
    Case("LossScaleOptimizer", {"inner": ("SGD", {"momentum": 0.9}), "initial_scale": 8.0, "dynamic_growth_steps": 2},
         infinite=3),
    Case("LossScaleOptimizer", {"inner": ("Adam", {"weight_decay": 0.1}), "initial_scale": 2.0}, overwritten=(1,)),
    Case("LossScaleOptimizer", {"inner": ("Adam", {"gradient_accumulation_steps": 2})}, infinite=2),
    Case("MultiOptimizer", {"default": ("SGD", {"momentum": 0.9}), "w[02]": ("Adam", {}),
                            "w3": ("Lion", {"weight_decay": 0.1})}),
    Case("MultiOptimizer", {"default": ("Nadam", {}), "w[0-3]": ("Ftrl", {}), "loss_scale_factor": 4.0}),
]  # fmt: skip


def made(case: Case, optimizers: Any) -> Any:
    """The optimizer of a case, from `unidl.optimizers` or `keras.optimizers`."""
    kwargs = dict(case.kwargs)
    if case.name == "LossScaleOptimizer":
        name, options = kwargs.pop("inner")
        return optimizers.LossScaleOptimizer(getattr(optimizers, name)(0.05, **options), **kwargs)
    if case.name == "MultiOptimizer":
        factor = kwargs.pop("loss_scale_factor", None)
        each = {key: getattr(optimizers, name)(0.05, **options) for key, (name, options) in kwargs.items()}
        return optimizers.MultiOptimizer(optimizers.OptimizerMap(each.pop("default"), each), loss_scale_factor=factor)
    name, arguments = kwargs.pop("schedule", (None, ()))
    rate = 0.05 if name is None else getattr(optimizers.schedules, name)(*arguments)
    optimizer = getattr(optimizers, case.name)(rate, **kwargs)
    if case.exclude:
        optimizer.exclude_from_weight_decay(var_names=list(case.exclude))
    return optimizer


def data(case: Case) -> tuple[list[np.ndarray], list[list[np.ndarray | None]]]:
    """Weights, and the gradients of each step."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=s).astype("float32") for s in SHAPES]
    steps: list[list[Any]] = [[rng.normal(size=s).astype("float32") for s in SHAPES] for _ in range(STEPS)]
    for i, gradients in enumerate(steps):
        if i == case.infinite:
            gradients[0][1, 1] = np.inf
        if i % 2:
            steps[i] = [None if place in case.missing else g for place, g in enumerate(gradients)]
    return weights, steps


def results(
    case: Case, optimizers: Any, variable: Callable[..., Any], tensor: Callable[..., Any], array: Callable[..., Any]
) -> dict[str, np.ndarray]:
    """The weights after each step, and the whole state after the last."""
    weights, steps = data(case)
    variables = [variable(w, name=f"w{i}") for i, w in enumerate(weights)]
    for place in case.overwritten:
        variables[place].overwrite_with_gradient = True
    optimizer = made(case, optimizers)
    optimizer.build(variables)
    found = {}
    for i, gradients in enumerate(steps):
        optimizer.apply([None if g is None else tensor(g) for g in gradients], variables)
        found |= {f"step {i} w{place}": array(v).copy() for place, v in enumerate(variables)}
    store: dict[str, Any] = {}
    optimizer.save_own_variables(store)
    found |= {f"state {key}": np.asarray(value, "float32") for key, value in store.items()}
    optimizer.finalize_variable_values(variables)
    return found | {f"final w{place}": array(v).copy() for place, v in enumerate(variables)}
