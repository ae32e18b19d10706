"""Twenty models that cover every family of layers, made by Keras or by unidl, and the data that they are trained with.

Nothing here is random while it runs. Trained with SGD are models in which a weight has a gradient that is zero but for
rounding, which other optimizers would blow up (biases before batch normalization, biases of attention's keys), and
those with embeddings: Keras's Adam adds the squares of the gradients of a row that a batch has several times, unidl's
squares their sum.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROWS, BATCH = 6, 3


class Case(NamedTuple):
    """A model: how it is built by a library `k`, its inputs, its optimizer, and how exact its results are."""

    build: Callable[[Any], Any]
    inputs: Any
    optimizer: str = "adam"
    exact: float = 1.0


CASES: dict[str, Case] = {}


def case(inputs: Any, optimizer: str = "adam", exact: float = 1.0) -> Callable[[Any], Any]:
    def add(build: Any) -> Any:
        def seeded(k: Any) -> Any:
            k.utils.set_random_seed(3)
            return build(k)

        CASES[build.__name__] = Case(seeded, inputs, optimizer, exact)
        return build

    return add


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).random((ROWS, *shape), "float32")


def integers(*shape: int, most: int = 7) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, most, (ROWS, *shape)).astype("int32")


def data(name: str) -> Any:
    return CASES[name].inputs


def is_text(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "U"


def compiled(model: Any, name: str, k: Any) -> Any:
    optimizers = {
        "adam": lambda: k.optimizers.Adam(0.01), "sgd": lambda: k.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
        "rmsprop": lambda: k.optimizers.RMSprop(0.01), "adamw": lambda: k.optimizers.AdamW(0.01),
        "adagrad": lambda: k.optimizers.Adagrad(0.05),
    }  # fmt: skip
    model.compile(optimizers[CASES[name].optimizer](), "mse", run_eagerly=k.__name__ == "keras")
    return model


def targets(model: Any, name: str) -> Any:
    found = model.predict(data(name), verbose=0, batch_size=BATCH)

    def target(value: Any) -> Any:
        return np.cos(np.arange(value.size, dtype="float32")).reshape(value.shape)

    if isinstance(found, dict):
        return {key: target(value) for key, value in found.items()}
    return [target(v) for v in found] if isinstance(found, list) else target(found)


def trained(model: Any, name: str) -> Any:
    """One epoch, in order. Strings are for calls only."""
    if not is_text(data(name)):
        model.fit(data(name), targets(model, name), batch_size=BATCH, shuffle=False, verbose=0)
    return model


def predicted(model: Any, name: str) -> list[np.ndarray]:
    if is_text(data(name)):
        found = model(data(name))
        return [np.asarray(found.detach() if hasattr(found, "detach") else found)]
    found = model.predict(data(name), verbose=0, batch_size=BATCH)
    values = [found[key] for key in sorted(found)] if isinstance(found, dict) else found
    return [np.asarray(v, "float32") for v in (values if isinstance(values, list) else [values])]


def write(model: Any, name: str, folder: Path, who: str) -> None:
    """The trained model, what it predicts, and its weights after one epoch more."""
    model.save(folder / f"{who}_{name}.keras")
    np.savez(folder / f"{who}_{name}.predicted.npz", *predicted(model, name))
    np.savez(folder / f"{who}_{name}.weights.npz", *trained(model, name).get_weights())


def read(model: Any, name: str, folder: Path, who: str) -> None:
    """What a model read from a file of `who` predicts, and its weights after one epoch more."""
    np.savez(folder / f"{who}_{name}.predicted_there.npz", *predicted(model, name))
    np.savez(folder / f"{who}_{name}.weights_there.npz", *trained(model, name).get_weights())


@functools.cache
def classes(k: Any) -> dict[str, Any]:
    """The user's own classes, registered with `k`."""
    register = k.saving.register_keras_serializable("exchange")

    @register
    class Scaled(k.layers.Layer):
        def __init__(self, power: float = 1.0, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.power = power
            self.inner = k.layers.Dense(3, use_bias=False)

        def build(self, shape: Any) -> None:
            self.inner.build(shape)
            self.scale = self.add_weight(shape=(3,), initializer="ones", name="scale")
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")

        def call(self, x: Any) -> Any:
            return k.ops.tanh(self.inner(x)) * self.scale**self.power

        def get_config(self) -> Any:
            return {**super().get_config(), "power": self.power}

    @register
    class Tower(k.Model):
        def __init__(self, width: int = 3, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.width = width
            self.entry = k.layers.Dense(width, activation="relu")
            self.floors = [k.layers.Dense(width, activation="tanh") for _ in range(2)]
            self.top = k.Sequential([k.layers.Dense(2), k.layers.LayerNormalization()])

        def call(self, x: Any) -> Any:
            x = self.entry(x)
            for floor in self.floors:
                x = floor(x) + x
            return self.top(x)

        def get_config(self) -> Any:
            return {**super().get_config(), "width": self.width}

    return {"Scaled": Scaled, "Tower": Tower}


@case(floats(5), "adamw")
def dense(k: Any) -> Any:
    L = k.layers
    return k.Sequential([
        k.Input((5,)), L.Dense(6, activation="gelu", kernel_regularizer="l2"), L.PReLU(), L.LeakyReLU(0.1),
        L.Dense(6, kernel_constraint="max_norm"), L.ELU(), L.ReLU(max_value=2.0), L.UnitNormalization(),
        L.Dense(3, activation="softmax"), L.ActivityRegularization(l2=0.01),
    ])  # fmt: skip


@case(floats(12, 3), "rmsprop")
def conv1d(k: Any) -> Any:
    L = k.layers
    x = inputs = k.Input((12, 3))
    x = L.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="relu")(x)
    x = L.AveragePooling1D(2)(L.ZeroPadding1D(1)(x))
    x = L.UpSampling1D(2)(L.Cropping1D((1, 0))(x))
    x = L.MaxPooling1D(2, padding="same")(L.DepthwiseConv1D(3, depth_multiplier=2)(x))
    return k.Model(inputs, L.Concatenate()([L.GlobalAveragePooling1D()(x), L.GlobalMaxPooling1D()(x)]))


@case(floats(9, 8, 3), "sgd")
def conv2d(k: Any) -> Any:
    L = k.layers
    return k.Sequential([
        k.Input((9, 8, 3)), L.Conv2D(4, 3, strides=2, padding="same", use_bias=False),
        L.BatchNormalization(momentum=0.8), L.Activation("swish"), L.DepthwiseConv2D(3, padding="same"),
        L.MaxPooling2D(2), L.UpSampling2D((2, 1)),
        L.ZeroPadding2D(1), L.AveragePooling2D(2, padding="same"), L.Cropping2D(((1, 0), (0, 0))), L.Flatten(),
        L.Dense(2),
    ])  # fmt: skip


@case(floats(6, 5, 4, 2))
def conv3d(k: Any) -> Any:
    L = k.layers
    x = inputs = k.Input((6, 5, 4, 2))
    x = L.Conv3D(3, 2, groups=1, activation="tanh")(L.ZeroPadding3D((1, 0, 0))(x))
    x = L.AveragePooling3D((2, 1, 1))(L.MaxPooling3D((1, 2, 1))(x))
    x = L.UpSampling3D((1, 1, 2))(L.Cropping3D(((1, 0), (0, 0), (0, 0)))(x))
    return k.Model(inputs, L.Dense(2)(L.GlobalAveragePooling3D()(x)))


@case(floats(8, 8, 4), "adagrad")
def separable(k: Any) -> Any:
    L = k.layers
    x = inputs = k.Input((8, 8, 4))
    x = L.SeparableConv2D(6, 3, depth_multiplier=2, activation="relu", padding="same")(x)
    x = L.Conv2D(4, 1, groups=2)(x)
    x = L.SeparableConv1D(3, 3, strides=2)(L.Reshape((32, 8))(x))
    return k.Model(inputs, L.GlobalMaxPooling1D()(x))


@case(floats(4, 4, 3))
def transposed(k: Any) -> Any:
    L = k.layers
    x = inputs = k.Input((4, 4, 3))
    x = L.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu")(x)
    x = L.Conv1DTranspose(2, 2, strides=2)(L.Reshape((16, 16))(x))
    x = L.Conv3DTranspose(2, 2)(L.Reshape((4, 4, 4, 1))(x))
    return k.Model(inputs, L.GlobalAveragePooling3D()(x))


@case(floats(5, 6), "sgd")
def norms(k: Any) -> Any:
    L = k.layers
    return k.Sequential([
        k.Input((5, 6)), L.LayerNormalization(), L.Dense(6), L.GroupNormalization(3), L.RMSNormalization(),
        L.BatchNormalization(scale=False), L.SpectralNormalization(L.Dense(4)), L.GlobalAveragePooling1D(),
    ])  # fmt: skip


@case(floats(5, 3))
def recurrent(k: Any) -> Any:
    L = k.layers
    x = inputs = k.Input((None, 3))
    x = L.LSTM(4, return_sequences=True)(x)
    x = L.GRU(4, return_sequences=True, reset_after=False)(L.GRU(3, return_sequences=True)(x))
    x, state = L.SimpleRNN(3, return_sequences=True, return_state=True)(x)
    return k.Model(inputs, [L.GlobalAveragePooling1D()(x), state])


@case(integers(6), "sgd")
def bidirectional(k: Any) -> Any:
    L = k.layers
    x = inputs = k.Input((6,), dtype="int32")
    x = L.Embedding(7, 4, mask_zero=True)(x)
    x = L.Bidirectional(L.LSTM(3, return_sequences=True))(x)
    x = L.Bidirectional(L.GRU(3), merge_mode="sum", backward_layer=L.GRU(3, go_backwards=True))(x)
    return k.Model(inputs, L.Dense(2)(x))


@case(floats(3, 6, 6, 2))
def conv_lstm(k: Any) -> Any:
    L = k.layers
    x = inputs = k.Input((3, 6, 6, 2))
    x = L.ConvLSTM2D(3, 3, return_sequences=True, padding="same")(x)
    x = L.ConvLSTM1D(2, 3)(L.TimeDistributed(L.Reshape((36, 3)))(x))
    return k.Model(inputs, L.GlobalAveragePooling1D()(x))


@case(floats(4, 3))
def cells(k: Any) -> Any:
    L = k.layers
    x = inputs = k.Input((4, 3))
    x = L.RNN([L.LSTMCell(4), L.GRUCell(3)], return_sequences=True)(x)
    return k.Model(inputs, L.RNN(L.SimpleRNNCell(2))(x))


@case(floats(5, 8), "sgd")
def attention(k: Any) -> Any:
    L = k.layers
    x = inputs = k.Input((5, 8))
    x = L.LayerNormalization()(L.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True) + x)
    x = L.GroupQueryAttention(4, 4, 2)(x, x)
    x = L.Add()([L.Attention(use_scale=True)([x, x]), L.AdditiveAttention()([x, x])])
    x = L.EinsumDense("abc,cd->abd", output_shape=(None, 2), bias_axes="d")(L.LayerNormalization()(x))
    return k.Model(inputs, L.GlobalAveragePooling1D()(x))


