"""Layers in the place of nodes whose weights are initializers and whose pattern is plain.

An entry takes the importer, the node's `Call` and its inputs, and returns the output (or a tuple of them), or None if
the node is not that plain: then it becomes ops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from unidl import layers, ops
from unidl.graph.symbolic import Dim, SymbolicTensor
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._values import is_host, leave, rank_of, shape_of
from unidl.interchange.onnx.importing.stretching import pad_around
from unidl.interchange.onnx.importing.windows import _is_same, window

RECOVER: dict[str, Callable[..., Any]] = {}


def recover(names: str) -> Any:
    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names.split():
            RECOVER[name] = function
        return function

    return declare


class Held:
    """An initializer that may become a weight.

    Attributes:
        name: of the initializer.
        array: its value.
        single: whether only one node reads it.
    """

    def __init__(self, name: str, array: np.ndarray, single: bool) -> None:
        self.name = name
        self.array = array
        self.single = single

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape


def _arrays(*values: Any) -> list[Any] | None:
    """The arrays of weights that only this node reads; None if some are not such. None stays None."""
    if all(v is None or (isinstance(v, Held) and v.single) for v in values):
        return [None if v is None else v.array for v in values]
    return None


def _symbolic(x: Any) -> bool:
    return type(x) is SymbolicTensor


def put(layer: Any, shape: Any, **values: Any) -> Any:
    """The layer, built for inputs of `shape`, with these values of its weights in place of drawn ones."""
    drawn = {}
    for name, value in values.items():
        attribute = f"{name}_initializer"
        drawn[attribute] = getattr(layer, attribute)
        setattr(layer, attribute, lambda shape, dtype=None, value=value: value)
    layer.build(tuple(None if isinstance(d, Dim) else d for d in shape))
    for attribute, initializer in drawn.items():
        setattr(layer, attribute, initializer)
    layer.built = True
    return layer


@recover("Conv")
def _conv(importer: Any, call: Call, x: Any, kernel: Any, bias: Any = None) -> Any:
    arrays = _arrays(kernel, bias)
    n = rank_of(x) - 2
    if arrays is None or not _symbolic(x) or not 1 <= n <= 3 or isinstance(shape_of(x)[1], Dim):
        return None
    weights, biases = arrays
    w = window(call, shape_of(x)[2:], weights.shape[2:])
    if weights.ndim != n + 2 or (max(w.strides) > 1 and max(w.dilations) > 1):
        return None
    if shape_of(x)[1] != weights.shape[1] * call.get("group", 1):
        return None  # the table's entry says what is wrong
    padding = "valid"
    if _is_same(w, shape_of(x)[2:]) and (w.same or not w.plain):
        padding = "same"
    elif not w.plain:
        x = ops.pad(x, w.widths())
    kind = (layers.Conv1D, layers.Conv2D, layers.Conv3D)[n - 1]
    layer = kind(
        weights.shape[0], weights.shape[2:], strides=w.strides, padding=padding, data_format="channels_first",
        dilation_rate=w.dilations, groups=call.get("group", 1), use_bias=biases is not None,
        name=importer.name(call.node.name), dtype=weights.dtype.name,
    )  # fmt: skip
    # A view: engines that keep the order of memory then compute with the one that ONNX has.
    given = {"kernel": np.transpose(weights, (*range(2, n + 2), 1, 0))}
    if biases is not None:
        given["bias"] = biases
    return put(layer, x.shape, **given)(x)


@recover("Gemm")
def _gemm(importer: Any, call: Call, a: Any, b: Any, c: Any = None) -> Any:
    arrays = _arrays(b, c)
    if arrays is None or not _symbolic(a) or call.get("transA", 0):
        return None
    kernel, bias = arrays
    kernel = kernel.T if call.get("transB", 0) else kernel
    kernel = kernel * np.asarray(call.get("alpha", 1.0), kernel.dtype)
    if bias is not None:
        bias = bias * np.asarray(call.get("beta", 1.0), bias.dtype)
        if bias.size not in (1, kernel.shape[1]) or (bias.ndim == 2 and bias.shape[0] != 1):
            return None
        bias = np.broadcast_to(bias.reshape(-1), (kernel.shape[1],)).copy()
    return dense(importer, call.node.name, a, kernel, bias)


def dense(importer: Any, name: str, x: Any, kernel: np.ndarray, bias: np.ndarray | None) -> Any:
    if shape_of(x)[-1] != kernel.shape[0] or rank_of(x) < 2:
        return None
    layer = layers.Dense(kernel.shape[1], use_bias=bias is not None, name=importer.name(name), dtype=kernel.dtype.name)
    given = {"kernel": np.ascontiguousarray(kernel)} | ({} if bias is None else {"bias": bias})
    return put(layer, x.shape, **given)(x)


@recover("MatMul")
def _matmul(importer: Any, call: Call, a: Any, b: Any) -> Any:
    arrays = _arrays(b)
    if arrays is None or not _symbolic(a) or arrays[0].ndim != 2:
        return None
    bias = importer.bias_after(call.node, arrays[0].shape[1])
    return dense(importer, call.node.name, a, arrays[0], bias)


@recover("BatchNormalization SpatialBN")
def _batch_normalization(importer: Any, call: Call, x: Any, scale: Any, bias: Any, mean: Any, variance: Any) -> Any:
    """A layer also where others read the same scale or bias: exporters write equal initializers once.

    Nodes that share all four are calls of one layer.
    """
    if not (isinstance(scale, Held) and isinstance(bias, Held) and is_host(mean) and is_host(variance)):
        return None
    arrays = [scale.array, bias.array, mean, variance]
    if not _symbolic(x) or call.wants(1) or call.get("training_mode", 0) or rank_of(x) < 2:
        return None
    if any(a.shape != (shape_of(x)[1],) for a in arrays):
        return None
    epsilon, momentum = call.get("epsilon", 1e-5), call.get("momentum", 0.9)
    key = (*map(id, arrays), epsilon, momentum, rank_of(x))
    if key not in importer.shared:
        layer = layers.BatchNormalization(
            axis=1, epsilon=epsilon, momentum=momentum, name=importer.name(call.node.name), dtype=scale.array.dtype.name
        )
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        # The arrays are kept, so that no other has the id of one.
        importer.shared[key] = put(layer, x.shape, **dict(zip(names, arrays, strict=True))), arrays
    return importer.shared[key][0](x)


@recover("InstanceNormalization")
def _groups_normalization(importer: Any, call: Call, x: Any, scale: Any, bias: Any) -> Any:
    """PyTorch's group normalization: groups are its channels, ones and zeros no weights; these follow a reshape."""
    if not (isinstance(scale, Held) and isinstance(bias, Held) and _symbolic(x) and rank_of(x) == 3):
        return None
    follows = [node.op for node in importer.readers(call.node.outputs[0])]
    if follows != ["Reshape"] or (scale.array != 1).any() or bias.array.any():
        return None
    layer = layers.GroupNormalization(
        groups=-1, axis=1, epsilon=call.get("epsilon", 1e-5), center=False, scale=False,
        name=importer.name(call.node.name), dtype=x.dtype,
    )  # fmt: skip
    return layer(x)


