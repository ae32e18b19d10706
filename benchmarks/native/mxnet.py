"""Gluon: hybridized nets, a `Trainer` with Adam; at best the engine that runs ops as they come.

There is no transformer here: gluon has no attention.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from workloads import HIDDEN, RESNET, WORKLOADS, data

os.environ.setdefault("MXNET_ENGINE_TYPE", "NaiveEngine" if "best" in sys.argv else "ThreadedEnginePerDevice")
# MXNet 1.9 needs the help of its backend to import beside a recent NumPy.
import unidl  # noqa: F401
from unidl_mxnet._engine import mx

gluon = mx.gluon
nn = gluon.nn
STATIC = {"static_alloc": True, "static_shape": True}


class Recurrent(gluon.HybridBlock):
    def __init__(self, tokens: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, 64)
        self.lstm = gluon.rnn.LSTM(64, layout="NTC", input_size=64)
        self.head = nn.Dense(classes)

    def hybrid_forward(self, F: Any, x: Any, hidden: Any, cell: Any) -> Any:
        # The first state is an input: with NumPy's shapes gluon cannot infer the one that it makes itself.
        _out, (hidden, _cell) = self.lstm(self.embedding(x), [hidden, cell])
        return self.head(F.np.squeeze(hidden, axis=0))


class Residual(gluon.HybridBlock):
    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.body, self.short = nn.HybridSequential(), nn.HybridSequential()
        self.body.add(
            nn.Conv2D(channels, 3, stride, 1, use_bias=False, in_channels=before), nn.BatchNorm(),
            nn.Activation("relu"),
            nn.Conv2D(channels, 3, 1, 1, use_bias=False, in_channels=channels), nn.BatchNorm(),
        )  # fmt: skip
        if before != channels:
            self.short.add(nn.Conv2D(channels, 1, stride, use_bias=False, in_channels=before), nn.BatchNorm())

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        return F.npx.relu(self.body(x) + self.short(x))


def network(name: str) -> Any:
    work = WORKLOADS[name]
    if name == "lstm":
        return Recurrent(work.tokens, work.classes)
    net = nn.HybridSequential()
    if name == "cnn":
        for channels in (32, 64):
            net.add(nn.Conv2D(channels, 3, activation="relu"), nn.MaxPool2D(2))
        net.add(nn.Flatten(), nn.Dropout(0.5))
    elif name == "resnet":
        before = RESNET[0][0]
        net.add(nn.Conv2D(before, 3, 1, 1, use_bias=False), nn.BatchNorm(), nn.Activation("relu"))
        for channels, stride in RESNET:
            for first in (stride, 1, 1):
                net.add(Residual(before, channels, first))
                before = channels
        net.add(nn.GlobalAvgPool2D(), nn.Flatten())
    else:
        net.add(*(nn.Dense(units, "relu") for units in HIDDEN[name]))
    net.add(nn.Dense(work.classes))
    return net


def epoch(name: str, best: bool) -> Callable[[], float]:
    mx.random.seed(0)
    work = WORKLOADS[name]
    x, y = data(name)
    if name in ("cnn", "resnet"):
        x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    x, y = mx.np.array(x), mx.np.array(y)
    net = network(name)
    net.initialize(mx.init.Xavier())
    net.hybridize(**STATIC)
    loss: Any = gluon.loss.SigmoidBinaryCrossEntropyLoss if work.classes == 1 else gluon.loss.SoftmaxCrossEntropyLoss
    criterion = loss()
    criterion.hybridize(**STATIC)
    trainer = gluon.Trainer(net.collect_params(), "adam")
    rng = np.random.default_rng(0)
    state = [mx.np.zeros((1, work.batch, 64)) for _ in range(2)] if name == "lstm" else []

    def run() -> float:
        order = mx.np.array(rng.permutation(len(x)), dtype="int32")
        total, right = mx.np.zeros(()), mx.np.zeros(())
        for start in range(0, len(x), work.batch):
            picked = order[start : start + work.batch]
            inputs, labels = mx.np.take(x, picked, axis=0), mx.np.take(y, picked, axis=0)
            with mx.autograd.record():
                logits = net(inputs, *state)
                loss = criterion(logits, labels)
            loss.backward()
            trainer.step(len(picked))
            total += loss.sum()
            guess = (logits > 0) if work.classes == 1 else logits.argmax(1)
            right += (guess.astype(labels.dtype) == labels).sum()
        return float(total) / len(x)

    return run


def call() -> Callable[[], Any]:
    net, row = network("tiny"), mx.np.random.uniform(size=(1, *WORKLOADS["tiny"].shape))
    net.initialize()
    net.hybridize(**STATIC)

    def run() -> Any:
        out = net(row)
        out.wait_to_read()
        return out

    return run


def predict() -> Callable[[], Any]:
    """From a NumPy row to a NumPy row."""
    net, row = network("tiny"), np.random.rand(1, *WORKLOADS["tiny"].shape).astype("float32")
    net.initialize()
    net.hybridize(**STATIC)
    return lambda: net(mx.np.array(row)).asnumpy()
