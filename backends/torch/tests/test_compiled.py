"""`jit_compile=True`: a training step is one compiled graph; and PyTorch's own kernels that unidl goes around."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch._dynamo.utils

import unidl
from unidl import layers
from unidl.backend import active
from unidl_torch import nn, training


def model(jit: bool, optimizer: Any, *body: Any) -> Any:
    unidl.utils.set_random_seed(0)
    net = unidl.Sequential([unidl.Input((4,)), *body, layers.Dense(1)])
    net.compile(optimizer, "mse", metrics=["mae"], jit_compile=jit)
    return net


def data(samples: int = 24) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(samples, 4)).astype("float32")
    return x, x.sum(1, keepdims=True)


@pytest.mark.long
def test_a_compiled_training_step_is_one_graph_and_does_the_same() -> None:
    x, y = data()
    found = []
    for jit in (False, True):
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        optimizer = unidl.optimizers.AdamW(unidl.optimizers.schedules.ExponentialDecay(0.01, 5, 0.5), clipnorm=1.0)
        net = model(jit, optimizer, layers.Dense(8, "relu"), layers.BatchNormalization())
        histories = [net.fit(x[:n], y[:n], batch_size=8, epochs=2, verbose=0).history for n in (24, 20)]
        found.append((histories, net.get_weights(), int(optimizer.iterations)))
    counters = torch._dynamo.utils.counters
    assert not counters["graph_break"] and counters["stats"]["unique_graphs"] == 1
    (plain, ours, count), (compiled, theirs, again) = found
    assert count == again == 12
    for a, b in zip(plain, compiled, strict=True):
        for name, values in a.items():
            np.testing.assert_allclose(b[name], values, rtol=1e-5, err_msg=name)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_an_update_is_a_graph_of_its_gradients() -> None:
    x, y = data()
    found = []
    for recorded in (False, True):
        optimizer = unidl.optimizers.Adam(0.05, global_clipnorm=1.0, use_ema=True, weight_decay=0.01)
        net = model(False, optimizer, layers.Dense(3, "tanh"))
        variables = net.trainable_variables
        optimizer.build(variables)
        if recorded:
            graph = optimizer.graph(variables)
            assert graph is not None and graph.updates
            run = unidl.backend.active.executable(graph)
            apply = lambda gradients, run=run: run(*gradients)
        else:
            apply = optimizer.updater(variables)
        for _ in range(3):
            loss = ((net(torch.from_numpy(x)) - torch.from_numpy(y)) ** 2).mean()
            apply(list(torch.autograd.grad(loss, variables)))
        found.append([*net.get_weights(), *[v.detach().numpy().copy() for v in optimizer.variables]])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_from_packed_bits(rate: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(300, 401, requires_grad=True)
    out = nn.random_dropout(x, rate)
    kept = out != 0
    assert abs(kept.double().mean().item() - (1 - rate)) < 4 * (rate * (1 - rate) / x.numel()) ** 0.5
    assert len(out[kept].unique()) == 1
    # Neighbours, which share a random number, do not depend on each other.
    together = (kept[:, 1:] & kept[:, :-1]).double().mean().item()
    assert together == pytest.approx((1 - rate) ** 2, abs=0.01)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    torch.testing.assert_close(gradient, out.detach())
    torch.manual_seed(0)
    assert torch.equal(nn.random_dropout(x, rate), out)


def test_the_fused_adam_is_what_trains() -> None:
    net = model(False, "adam", layers.Dense(3))
    net.optimizer.build(net.trainable_variables)
    calls = []
    kernel = training.KERNELS["adam"]
    training.KERNELS["adam"] = lambda *given: (calls.append(given), kernel(*given))[1]
    try:
        net.fit(*data(), verbose=0)
    finally:
        training.KERNELS["adam"] = kernel
    assert len(calls) == 1


def test_graphs_alike_are_compiled_each_for_itself() -> None:
    """Their replays share a code object, and PyTorch keeps what it compiled with that."""
    x = np.ones((2, 3), "float32")
    for factor in (2.0, 3.0):
        layer = unidl.layers.Dense(1, use_bias=False, kernel_initializer=unidl.initializers.Constant(factor))
        model = unidl.Sequential([unidl.Input((3,)), layer])
        run = active.executable(model.graph(), jit=True)
        np.testing.assert_allclose(run(active.to_tensor(x))[0].detach().numpy(), 3 * factor * x[:, :1])