@recover("LayerNormalization")
def _layer_normalization(importer: Any, call: Call, x: Any, scale: Any, bias: Any = None) -> Any:
    arrays = _arrays(scale, bias)
    if arrays is None or not _symbolic(x) or call.wants(1) or call.wants(2):
        return None
    axis = call.axis(call.get("axis", -1), rank_of(x))
    sizes = shape_of(x)[axis:]
    if any(a is not None and a.shape != tuple(sizes) for a in arrays):
        return None
    axes = list(range(axis - rank_of(x), 0))
    layer = layers.LayerNormalization(
        axis=axes if len(axes) > 1 else -1, epsilon=call.get("epsilon", 1e-5), center=bias is not None,
        name=importer.name(call.node.name), dtype=arrays[0].dtype.name,
    )  # fmt: skip
    given = {"gamma": arrays[0]} | ({} if bias is None else {"beta": arrays[1]})
    return put(layer, x.shape, **given)(x)


@recover("Gather")
def _embedding(importer: Any, call: Call, table: Any, indices: Any) -> Any:
    arrays = _arrays(table)
    if arrays is None or not _symbolic(indices) or call.get("axis", 0) or arrays[0].ndim != 2:
        return None
    rows, width = arrays[0].shape
    layer = layers.Embedding(rows, width, name=importer.name(call.node.name), dtype=arrays[0].dtype.name)
    return put(layer, indices.shape, embeddings=arrays[0])(indices)