@case(integers(5), "rmsprop")
def embedding(k: Any) -> Any:
    L = k.layers
    x = inputs = k.Input((5,), dtype="int32")
    words = L.ReversibleEmbedding(7, 4, tie_weights=True)
    return k.Model(inputs, words(L.Dense(4)(words(x)), reverse=True))


@case(floats(3))
def preprocessing(k: Any) -> Any:
    L = k.layers
    normalization, edges = L.Normalization(), L.Discretization([0.3, 0.6])
    normalization.adapt(floats(3))
    x = inputs = k.Input((3,))
    bins = L.CategoryEncoding(3, output_mode="multi_hot")(edges(x))
    return k.Model(inputs, L.Dense(2)(L.Concatenate()([normalization(x), L.Rescaling(2.0, -1.0)(x), bins])))


@case(np.array([["red"], ["blue"], ["green"], ["red"], ["grey"], ["blue"]]))
def strings(k: Any) -> Any:
    L = k.layers
    x = inputs = k.Input((1,), dtype="string")
    codes, bins = L.StringLookup(vocabulary=["red", "green", "blue"])(x), L.Hashing(3)(x)
    vectors = [L.Embedding(4, 3)(codes), L.Embedding(3, 3)(bins)]
    return k.Model(inputs, L.Dense(2)(L.Flatten()(L.Concatenate()(vectors))))


