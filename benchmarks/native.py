"""The opponents: training loops as people write them by hand on each engine.

Each function trains a 20-32-32-10 perceptron with Adam at batch 32 and returns ``epoch()``, which
runs one pass over the data (a new order each time) and returns the mean loss. What `fit` does is
done here too: shuffling, a running loss, accuracy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

SIZES = (20, 32, 32, 10)
BATCH = 32


def data(samples: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, SIZES[0])).astype("float32")
    return x, (x @ rng.normal(size=(SIZES[0], SIZES[-1]))).argmax(1).astype("int32")


def torch_loop(samples: int) -> Callable[[], float]:
    """Idiomatic PyTorch: an `nn.Sequential`, default Adam, cross-entropy."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    x, y = (torch.from_numpy(a) for a in data(samples))
    y = y.long()
    net = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(net.parameters())
    criterion = nn.CrossEntropyLoss()

    def epoch() -> float:
        order = torch.randperm(samples)
        total, right = torch.zeros(()), torch.zeros(())
        for start in range(0, samples, BATCH):
            picked = order[start : start + BATCH]
            inputs, labels = x[picked], y[picked]
            optimizer.zero_grad()
            logits = net(inputs)
            loss = criterion(logits, labels)
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(picked)
            right += (logits.argmax(1) == labels).sum()
        return float(total) / samples

    return epoch


def tensorflow_loop(samples: int) -> Callable[[], float]:
    """TensorFlow without Keras: variables, Adam written out, one `tf.function`."""
    import tensorflow as tf

    tf.random.set_seed(0)
    x, y = data(samples)
    x, y = tf.constant(x), tf.constant(y)
    weights = []
    for fan_in, fan_out in zip(SIZES[:-1], SIZES[1:], strict=True):
        weights.append(tf.Variable(tf.random.normal((fan_in, fan_out), stddev=(2 / fan_in) ** 0.5)))
        weights.append(tf.Variable(tf.zeros(fan_out)))
    first = [tf.Variable(tf.zeros_like(w)) for w in weights]
    second = [tf.Variable(tf.zeros_like(w)) for w in weights]
    count = tf.Variable(0.0)
    total, right = tf.Variable(0.0), tf.Variable(0.0)

    @tf.function
    def step(picked: Any) -> None:
        inputs, labels = tf.gather(x, picked), tf.gather(y, picked)
        with tf.GradientTape() as tape:
            h = tf.nn.relu(inputs @ weights[0] + weights[1])
            h = tf.nn.relu(h @ weights[2] + weights[3])
            logits = h @ weights[4] + weights[5]
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        gradients = tape.gradient(loss, weights)
        count.assign_add(1.0)
        rate = 0.001 * tf.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        for w, g, m, v in zip(weights, gradients, first, second, strict=True):
            m.assign_add((g - m) * 0.1)
            v.assign_add((g * g - v) * 0.001)
            w.assign_sub(rate * m / (tf.sqrt(v) + 1e-7))
        total.assign_add(loss * tf.cast(tf.shape(inputs)[0], tf.float32))
        right.assign_add(tf.reduce_sum(tf.cast(tf.argmax(logits, 1, tf.int32) == labels, tf.float32)))

    def epoch() -> float:
        order = tf.random.shuffle(tf.range(samples))
        total.assign(0.0)
        right.assign(0.0)
        for start in range(0, samples, BATCH):
            step(order[start : start + BATCH])
        return float(total) / samples

    return epoch


def mxnet_loop(samples: int) -> Callable[[], float]:
    """Gluon: a hybridized net, `Trainer` with Adam."""
    import unidl  # noqa: F401  (MXNet 1.9 needs the help of its backend to import beside a recent NumPy)
    from unidl_mxnet._engine import mx

    gluon = mx.gluon
    mx.random.seed(0)
    x, y = (mx.np.array(a) for a in data(samples))
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Dense(32, "relu"), gluon.nn.Dense(32, "relu"), gluon.nn.Dense(10))
    net.initialize()
    net.hybridize(static_alloc=True, static_shape=True)
    criterion = gluon.loss.SoftmaxCrossEntropyLoss()
    criterion.hybridize(static_alloc=True, static_shape=True)
    trainer = gluon.Trainer(net.collect_params(), "adam")
    rng = np.random.default_rng(0)

    def epoch() -> float:
        order = mx.np.array(rng.permutation(samples), dtype="int32")
        total, right = mx.np.zeros(()), mx.np.zeros(())
        for start in range(0, samples, BATCH):
            picked = order[start : start + BATCH]
            inputs, labels = mx.np.take(x, picked, axis=0), mx.np.take(y, picked, axis=0)
            with mx.autograd.record():
                logits = net(inputs)
                loss = criterion(logits, labels)
            loss.backward()
            trainer.step(len(picked))
            total += loss.sum()
            right += (logits.argmax(1).astype("int32") == labels).sum()
        return float(total) / samples

    return epoch


LOOPS = {"torch": torch_loop, "tensorflow": tensorflow_loop, "mxnet": mxnet_loop}
