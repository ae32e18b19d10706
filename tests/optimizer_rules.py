"""Update rules in plain NumPy, and what the tests of optimizers share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import unidl
from unidl.backend import active

Arrays = list[np.ndarray]
SHAPES: list[tuple[int, ...]] = [(3, 4), (5,), ()]
STEPS = 5


def start() -> tuple[Arrays, list[Arrays]]:
    """Weights, and the gradients of each step."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=s).astype("float32") for s in SHAPES]
    return weights, [[rng.normal(size=s).astype("float32") for s in SHAPES] for _ in range(STEPS)]


def made(weights: Arrays) -> list[Any]:
    return [unidl.Variable(w, name=f"w{i}") for i, w in enumerate(weights)]


def values(variables: list[Any]) -> Arrays:
    return [active.to_numpy(v).copy() for v in variables]


def trained(optimizer: Any, steps: int = STEPS) -> Arrays:
    """What the optimizer makes of the weights, by its updater."""
    weights, gradients = start()
    variables = made(weights)
    update = optimizer.updater(variables)
    for some in gradients[:steps]:
        update([active.to_tensor(g) for g in some])
    return values(variables)


def sgd(
    w: Any, g: Any, s: dict[str, Any], t: int, lr: float = 0.01, momentum: float = 0.0, nesterov: bool = False
) -> Any:
    s["m"] = momentum * s.get("m", 0) - lr * g
    return w + (momentum * s["m"] - lr * g if nesterov else s["m"])


def adam(
    w: Any, g: Any, s: dict[str, Any], t: int, lr: float = 0.001, beta_1: float = 0.9, beta_2: float = 0.999,
    epsilon: float = 1e-7, amsgrad: bool = False,
) -> Any:  # fmt: skip
    s["m"] = beta_1 * s.get("m", 0) + (1 - beta_1) * g
    s["v"] = beta_2 * s.get("v", 0) + (1 - beta_2) * g * g
    v = s["h"] = np.maximum(s.get("h", 0), s["v"]) if amsgrad else s["v"]
    return w - lr * math.sqrt(1 - beta_2**t) / (1 - beta_1**t) * s["m"] / (np.sqrt(v) + epsilon)


def rmsprop(
    w: Any, g: Any, s: dict[str, Any], t: int, lr: float = 0.001, rho: float = 0.9, momentum: float = 0.0,
    epsilon: float = 1e-7, centered: bool = False,
) -> Any:  # fmt: skip
    s["v"] = rho * s.get("v", 0) + (1 - rho) * g * g
    s["a"] = rho * s.get("a", 0) + (1 - rho) * g
    scale = s["v"] - s["a"] ** 2 if centered else s["v"]
    s["m"] = momentum * s.get("m", 0) + lr * g / np.sqrt(scale + epsilon)
    return w - s["m"]


def schedule_free(
    w: Any, g: Any, s: dict[str, Any], t: int, lr: float = 0.0025, beta_1: float = 0.9, beta_2: float = 0.999,
    epsilon: float = 1e-8, warmup_steps: int = 0,
) -> Any:  # fmt: skip
    z, x, v = s.setdefault("z", w), s.setdefault("x", w), s.setdefault("v", 0 * g)
    s["v"] = beta_2 * v + (1 - beta_2) * g * g
    rate = lr * min(1.0, t / warmup_steps) if warmup_steps else lr
    s["z"] = z - rate * g / (np.sqrt(s["v"] / (1 - beta_2**t)) + epsilon)
    s["x"] = (1 - 1 / t) * x + s["z"] / t
    return (1 - beta_1) * s["z"] + beta_1 * s["x"]


def reference(rule: Any, decay: float = 0.0, lr: float = 0.01, clip: Any = None, **kwargs: Any) -> Arrays:
    weights, gradients = start()
    state: list[dict[str, Any]] = [{} for _ in weights]
    current = [w.astype("float64") for w in weights]
    for t, some in enumerate(gradients, 1):
        some = [g.astype("float64") for g in some]
        some = clip(some) if clip else some
        for i, g in enumerate(some):
            current[i] = rule(current[i] * (1 - lr * decay), g, state[i], t, lr=lr, **kwargs)
    return current


def close(got: Arrays, expected: Arrays) -> None:
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def by_hand(model: Any, optimizer: Any, x: np.ndarray, y: np.ndarray) -> None:
    """What `fit` does with batches of 4."""
    loss_of = unidl.losses.MeanSquaredError()
    step = unidl.value_and_grad(lambda x, y: optimizer.scale_loss(loss_of(y, model(x))), model)
    for i in range(0, len(x), 4):
        _, gradients = step(x[i : i + 4], y[i : i + 4])
        optimizer.apply(gradients, model.trainable_variables)
    optimizer.finalize_variable_values(model.trainable_variables)


def small_model() -> Any:
    unidl.utils.set_random_seed(0)
    return unidl.Sequential([unidl.Input((2,)), unidl.layers.Dense(3, "tanh"), unidl.layers.Dense(1)])