@case(integers(2, most=9), "sgd")
def lookups(k: Any) -> Any:
    L = k.layers
    x = inputs = k.Input((2,), dtype="int32")
    codes, bins = L.IntegerLookup(vocabulary=[2, 4, 6])(x), L.Hashing(3)(x)
    parts = [L.Flatten()(L.Embedding(4, 3)(codes)), L.CategoryEncoding(3, output_mode="count")(bins)]
    return k.Model(inputs, L.Dense(2)(L.Concatenate()(parts)))


@case([floats(4), floats(4)[::-1].copy()])
def merging(k: Any) -> Any:
    L = k.layers
    a, b = k.Input((4,)), k.Input((4,))
    x, y = L.Dense(3, activation="tanh")(a), L.Dense(3, activation="tanh")(b)
    kinds = [L.Add(), L.Subtract(), L.Multiply(), L.Average(), L.Maximum(), L.Minimum()]
    parts = [kind([x, y]) for kind in kinds] + [L.Dot(1, normalize=True)([x, y])]
    return k.Model([a, b], L.Dense(2)(L.Concatenate()(parts)))


@case(floats(4))
def nested(k: Any) -> Any:
    L = k.layers
    shared = L.Dense(4, activation="tanh")
    inner = k.Sequential([k.Input((4,)), L.Dense(4), k.Sequential([k.Input((4,)), L.Dense(4), L.Dense(4)])])
    middle = k.Input((4,))
    part = k.Model(middle, [inner(middle), shared(shared(middle)) * 2.0 + middle])
    x = k.Input((4,))
    (left, right), twice = part(x), L.Dense(4)
    return k.Model(x, L.Dense(2)(k.ops.concatenate([twice(left), twice(right)], axis=-1)))


