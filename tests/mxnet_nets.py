"""Networks made and run by plain MXNet: ``python mxnet_nets.py FOLDER`` (see test_mxnet_files.py).

Each leaves ``NAME-symbol.json``, ``NAME-0000.params`` and ``NAME.npz`` with its inputs by name and its outputs
(``out0``, …).
unidl is not used.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

np.bool = bool  # type: ignore[attr-defined]  # mxnet's last release was written for NumPy's of that time
import mxnet as mx  # noqa: E402

rng = np.random.default_rng(5)


# -- symbols of the module API -----------------------------------------------------------------------


def _conv(x: Any, name: str, filters: int, size: int = 3, **more: Any) -> Any:
    x = mx.sym.Convolution(x, kernel=(size, size), num_filter=filters, pad=(size // 2,) * 2, name=name, **more)
    return x


def _unit(x: Any, name: str, filters: int, size: int = 3, fix_gamma: bool = True, **more: Any) -> Any:
    x = _conv(x, f"{name}_conv", filters, size, no_bias=True, **more)
    x = mx.sym.BatchNorm(x, name=f"{name}_bn", fix_gamma=fix_gamma, eps=2e-5)
    return mx.sym.Activation(x, act_type="relu", name=f"{name}_relu")


def lenet() -> Any:
    x = _conv(mx.sym.Variable("data"), "conv1", 4)
    x = mx.sym.Pooling(
        mx.sym.Activation(x, act_type="tanh"), kernel=(2, 2), stride=(2, 2), pool_type="max", name="pool1"
    )
    x = mx.sym.FullyConnected(mx.sym.Flatten(x), num_hidden=6, name="fc1")
    x = mx.sym.FullyConnected(mx.sym.Activation(x, act_type="tanh"), num_hidden=3, name="fc2")
    return mx.sym.SoftmaxOutput(x, name="softmax"), {"data": (2, 3, 8, 8)}


def resnet() -> Any:
    x = mx.sym.BatchNorm(mx.sym.Variable("data"), fix_gamma=True, eps=2e-5, name="bn_data")
    x = _unit(x, "stem", 4, fix_gamma=False)
    y = _unit(x, "a", 6, stride=(2, 2))
    y = mx.sym.BatchNorm(_conv(y, "b", 6), name="b_bn", fix_gamma=False)
    x = mx.sym.Activation(y + _conv(x, "skip", 6, 1, stride=(2, 2)), act_type="relu")
    x = mx.sym.Pooling(x, global_pool=True, kernel=(7, 7), pool_type="avg", name="pool")
    x = mx.sym.FullyConnected(x, num_hidden=3, name="fc")
    return mx.sym.SoftmaxOutput(x, name="softmax"), {"data": (2, 3, 9, 9)}


def inception() -> Any:
    x = mx.sym.Variable("data")
    pool = mx.sym.Pooling(x, kernel=(3, 3), stride=(1, 1), pad=(1, 1), pool_type="avg")
    parts = [_unit(x, "one", 2, 1), _unit(x, "three", 3), _unit(pool, "pool", 2, 1)]
    x = mx.sym.Concat(*parts, name="concat")
    x = mx.sym.Pooling(x, kernel=(3, 3), stride=(2, 2), pool_type="max", pooling_convention="full")
    x = mx.sym.LRN(x, nsize=3)
    x = mx.sym.Dropout(mx.sym.Flatten(x), p=0.5)
    return mx.sym.LinearRegressionOutput(mx.sym.FullyConnected(x, num_hidden=2, name="fc"), name="out"), {
        "data": (2, 3, 8, 8)
    }


def detector() -> Any:
    """Two scales of features, class scores and boxes for each place."""
    x = _unit(mx.sym.Variable("data"), "base", 4)
    first = mx.sym.broadcast_mul(
        mx.sym.L2Normalization(x, mode="channel"), mx.sym.Variable("scale", shape=(1, 4, 1, 1))
    )
    second = _unit(x, "down", 4, stride=(2, 2))
    classes, boxes, anchors = [], [], []
    for i, features in enumerate((first, second)):
        anchors.append(mx.sym.contrib.MultiBoxPrior(features, sizes=(0.2 + 0.3 * i,), ratios=(1, 2)))
        for parts, count, name in ((classes, 3, "cls"), (boxes, 4, "loc")):
            y = mx.sym.transpose(_conv(features, f"{name}{i}", 2 * count), axes=(0, 2, 3, 1))
            parts.append(mx.sym.Flatten(y))
    scores = mx.sym.Reshape(mx.sym.Concat(*classes, dim=1), shape=(0, -1, 3))
    scores = mx.sym.SoftmaxActivation(mx.sym.transpose(scores, axes=(0, 2, 1)), mode="channel", name="cls_prob")
    boxes = mx.sym.Concat(*boxes, dim=1, name="loc_pred")
    anchors = mx.sym.Concat(*anchors, dim=1, name="anchors")
    found = mx.sym.contrib.MultiBoxDetection(
        scores, boxes, anchors, threshold=0.3, force_suppress=True, name="detection"
    )
    return mx.sym.Group([scores, boxes, found]), {"data": (2, 3, 6, 6)}


def language() -> Any:
    """A language model with the fused recurrent operator; its first states are inputs."""
    x = mx.sym.Embedding(mx.sym.Variable("data"), input_dim=9, output_dim=5, name="embed")
    x = mx.sym.RNN(
        x, mx.sym.Variable("lstm_parameters"), mx.sym.Variable("lstm_h"), mx.sym.Variable("lstm_c"), state_size=4,
        num_layers=2, mode="lstm", state_outputs=True, name="lstm",
    )  # fmt: skip
    scores = mx.sym.FullyConnected(mx.sym.Reshape(x[0], shape=(-1, 4)), num_hidden=9, name="pred")
    softmax = mx.sym.SoftmaxOutput(scores, mx.sym.Reshape(mx.sym.Variable("label"), shape=(-1,)), name="softmax")
    shapes = {"data": (6, 2), "lstm_h": (2, 2, 4), "lstm_c": (2, 2, 4), "label": (6, 2)}
    return mx.sym.Group([softmax, mx.sym.BlockGrad(x[1], name="h"), mx.sym.BlockGrad(x[2], name="c")]), shapes


def unrolled() -> Any:
    """Cells written out step by step, with first states of an unknown batch size."""
    x = mx.sym.Embedding(mx.sym.Variable("data"), input_dim=9, output_dim=5, name="embed")
    cells = mx.rnn.SequentialRNNCell()
    cells.add(mx.rnn.LSTMCell(4, prefix="lstm_"))
    cells.add(mx.rnn.GRUCell(3, prefix="gru_"))
    outputs, _ = cells.unroll(4, inputs=x, merge_outputs=True)
    x = mx.sym.FullyConnected(mx.sym.Reshape(outputs, shape=(-1, 3)), num_hidden=9, name="pred")
    return mx.sym.SoftmaxOutput(x, mx.sym.Reshape(mx.sym.Variable("label"), shape=(-1,)), name="softmax"), {
        "data": (2, 4),
        "label": (2, 4),
    }


def segmentation() -> Any:
    data = mx.sym.Variable("data")
    x = mx.sym.LeakyReLU(_conv(data, "down", 4, stride=(2, 2)), act_type="prelu", name="prelu")
    x = mx.sym.Deconvolution(x, kernel=(4, 4), stride=(2, 2), num_filter=3, name="up", num_group=1, no_bias=False)
    x = mx.sym.Crop(x, data, num_args=2, offset=(1, 1), name="crop")
    x = mx.sym.broadcast_add(
        x,
        mx.sym.UpSampling(
            mx.sym.Pooling(x, kernel=(3, 3), stride=(3, 3), pool_type="avg"), scale=3, sample_type="nearest", num_args=1
        ),
    )
    return mx.sym.SoftmaxOutput(x, multi_output=True, use_ignore=True, name="softmax"), {"data": (2, 3, 9, 9)}


SYMBOLS: list[Callable[[], Any]] = [lenet, resnet, inception, detector, language, unrolled, segmentation]


def _values(shape: tuple[int, ...], name: str) -> np.ndarray:
    values = rng.standard_normal(shape).astype("float32") * 0.4
    return np.abs(values) + 0.5 if name.endswith("var") else values


def by_module(make: Callable[[], Any], folder: Path) -> None:
    """Save a symbol with random arrays as a checkpoint, and what it gives."""
    net, shapes = make()
    known, _, others = net.infer_shape(**shapes)
    sizes = dict(zip(net.list_arguments(), known, strict=True))
    data = {n: s for n, s in sizes.items() if n in shapes or n.endswith("label")}
    weights = {n: mx.nd.array(_values(s, n)) for n, s in sizes.items() if n not in data}
    states = {n: mx.nd.array(_values(s, n)) for n, s in zip(net.list_auxiliary_states(), others, strict=True)}
    words = make in (language, unrolled)
    given = {
        n: rng.integers(0, 9, s).astype("float32") if words and n == "data" else _values(s, n) for n, s in data.items()
    }
    mx.model.save_checkpoint(str(folder / make.__name__), 0, net, weights, states)
    run = net.bind(mx.cpu(), {**weights, **{n: mx.nd.array(v) for n, v in given.items()}}, aux_states=states)
    outputs = [o.asnumpy() for o in run.forward(is_train=False)]
    inputs = {n: v for n, v in given.items() if not n.endswith("label")}
    np.savez(folder / make.__name__, **inputs, **{f"out{i}": o for i, o in enumerate(outputs)})


# -- gluon -------------------------------------------------------------------------------------------


def gluon_images() -> Any:
    nn = mx.gluon.nn
    net = nn.HybridSequential()
    net.add(
        nn.Conv2D(4, 3, padding=1, use_bias=False), nn.BatchNorm(), nn.Activation("relu"), nn.MaxPool2D(ceil_mode=True)
    )
    net.add(nn.Conv2DTranspose(3, 2, strides=2), nn.PReLU(), nn.InstanceNorm(), nn.GroupNorm(3), nn.AvgPool2D(2))
    net.add(nn.SELU(), nn.GELU(), nn.Swish(), nn.LayerNorm(axis=1), nn.GlobalAvgPool2D(), nn.Dropout(0.3), nn.Dense(3))
    return net, [rng.standard_normal((2, 3, 7, 7)).astype("float32")]


def gluon_sequences() -> Any:
    nn, recurrent = mx.gluon.nn, mx.gluon.rnn
    net = nn.HybridSequential()
    net.add(
        nn.Embedding(9, 5),
        recurrent.LSTM(4, num_layers=2, bidirectional=True, input_size=5),
        recurrent.GRU(3, input_size=8),
    )
    net.add(nn.Dense(2, flatten=False))
    return net, [rng.integers(0, 9, (6, 2)).astype("float32")]


class Block(mx.gluon.HybridBlock):
    """A block of a transformer, in the operators of `mx.np`."""

    def __init__(self, units: int, heads: int) -> None:
        super().__init__()
        nn = mx.gluon.nn
        self.heads = heads
        self.norm, self.out_norm = nn.LayerNorm(in_channels=units), nn.LayerNorm(in_channels=units)
        self.projections = nn.Dense(3 * units, flatten=False, in_units=units)
        self.out = nn.Dense(units, flatten=False, in_units=units)
        self.wide = nn.Dense(2 * units, flatten=False, activation="relu", in_units=units)
        self.narrow = nn.Dense(units, flatten=False, in_units=2 * units)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        parts = F.np.split(self.projections(self.norm(x)), 3, axis=-1)
        q, k, v = (F.np.transpose(F.npx.reshape(p, (-2, -2, self.heads, -1)), axes=(0, 2, 1, 3)) for p in parts)
        scores = F.npx.batch_dot(F.npx.reshape(q, (-5, -4)), F.npx.reshape(k, (-5, -4)), transpose_b=True) * 0.5
        mixed = F.npx.batch_dot(F.npx.softmax(scores, axis=-1), F.npx.reshape(v, (-5, -4)))
        mixed = F.np.transpose(F.npx.reshape(mixed, (-6, -1, self.heads, -4)), axes=(0, 2, 1, 3))
        x = x + self.out(F.npx.reshape(mixed, (-2, -2, -5)))
        return F.np.mean(x + self.narrow(self.wide(self.out_norm(x))), axis=1)


def gluon_transformer() -> Any:
    return Block(8, 2), [rng.standard_normal((2, 5, 8)).astype("float32")]


BLOCKS = [(gluon_images, False), (gluon_sequences, False), (gluon_transformer, True)]


def by_gluon(make: Callable[[], Any], folder: Path, numpy: bool) -> None:
    """Export a block with random parameters, and what it gives."""
    (mx.npx.set_np if numpy else mx.npx.reset_np)()
    net, inputs = make()
    net.initialize(mx.init.Normal(0.4))
    net.hybridize()
    array = mx.np.array if numpy else mx.nd.array
    net(*[array(v) for v in inputs])
    for name, parameter in net.collect_params().items():
        if "running" in name or "gamma" in name:
            parameter.set_data(array(np.abs(_values(parameter.shape, name)) + 0.5))
    outputs = net(*[array(v) for v in inputs])
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    net.export(str(folder / make.__name__))
    names = ["data"] if len(inputs) == 1 else [f"data{i}" for i in range(len(inputs))]
    results = {f"out{i}": o.asnumpy() for i, o in enumerate(outputs)}
    np.savez(folder / make.__name__, **dict(zip(names, inputs, strict=True)), **results)


def main(folder: Path) -> None:
    for make in SYMBOLS:
        by_module(make, folder)
    for block, numpy in BLOCKS:
        by_gluon(block, folder, numpy)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