# -- without weights: layers only so that they can be found by their names -------------------------


@recover("Relu")
def _relu(importer: Any, call: Call, x: Any) -> Any:
    return _plain(importer, call, x, layers.ReLU)


def _plain(importer: Any, call: Call, x: Any, kind: Any, **arguments: Any) -> Any:
    if not _symbolic(x) or not x.dtype.startswith(("float", "bfloat")):
        return None
    return kind(name=importer.name(call.node.name), dtype=x.dtype, **arguments)(x)


@recover("LeakyRelu")
def _leaky_relu(importer: Any, call: Call, x: Any) -> Any:
    slope = call.get("alpha", 0.01)
    return _plain(importer, call, x, layers.LeakyReLU, negative_slope=slope) if slope >= 0 else None


@recover("Sigmoid Tanh Softplus Softsign")
def _activation(importer: Any, call: Call, x: Any) -> Any:
    return _plain(importer, call, x, layers.Activation, activation=call.node.op.lower())


@recover("Softmax")
def _softmax(importer: Any, call: Call, x: Any) -> Any:
    axis = call.get("axis", -1 if call.version >= 13 else 1)
    if call.version < 13 and axis not in (-1, rank_of(x) - 1):
        return None
    return _plain(importer, call, x, layers.Softmax, axis=axis)


@recover("Dropout")
def _dropout(importer: Any, call: Call, x: Any, ratio: Any = None, training: Any = None) -> Any:
    if call.wants(1) or training is not None and not (is_host(training) and not training.any()):
        return None
    rate = call.get("ratio", 0.5) if ratio is None else float(ratio) if is_host(ratio) else None
    return None if rate is None or not 0 <= rate < 1 else _plain(importer, call, x, layers.Dropout, rate=rate)


@recover("MaxPool")
def _max_pool(importer: Any, call: Call, x: Any) -> Any:
    return _pool(importer, call, x, (layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D), -np.inf)


@recover("AveragePool")
def _average_pool(importer: Any, call: Call, x: Any) -> Any:
    return _pool(importer, call, x, (layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D), None)


def _pool(importer: Any, call: Call, x: Any, kinds: Any, fill: float | None) -> Any:
    n = rank_of(x) - 2
    if not _symbolic(x) or not 1 <= n <= 3 or call.wants(1):
        return None
    w = window(call, shape_of(x)[2:], call.need("kernel_shape"))
    if max(w.dilations) > 1:
        return None
    padding = "same" if w.same else "valid"
    if not w.plain:
        if fill is None:
            return None  # what padding counts for differs
        x = pad_around(x, w.widths(), fill)
    return _plain(
        importer,
        call,
        x,
        kinds[n - 1],
        pool_size=w.size,
        strides=w.strides,
        padding=padding,
        data_format="channels_first",
    )


@recover("GlobalAveragePool")
def _global_average_pool(importer: Any, call: Call, x: Any) -> Any:
    n = rank_of(x) - 2
    if not 1 <= n <= 3:
        return None
    kind = (layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D)[n - 1]
    return _plain(importer, call, x, kind, data_format="channels_first", keepdims=True)


# -- recurrent layers ------------------------------------------------------------------------------