@case(floats(4))
def subclassed(k: Any) -> Any:
    model = classes(k)["Tower"](4)
    model(k.ops.convert_to_tensor(data("subclassed")))
    return model


@case({"size": floats(3), "kind": integers(1)}, "sgd")
def dictionaries(k: Any) -> Any:
    L = k.layers
    size, kind = k.Input((3,), name="size"), k.Input((1,), dtype="int32", name="kind")
    x = L.Concatenate()([L.Dense(3)(size), L.Flatten()(L.Embedding(7, 2)(kind))])
    outputs = {"price": L.Dense(1, name="price")(x), "risk": L.Dense(2, activation="sigmoid", name="risk")(x)}
    return k.Model({"size": size, "kind": kind}, outputs)


@case(floats(4, 6))
def reshaping(k: Any) -> Any:
    L = k.layers
    return k.Sequential([
        k.Input((4, 6)), L.TimeDistributed(L.Dense(4)), L.Permute((2, 1)), L.Flatten(), L.RepeatVector(2),
        L.Reshape((8, 4)), L.TimeDistributed(k.Sequential([k.Input((4,)), L.Dense(2), L.Dense(2)])), L.Masking(0.5),
    ])  # fmt: skip


@case(floats(4))
def custom(k: Any) -> Any:
    x = inputs = k.Input((4,))
    scaled = classes(k)["Scaled"]
    return k.Model(inputs, k.layers.Dense(2)(scaled(2.0)(scaled()(x))))


@case(floats(4), exact=2e-2)
def mixed(k: Any) -> Any:
    L = k.layers
    half = "mixed_float16"
    stack = [L.Dense(4, activation="tanh", dtype=half), L.LayerNormalization(dtype=half), L.Dense(2, dtype="float32")]
    return k.Sequential([k.Input((4,)), *stack])
