"""PyTorch's own way to train: unidl's models, losses, metrics and optimizers in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import unidl
from unidl import layers, losses, metrics, optimizers


def data() -> tuple[torch.Tensor, torch.Tensor]:
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    return torch.from_numpy(x), torch.from_numpy(x.sum(1, keepdims=True))


def model() -> Any:
    unidl.utils.set_random_seed(0)
    return unidl.Sequential([unidl.Input((3,)), layers.Dense(4, "tanh"), layers.Dense(1)])


def test_backward_and_apply() -> None:
    x, y = data()
    net, optimizer, loss_of, metric = (
        model(),
        optimizers.Nadam(0.05),
        losses.MeanSquaredError(),
        metrics.MeanSquaredError(),
    )
    found = []
    for _ in range(3):
        y_pred = net(x)
        loss = loss_of(y, y_pred)
        net.zero_grad()
        loss.backward()
        weights = net.trainable_weights
        with torch.no_grad():
            optimizer.apply([v.value.grad for v in weights], weights)
        metric.update_state(y, y_pred)
        found.append(loss.item())
    assert found[0] > found[1] > found[2]
    np.testing.assert_allclose(float(metric.result()), np.mean(found), rtol=1e-5)
    other = model()
    other.compile(optimizers.Nadam(0.05), "mse")
    history = other.fit(x, y, batch_size=64, epochs=3, verbose=0).history
    np.testing.assert_allclose(history["loss"], found, rtol=1e-5)


def test_parameters_of_other_modules() -> None:
    x, y = data()
    torch.manual_seed(0)
    net = torch.nn.Linear(3, 1)
    twin = torch.nn.Linear(3, 1)
    twin.load_state_dict(net.state_dict())
    ours, theirs = optimizers.SGD(0.1, momentum=0.5), torch.optim.SGD(twin.parameters(), 0.1, momentum=0.5)
    for _ in range(3):
        for each in (net, twin):
            each.zero_grad()
            torch.nn.functional.mse_loss(each(x), y).backward()
        ours.apply([p.grad for p in net.parameters()], list(net.parameters()))
        theirs.step()
    for a, b in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b)
