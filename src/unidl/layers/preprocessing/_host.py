"""What preprocessing layers share: they work in data pipelines too, whatever engine runs those, and on strings.

A `DataLayer` computes with `unidl.ops`. Given tensors of TensorFlow on another engine, it computes on the engine with
their values: at once, or, where a `tf.data` pipeline is being recorded, each time the pipeline runs. TensorFlow is
never imported for it: whoever has such tensors has imported it.

A `HostLayer` computes with NumPy, for what no engine can do alike (strings, hashing). It is one opaque node of a graph.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from unidl import tree
from unidl._state import state
from unidl.backend import active
from unidl.graph.symbolic import SymbolicTensor, TensorSpec
from unidl.layers._base import Layer

_OWN = active.tensor_types | {SymbolicTensor}
_IS_TENSORFLOW = active.name == "tensorflow"


def tensorflow_of(*values: Any) -> Any:
    """The module `tensorflow` if any of `values` is a tensor of it, else None. It is not imported for that."""
    tf = sys.modules.get("tensorflow")
    return tf if tf is not None and any(tf.is_tensor(v) for v in values) else None


def in_graph(value: Any) -> bool:
    """Whether `value` is a tensor without a value in a graph that TensorFlow is recording."""
    return tensorflow_of(value) is not None and not hasattr(value, "numpy")


def is_text(value: Any) -> bool:
    """Whether `value` is a string or an array of strings (or of other Python objects)."""
    return isinstance(value, (str, bytes)) or (
        isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "OUS"
    )


def dense(value: Any, layer: str) -> Any:
    """`value`, refused if it is one of TensorFlow's sparse or ragged tensors."""
    if type(value).__name__ in ("SparseTensor", "RaggedTensor"):
        kind = type(value).__name__[:-6].lower()
        raise ValueError(
            f"Layer {layer!r}: inputs should be dense tensors, but a {kind} one came (of shape {value.shape}). "
            f"Make it dense with {'tf.sparse.to_dense(x)' if kind == 'sparse' else 'x.to_tensor()'}."
        )
    return value


def host_values(value: Any) -> np.ndarray:
    """The NumPy array of anything that has values: tensors of any engine, arrays, lists, numbers, strings."""
    if isinstance(value, np.ndarray):
        return value
    if active.is_tensor(value):
        return active.to_numpy(value)
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        return np.asarray(value.detach().cpu())
    for method in ("asnumpy", "numpy"):
        if callable(getattr(value, method, None)):
            return np.asarray(getattr(value, method)())
    if isinstance(value, (list, tuple)) and any(hasattr(v, "dtype") for v in value):
        return np.stack([host_values(v) for v in value])
    return np.asarray(value)


def strings_of(array: Any) -> list[str]:
    """The elements of an array as Python strings, in C order; bytes are read as UTF-8, integers written out."""
    return [
        v if type(v) is str else v.decode("utf-8", "surrogateescape") if isinstance(v, bytes) else str(v)
        for v in np.asarray(array).ravel().tolist()
    ]


class DataLayer(Layer):
    """A layer that may be used in data pipelines of TensorFlow on every engine, as ``dataset.map(layer)``."""

    #: Tells TensorFlow's AutoGraph, which rewrites Python code in pipelines, to call layers as they are.
    autograph_info__ = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        first = args[0] if args else None
        if type(first) in _OWN and not (_IS_TENSORFLOW and not self.built):
            return super().__call__(*args, **kwargs)
        leaves = tree.flatten((args, kwargs))
        tf = tensorflow_of(*leaves)
        if tf is None:
            return super().__call__(*args, **kwargs)
        for leaf in leaves:
            dense(leaf, self.path)
        if not any(in_graph(leaf) for leaf in leaves):
            return super().__call__(*args, **kwargs)
        if _IS_TENSORFLOW:
            if not self.built and state.trace is None:
                with tf.init_scope():  # variables live outside the pipeline that is being recorded
                    self.compute_output_spec(*_specs(tf, args), **_specs(tf, kwargs))
            return super().__call__(*args, **kwargs)
        return self._in_pipeline(tf, args, kwargs)

    def _in_pipeline(self, tf: Any, args: Any, kwargs: Any) -> Any:
        """A node of TensorFlow's graph that calls this layer on the engine when the graph runs."""
        return in_pipeline(tf, self, self.compute_output_spec, args, kwargs)

    def convert_weight(self, weight: Any) -> Any:
        """`weight` as it is: a pipeline of another engine calls the layer on its own engine."""
        return weight

    def _converted(self, value: Any) -> Any:
        if type(value) not in _OWN and not isinstance(value, (np.ndarray, list, tuple, dict, str)):
            if tensorflow_of(value) is not None or hasattr(value, "detach") or hasattr(value, "__array__"):
                value = host_values(value)
        return super()._converted(value)


