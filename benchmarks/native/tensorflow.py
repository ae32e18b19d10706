"""TensorFlow without Keras: variables, one `tf.function` a step, Adam written out; at best its fused kernel.

There is no LSTM and no ResNet here: by hand both mean writing the layers that Keras is used for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from workloads import BLOCKS, DROPOUT, HEADS, HIDDEN, INNER, WIDTH, WORKLOADS, data


class Weights:
    """Variables in the order in which they were asked for."""

    def __init__(self) -> None:
        self.all: list[Any] = []

    def matrix(self, *shape: int) -> Any:
        fan_in = int(np.prod(shape[:-1]))
        self.all.append(tf.Variable(tf.random.normal(shape, stddev=(2 / fan_in) ** 0.5)))
        return self.all[-1]

    def vector(self, size: int, value: float = 0.0) -> Any:
        self.all.append(tf.Variable(tf.fill((size,), value)))
        return self.all[-1]

    def linear(self, before: int, after: int) -> Callable[[Any], Any]:
        kernel, bias = self.matrix(before, after), self.vector(after)
        return lambda x: tf.matmul(x, kernel) + bias

    def norm(self, size: int) -> Callable[[Any], Any]:
        gamma, beta = self.vector(size, 1.0), self.vector(size)

        def apply(x: Any) -> Any:
            mean, variance = tf.nn.moments(x, [-1], keepdims=True)
            return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-5)

        return apply


def network(name: str, weights: Weights) -> Callable[[Any, bool], Any]:
    work = WORKLOADS[name]
    if name == "cnn":
        kernel_1, bias_1 = weights.matrix(3, 3, 1, 32), weights.vector(32)
        kernel_2, bias_2 = weights.matrix(3, 3, 32, 64), weights.vector(64)
        head = weights.linear(1600, work.classes)

        def cnn(x: Any, training: bool) -> Any:
            for kernel, bias in ((kernel_1, bias_1), (kernel_2, bias_2)):
                x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "VALID"), bias))
                x = tf.nn.max_pool2d(x, 2, 2, "VALID")
            x = tf.reshape(x, (-1, 1600))
            return head(tf.nn.dropout(x, 0.5) if training else x)

        return cnn
    if name == "transformer":
        table, positions = weights.matrix(work.tokens, WIDTH), weights.matrix(work.shape[0], WIDTH)
        blocks = []
        for _ in range(BLOCKS):
            block = (weights.norm(WIDTH), weights.linear(WIDTH, 3 * WIDTH), weights.linear(WIDTH, WIDTH))
            blocks.append((*block, weights.norm(WIDTH), weights.linear(WIDTH, INNER), weights.linear(INNER, WIDTH)))
        norm, head = weights.norm(WIDTH), weights.linear(WIDTH, work.classes)

        def transformer(x: Any, training: bool) -> Any:
            drop = (lambda v: tf.nn.dropout(v, DROPOUT)) if training else (lambda v: v)
            x = tf.gather(table, x) + positions
            shape = (-1, work.shape[0], 3, HEADS, WIDTH // HEADS)
            for norm_1, project, out, norm_2, inner, outer in blocks:
                query, key, value = tf.unstack(
                    tf.transpose(tf.reshape(project(norm_1(x)), shape), (2, 0, 3, 1, 4)), num=3
                )
                scores = tf.nn.softmax(tf.matmul(query, key, transpose_b=True) * (WIDTH // HEADS) ** -0.5)
                seen = tf.reshape(tf.transpose(tf.matmul(scores, value), (0, 2, 1, 3)), (-1, work.shape[0], WIDTH))
                x = x + drop(out(seen))
                x = x + drop(outer(tf.nn.relu(inner(norm_2(x)))))
            return head(tf.reduce_mean(norm(x), 1))

        return transformer
    sizes = (work.shape[0], *HIDDEN[name], work.classes)
    linears = [weights.linear(a, b) for a, b in zip(sizes, sizes[1:])]

    def perceptron(x: Any, training: bool) -> Any:
        for linear in linears[:-1]:
            x = tf.nn.relu(linear(x))
        return linears[-1](x)

    return perceptron


def adam(weights: list[Any], best: bool) -> Callable[[list[Any]], None]:
    first = [tf.Variable(tf.zeros_like(w)) for w in weights]
    second = [tf.Variable(tf.zeros_like(w)) for w in weights]
    count = tf.Variable(0.0)

    def written_out(gradients: list[Any]) -> None:
        count.assign_add(1.0)
        rate = 0.001 * tf.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        for w, g, m, v in zip(weights, gradients, first, second, strict=True):
            g = tf.convert_to_tensor(g)
            m.assign_add((g - m) * 0.1)
            v.assign_add((g * g - v) * 0.001)
            w.assign_sub(rate * m / (tf.sqrt(v) + 1e-7))

    def fused(gradients: list[Any]) -> None:
        count.assign_add(1.0)
        powers = 0.9**count, 0.999**count
        for w, g, m, v in zip(weights, gradients, first, second, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=w.handle, m=m.handle, v=v.handle, beta1_power=powers[0], beta2_power=powers[1],
                lr=0.001, beta1=0.9, beta2=0.999, epsilon=1e-7, grad=tf.convert_to_tensor(g),
            )  # fmt: skip

    return fused if best else written_out


def epoch(name: str, best: bool) -> Callable[[], float]:
    tf.random.set_seed(0)
    work = WORKLOADS[name]
    x, y = (tf.constant(a) for a in data(name))
    weights = Weights()
    net = network(name, weights)
    apply = adam(weights.all, best)
    total, right = tf.Variable(0.0), tf.Variable(0.0)

    @tf.function(reduce_retracing=True)
    def step(picked: Any) -> None:
        inputs, labels = tf.gather(x, picked), tf.gather(y, picked)
        with tf.GradientTape() as tape:
            logits = net(inputs, True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        apply(tape.gradient(loss, weights.all))
        total.assign_add(loss * tf.cast(tf.shape(inputs)[0], tf.float32))
        right.assign_add(tf.reduce_sum(tf.cast(tf.argmax(logits, 1, tf.int32) == labels, tf.float32)))

    def run() -> float:
        order = tf.random.shuffle(tf.range(len(x)))
        total.assign(0.0)
        right.assign(0.0)
        for start in range(0, len(x), work.batch):
            step(order[start : start + work.batch])
        return float(total) / len(x)

    return run


def call() -> Callable[[], Any]:
    net, row = network("tiny", Weights()), tf.random.uniform((1, *WORKLOADS["tiny"].shape))
    function = tf.function(lambda x: net(x, False))
    return lambda: function(row)


def predict() -> Callable[[], Any]:
    """From a NumPy row to a NumPy row."""
    net, row = network("tiny", Weights()), np.random.rand(1, *WORKLOADS["tiny"].shape).astype("float32")
    function = tf.function(lambda x: net(x, False))
    return lambda: function(tf.constant(row)).numpy()
