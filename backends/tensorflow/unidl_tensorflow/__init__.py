"""TensorFlow as a backend of unidl."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unidl.backend.contract import Backend, ProgramInputs
from unidl_tensorflow import (
    bits,
    complex,
    conv,
    creation,
    decompositions,
    elementwise,
    fft,
    linalg,
    nn,
    optimizers,
    random,
    reduce,
    rnn,
    scatter,
    search,
    shape,
    training,
)
from unidl_tensorflow._engine import EagerTensor, ResourceVariable, SymbolicTensor, stop_recording
from unidl_tensorflow._engine import tensorflow as tf
from unidl_tensorflow.compiling import Compiled
from unidl_tensorflow.control import graph_table
from unidl_tensorflow.dtypes import DTYPES, FLOATS
from unidl_tensorflow.variable import Module, Tracked, Variable, make_variable

Tensor = Any


class TensorFlowBackend(Backend):
    """See `unidl.backend.contract.Backend` for what each method means."""

    name = "tensorflow"
    engine = "tensorflow"
    Module = Module
    Tracked = Tracked
    Variable = Variable
    dtypes = DTYPES
    tensor_types = frozenset({EagerTensor, SymbolicTensor, ResourceVariable, Variable})
    traces_python = True
    strings = True
    detours = {
        "bool": ("int32",), "int8": ("int32", "float32"), "int16": ("int32", "float32"), "int32": ("int64", "float64"),
        "uint8": ("int32", "float32"), "uint16": ("int32", "float32"), "uint32": ("int64", "float64"),
        "float16": ("float32",), "bfloat16": ("float32",),
    }  # fmt: skip

    def __init__(self) -> None:
        self.table = {
            **elementwise.TABLE, **reduce.TABLE, **creation.TABLE, **shape.TABLE, **linalg.TABLE, **nn.TABLE,
            **decompositions.TABLE,
            **conv.TABLE, **rnn.TABLE, **random.TABLE,
            **bits.TABLE, **complex.TABLE, **search.TABLE, **scatter.TABLE, **fft.TABLE,
        }  # fmt: skip
        self.table.update(graph_table(self))

    @property
    def engine_version(self) -> str:
        return tf.__version__

    def devices(self) -> list[str]:
        counts: dict[str, int] = {}
        names = []
        for device in sorted(tf.config.list_physical_devices(), key=lambda d: d.device_type != "CPU"):
            kind = device.device_type.lower()
            names.append(f"{kind}:{counts.setdefault(kind, 0)}")
            counts[kind] += 1
        return names

    def device(self, name: str) -> contextlib.AbstractContextManager[Any]:
        return tf.device(name)

    # -- tensors ----------------------------------------------------------------------------

    def is_tensor(self, value: object) -> bool:
        return isinstance(value, (tf.Tensor, tf.Variable))

    def to_tensor(self, value: Any, dtype: str | None = None) -> Tensor:
        if isinstance(value, (tf.Tensor, tf.Variable)):
            return value if dtype is None or value.dtype is DTYPES[dtype] else tf.cast(value, dtype)
        if isinstance(value, tf.IndexedSlices):  # what gathering gives as gradient
            return self.to_tensor(tf.convert_to_tensor(value), dtype)
        # `tf.constant` copies arrays; `tf.convert_to_tensor` may share their memory.
        return tf.constant(value, None if dtype is None else DTYPES[dtype])

    def to_numpy(self, tensor: Tensor) -> np.ndarray:
        return np.asarray((tensor() if type(tensor) is Variable else tensor).numpy())

    def host_view(self, tensor: Tensor) -> np.ndarray:
        value = tensor._read_variable_op() if isinstance(tensor, ResourceVariable) else tensor
        try:
            return np.asarray(memoryview(value))
        except (TypeError, ValueError, NotImplementedError):  # not in this memory, or of a dtype without buffers
            return self.to_numpy(tensor)

    def shape(self, tensor: Tensor) -> tuple[int | None, ...]:
        return tuple(tensor.shape)

    def dim(self, tensor: Tensor, axis: int) -> Any:
        size = tensor.shape[axis]
        return tf.shape(tensor)[axis] if size is None else size

    def dtype(self, tensor: Tensor) -> str:
        return tensor.dtype.name

    def cast(self, tensor: Tensor, dtype: str) -> Tensor:
        return elementwise.cast(tensor, dtype)

    def rows(self, tensor: Tensor, index: Tensor) -> Tensor:
        return tf.raw_ops.GatherV2(params=tensor, indices=index, axis=0)

    def at_once(self) -> contextlib.AbstractContextManager[Any]:
        return tf.init_scope()

    def no_grad(self) -> contextlib.AbstractContextManager[Any]:
        return stop_recording()

    # -- variables --------------------------------------------------------------------------

    def make_variable(self, value: np.ndarray, *, trainable: bool, name: str) -> Tensor:
        return make_variable(value, trainable, name)

    def assign(self, variable: Tensor, value: Tensor) -> None:
        tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)

    def fill(self, variable: Tensor, value: np.ndarray) -> None:
        self.assign(variable, tf.constant(value))  # a copy, which becomes the variable's memory

    def increment(self, variable: Tensor) -> None:
        tf.raw_ops.AssignAddVariableOp(resource=variable.handle, value=tf.ones(variable.shape, variable.dtype))

    # -- the engine's own modules -----------------------------------------------------------

    def native_module(self, kind: str, **what: Any) -> Any:
        if kind != "saved_model":
            return super().native_module(kind, **what)
        from unidl_tensorflow.modules import SavedModel

        return SavedModel(**what)

    # -- gradients --------------------------------------------------------------------------

    def differentiate(
        self, fn: Callable[..., Any], tensors: Sequence[Tensor], variables: Sequence[Tensor]
    ) -> tuple[Any, list[Tensor | None], list[Tensor | None]]:
        return training.differentiate(fn, tensors, variables)

    def jvp(
        self, fn: Callable[..., Sequence[Tensor]], primals: Sequence[Tensor], tangents: Sequence[Tensor]
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        return training.jvp(fn, primals, tangents)

    def custom_gradient(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        return training.custom_gradient(fn)

    def rematerialized(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            seed = random.new_seed()

            def same(*given: Any) -> Any:
                with random.drawing_from(seed):
                    return fn(*given)

            return tf.recompute_grad(same)(*args)

        return run

    def vectorized(self, fn: Callable[..., Sequence[Tensor]], tensors: Sequence[Tensor]) -> Sequence[Tensor] | None:
        if any(t.shape[0] == 0 for t in tensors):
            return None
        return tf.vectorized_map(lambda slices: tuple(fn(*slices)), tuple(tensors))

    # -- running graphs ---------------------------------------------------------------------

    def executable(self, graph: Any, *, jit: bool = False) -> Callable[..., Any]:
        if not graph.traceable:
            return super().executable(graph)
        signature = [tf.TensorSpec(t.shape, t.dtype) for t in graph.inputs]
        return Compiled(super().executable(graph), signature, jit=jit)

    def jit(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        return tf.function(fn, autograph=False, reduce_retracing=True)

    export_formats = ("tf_saved_model",)

    def export(self, format: str, path: Path, archive: Any, options: dict[str, Any]) -> list[Path]:
        from unidl_tensorflow.exporting import saved_model

        return saved_model(self, path, archive, options)

    def write_onnx(self, source: Path, target: Path, inputs: ProgramInputs) -> None:
        from unidl_tensorflow.converting import write_onnx

        write_onnx(source, target)

    def train_step(
        self,
        forward: Callable[..., tuple[Any, ...]],
        variables: Sequence[Tensor],
        apply: Callable[[list[Tensor | None]], None],
        *,
        jit: bool = False,
        slots: Mapping[str, Sequence[Any]] | None = None,
    ) -> Callable[..., tuple[Any, ...]]:
        return training.train_step(forward, variables, apply, jit=jit)

    def optimizer_kernel(
        self, name: str, optimizer: Any, variables: Sequence[Tensor]
    ) -> Callable[[list[Tensor]], None] | None:
        make = optimizers.KERNELS.get(name)
        # The kernels take their numbers in the variables' dtype: 0.999 would be 1 in bfloat16.
        if make is None or any(v.dtype not in (tf.float32, tf.float64) for v in variables):
            return None
        return make(optimizer, list(variables))

    # -- random -----------------------------------------------------------------------------

    def dataset(self, elements: Callable[[], Iterator[Any]], spec: Any, length: int | None) -> Any:
        from unidl_tensorflow.data import dataset

        return dataset(elements, spec, length)

    def set_seed(self, seed: int) -> None:
        random.set_seed(seed)

    def random_state(self) -> dict[str, np.ndarray]:
        return random.random_state()

    def set_random_state(self, state: dict[str, np.ndarray]) -> None:
        random.set_random_state(state)

    def host_call(self, fn: Callable[..., np.ndarray], shape: Any, dtype: str, *tensors: Tensor) -> Tensor:
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        if tf.executing_eagerly():
            values = fn(tuple(int(d) for d in shape), *map(self.to_numpy, tensors))
            return self.to_tensor(np.asarray(values), dtype)

        def draw(sizes: np.ndarray, *arrays: np.ndarray) -> np.ndarray:
            return np.asarray(fn(tuple(int(d) for d in sizes), *arrays)).astype(DTYPES[dtype].as_numpy_dtype)

        sizes = tf.stack([tf.cast(d, tf.int32) for d in shape]) if shape else tf.zeros((0,), tf.int32)
        out = tf.numpy_function(draw, [sizes, *tensors], DTYPES[dtype])
        out.set_shape([None if tf.is_tensor(d) else int(d) for d in shape])
        return out


backend = TensorFlowBackend()