def in_pipeline(tf: Any, function: Callable[..., Any], output_spec: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """A node of TensorFlow's graph that calls `function` on the engine when the graph runs.

    Args:
        output_spec: from `args` and `kwargs` with symbolic tensors to what `function` returns; what is no symbolic
            tensor in it is returned as it is.
    """
    leaves = tree.flatten((args, kwargs))
    places = [i for i, leaf in enumerate(leaves) if tf.is_tensor(leaf)]
    expected = output_spec(*_specs(tf, args), **_specs(tf, kwargs))
    results = tree.flatten(expected)
    symbolic = [i for i, result in enumerate(results) if type(result) is SymbolicTensor]
    specs = [results[i] for i in symbolic]

    def run(*arrays: np.ndarray) -> list[np.ndarray]:
        given = list(leaves)
        for place, array in zip(places, arrays, strict=True):
            given[place] = array
        inner_args, inner_kwargs = tree.pack_sequence_as((args, kwargs), given)
        with active.no_grad():
            found = tree.flatten(function(*inner_args, **inner_kwargs))
        return [
            host_values(found[i]).astype(tf.as_dtype(s.dtype).as_numpy_dtype, copy=False)
            for i, s in zip(symbolic, specs, strict=True)
        ]

    outputs = tf.numpy_function(run, [leaves[i] for i in places], [s.dtype for s in specs])
    known = all(leaves[i].shape.rank is not None for i in places)
    for place, output, spec in zip(symbolic, outputs, specs, strict=True):
        if known:
            output.set_shape(spec.shape)
        results[place] = output
    return tree.pack_sequence_as(expected, results)


def _specs(tf: Any, structure: Any) -> Any:
    """`structure` with symbolic tensors in place of TensorFlow's."""

    def spec(value: Any) -> Any:
        if not tf.is_tensor(value):
            return value
        return SymbolicTensor(() if value.shape.rank is None else tuple(value.shape), value.dtype.name)

    return tree.map_structure(spec, structure)


class HostLayer(DataLayer):
    """A layer of one output that is computed by NumPy on the host.

    Subclasses define `compute`, from arrays to an array, and `output_spec`, from the specs of the inputs to that of
    the output.
    """

    def compute(self, *arrays: np.ndarray) -> np.ndarray:
        """The output's values."""
        raise NotImplementedError

    def output_spec(self, *specs: TensorSpec) -> TensorSpec:
        """The output's shape and dtype."""
        raise NotImplementedError

    def call(self, inputs: Any) -> Any:
        return self.on_host(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.output_spec(TensorSpec(tuple(input_shape), "string")).shape

    def on_host(self, *tensors: Any) -> Any:
        """`compute` of the tensors' values, now or when the graph runs that is being recorded."""
        if any(type(t) is SymbolicTensor for t in tensors):
            return _recorded(self, tensors)
        return on_host(self.compute, lambda: self.output_spec(*map(_spec_of, tensors)), tensors)

    def _converted(self, value: Any) -> Any:
        """Anything that is no tensor as a NumPy array."""
        if value is None or type(value) in _OWN and not isinstance(value, np.ndarray) or in_graph(value):
            return value
        return host_values(value)


def _recorded(layer: HostLayer, tensors: Sequence[Any]) -> SymbolicTensor:
    from unidl.ops._opaque import opaque

    symbols = [t for t in tensors if type(t) is SymbolicTensor]
    spec = layer.output_spec(*map(_spec_of, tensors))

    def run(*values: Any) -> tuple[Any, ...]:
        given = iter(values)
        full = [next(given) if type(t) is SymbolicTensor else t for t in tensors]
        return (on_host(layer.compute, lambda: spec, full),)

    return opaque(f"layer {layer.name}", run, symbols, [spec], origin=layer)[0]


def _spec_of(value: Any) -> TensorSpec:
    if type(value) is SymbolicTensor:
        return TensorSpec(value.shape, value.dtype)
    if is_text(value):
        return TensorSpec(np.shape(value), "string")
    if isinstance(value, np.ndarray):
        return TensorSpec(value.shape, value.dtype.name)
    return TensorSpec(tuple(active.shape(value)), active.dtype(value))


def on_host(function: Callable[..., np.ndarray], spec: Callable[[], TensorSpec], values: Sequence[Any]) -> Any:
    """``function(*arrays)`` as a tensor; inside a graph of TensorFlow, as a node of it."""
    if any(in_graph(v) for v in values):
        tf = sys.modules["tensorflow"]
        expected = spec()
        dtype = tf.as_dtype(expected.dtype)

        def run(*arrays: np.ndarray) -> np.ndarray:
            result = function(*arrays)
            return result.astype(object if dtype is tf.string else dtype.as_numpy_dtype, copy=False)

        output = tf.numpy_function(run, [v if tf.is_tensor(v) else tf.constant(v) for v in values], dtype)
        output.set_shape(expected.shape)
        return output
    result = function(*map(host_values, values))
    return string_tensor(result) if is_text(result) else active.to_tensor(result)


def string_tensor(strings: np.ndarray) -> Any:
    """Strings as a tensor, if the engine has such; otherwise as they are, a NumPy array."""
    return active.to_tensor(strings) if active.strings else strings