#: Gates in ONNX's order as places in that of the layers.
_GATES = {"LSTM": (0, 2, 3, 1), "GRU": (0, 1, 2), "RNN": (0,)}
_DEFAULT_ACTIVATIONS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


@recover("LSTM GRU RNN")
def _recurrent(
    importer: Any, call: Call, x: Any, w: Any, r: Any, b: Any = None, lengths: Any = None, *more: Any,
) -> Any:  # fmt: skip
    arrays, kind = _arrays(w, r, b), call.node.op
    h0, c0, p = (*more, None, None, None)[:3]
    directions = 2 if call.get("direction", "forward") == "bidirectional" else 1
    plain = lengths is None and p is None and not call.get("clip") and not call.get("input_forget", 0)
    usual = call.get("activations", _DEFAULT_ACTIVATIONS[kind] * directions) == _DEFAULT_ACTIVATIONS[kind] * directions
    starts = [importer.tensor(s) for s in (h0, c0) if s is not None]
    if arrays is None or not _symbolic(x) or not plain or not usual or (kind == "LSTM" and len(starts) == 1):
        return None
    units, batch_first = arrays[1].shape[-1], call.get("layout", 0)
    sequence = x if batch_first else ops.swapaxes(x, 0, 1)
    outputs, lasts = [], []
    for d in range(directions):
        backwards = d == 1 or call.get("direction", "forward") == "reverse"
        weights = _recurrent_weights(
            kind, [None if a is None else a[d] for a in arrays], units, call.get("linear_before_reset", 0)
        )
        layer = _recurrent_layer(
            importer, call, kind, units, backwards, f"{call.node.name}{'_backward' if d else ''}", arrays
        )
        own = [_of_direction(s, d, batch_first) for s in starts]
        ys, *states = layer(sequence, initial_state=own) if own else layer(sequence)
        layer.set_weights(weights)
        outputs.append(ops.flip(ys, 1) if backwards else ys)
        lasts.append(states)
    if batch_first:
        y = ops.stack(outputs, 2)
    else:
        y = ops.stack([ops.swapaxes(o, 0, 1) for o in outputs], 1)
    axis = 1 if batch_first else 0
    return (y, *[ops.stack([states[i] for states in lasts], axis) for i in range(len(lasts[0]))])[
        : len(call.node.outputs)
    ]


def _of_direction(start: Any, direction: int, batch_first: bool) -> Any:
    """The first state of one direction; that of a constant is one."""
    state = ops.getitem(ops.swapaxes(start, 0, 1) if batch_first else start, direction)
    return state if _symbolic(start) else leave(state)


def _recurrent_layer(importer: Any, call: Call, kind: str, units: int, backwards: bool, name: str, arrays: Any) -> Any:
    arguments: dict[str, Any] = dict(
        use_bias=arrays[2] is not None, return_sequences=True, return_state=True, go_backwards=backwards,
        name=importer.name(name), dtype=arrays[0].dtype.name,
    )  # fmt: skip
    if kind == "GRU":
        return layers.GRU(units, reset_after=bool(call.get("linear_before_reset", 0)), **arguments)
    return (layers.LSTM if kind == "LSTM" else layers.SimpleRNN)(units, **arguments)


def _recurrent_weights(kind: str, arrays: list[Any], units: int, reset_after: int) -> list[np.ndarray]:
    """Kernels and bias of one direction in the layers' order."""
    w, r, b = arrays
    order = _GATES[kind]

    def ordered(rows: np.ndarray) -> np.ndarray:
        return np.concatenate([rows[g * units : (g + 1) * units] for g in order])

    weights = [ordered(w).T, ordered(r).T]
    if b is not None:
        of_input, of_state = ordered(b[: len(b) // 2]), ordered(b[len(b) // 2 :])
        weights.append(np.stack([of_input, of_state]) if kind == "GRU" and reset_after else of_input + of_state)
    return [np.ascontiguousarray(v) for v in weights]
