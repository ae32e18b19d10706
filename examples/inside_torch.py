"""unidl layers inside a hand-written PyTorch module and training loop.

    UNIDL_BACKEND=torch python examples/inside_torch.py

On PyTorch a unidl layer is a `torch.nn.Module` and its weights are `Parameter`s, so everything that PyTorch code does
with modules works: composition with native modules, `torch.optim`, `.state_dict()`, `.to()`, `.train()`, `.eval()`.
"""

from __future__ import annotations

import copy
import os

import unidl

if unidl.backend.backend() != "torch":
    raise SystemExit("This example is about PyTorch: run it with UNIDL_BACKEND=torch.")

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer

from unidl import layers, ops

FAST = os.environ.get("UNIDL_EXAMPLE_FAST") == "1"

unidl.utils.set_random_seed(0)
torch.manual_seed(0)


class Gate(layers.Layer):
    """A unidl layer of one's own: ``x * sigmoid(x @ kernel)``; it would run on any engine."""

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], input_shape[-1]), name="kernel")

    def call(self, inputs):
        return ops.multiply(inputs, ops.sigmoid(ops.matmul(inputs, self.kernel)))


class Classifier(torch.nn.Module):
    """Native and unidl modules side by side."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first = torch.nn.Linear(features, 32)
        self.norm = layers.BatchNormalization()
        self.gate = Gate()
        self.drop = layers.Dropout(0.2)
        self.last = layers.Dense(2)
        # unidl layers make their weights at the first call, or here.
        for layer in (self.norm, self.gate, self.drop, self.last):
            layer.build((None, 32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.drop(self.gate(self.norm(self.first(x)))))


x, y = load_breast_cancer(return_X_y=True)
order = np.random.default_rng(0).permutation(len(x))
train, test = order[:455], order[455:]
x = (x - x[train].mean(0)) / x[train].std(0)
inputs, targets = torch.tensor(x, dtype=torch.float32), torch.tensor(y)

model = Classifier(inputs.shape[1])
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
model.train()  # BatchNormalization and Dropout obey
for _ in range(5 if FAST else 20):
    for batch in torch.as_tensor(train).split(32):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(inputs[batch]), targets[batch])
        loss.backward()
        optimizer.step()

model.eval()
with torch.no_grad():
    accuracy = (model(inputs[test]).argmax(1) == targets[test]).float().mean().item()

names = list(model.state_dict())
fresh = Classifier(inputs.shape[1]).eval()
fresh.load_state_dict(model.state_dict())
double = copy.deepcopy(model).to(torch.float64)
with torch.no_grad():
    same = torch.equal(fresh(inputs[test]), model(inputs[test]))
    change = (double(inputs[test].double()) - model(inputs[test])).abs().max().item()
print(f"state_dict: {', '.join(names)}")
print(f"a fresh model with that state_dict computes the same: {same}; .to(float64) changes outputs by {change:.1e}")
print(f"test accuracy {accuracy:.3f}")
