"""Modules of the engines as layers: their weights are trained, frozen and saved like those of any layer."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from unidl.backend import active
from unidl.errors import UntraceableError
from unidl.graph.symbolic import symbols
from unidl.layers._base import Layer
from unidl.saving.objects import in_safe_mode

__all__ = ["FlaxLayer", "GluonBlockWrapper", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"]


class Native(Layer):
    """A layer around a module of the engine. In a recorded graph it is one opaque node.

    Attributes:
        _native: the backend's adapter.
        _native_variables: the module's variables.
    """

    _wraps_native = False
    _kind = ""

    def _hold(self, **what: Any) -> None:
        self._native = active.native_module(self._kind, **what)
        self._native_variables: list[Any] = []
        self.supports_masking = False
        self._find_variables()

    def _find_variables(self) -> None:
        found = self._native.variables()
        for variable in found:
            variable._wants_training = variable.trainable
            variable._path = f"{self._path}/{variable.name}"
            variable.trainable = variable.trainable and self._trainable
        self._native_variables = found

    def _run_native(self, args: tuple[Any, ...], kwargs: dict[str, Any], training: Any) -> Any:
        if next(symbols((args, kwargs)), None) is not None:
            raise UntraceableError(f"Layer {self.path!r} runs native code, which takes no symbolic tensors.")
        return self._native(args, kwargs, bool(training))

    def _copied(self, name: str) -> dict[str, Any]:
        """A configuration that holds the module itself: for copies in this process, not for files."""
        config = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype}
        return {**config, name: self._native.source}


def as_layer(module: Any) -> Layer:
    """The layer around a module of the engine."""
    kind = next(kind for cls, kind in active.native_modules if isinstance(module, cls))
    return TorchModuleWrapper(module) if kind == "torch" else GluonBlockWrapper(module)


class TorchModuleWrapper(Native):
    """A `torch.nn.Module` as a layer, with UNIDL_BACKEND=torch.

    Its parameters are weights, its buffers non-trainable weights. A module that is assigned to an attribute of a layer
    or model is wrapped so by itself.

    Args:
        module: the module. It stays the same object; `training` in a call is set with its ``train()``.
        output_shape: what `compute_output_shape` says; None: found by running the module on zeros.

    Raises:
        NotImplementedError: on other backends.

    The configuration holds the module itself, so a copy of the layer in the process works; files would need pickle,
    which unidl never reads: write the class that makes the module as a layer or model, with `get_config` of its own.
    """

    _kind = "torch"

    def __init__(self, module: Any, name: str | None = None, output_shape: Any = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self._hold(module=module)
        self.module = self._native.source
        self._output_shape = output_shape
        self._finish_build()

    def call(self, *args: Any, training: Any = None, **kwargs: Any) -> Any:
        return self._run_native(args, kwargs, training)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._output_shape is not None:
            return tuple(self._output_shape)
        return super().compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**self._copied("module"), "output_shape": self._output_shape}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None, safe_mode: bool | None = None) -> Any:
        """A layer around a copy of the module in `config`, its weights included.

        Raises:
            ValueError: if the module is a pickle, as in Keras's files: reading it runs code.
        """
        config = dict(config)
        if isinstance(config.get("module"), (dict, str, bytes)):
            raise ValueError(
                f"{cls.__name__}: the module in this configuration is a pickle, which torch.load would run as code. "
                "unidl never reads it: make the module in Python and wrap that."
            )
        return cls(copy.deepcopy(config.pop("module")), **config)


class GluonBlockWrapper(Native):
    """A gluon `Block` as a layer, with UNIDL_BACKEND=mxnet.

    Its parameters are weights, those with ``grad_req="null"`` non-trainable. A block that is not initialized yet is
    with the first input. One that is assigned to an attribute of a layer or model is wrapped so by itself.

    Args:
        block: the block, hybridized or not. It stays the same object.
        output_shape: what `compute_output_shape` says; None: found by running the block on zeros.

    Raises:
        NotImplementedError: on other backends.
    """

    _kind = "gluon"

    def __init__(self, block: Any, name: str | None = None, output_shape: Any = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self._hold(block=block)
        self.block = self._native.source
        self._output_shape = output_shape

    def build(self, input_shape: Any = None) -> None:
        if input_shape is not None:
            shapes = input_shape if isinstance(input_shape[0], (tuple, list)) else [input_shape]
            sizes = [tuple(2 if d is None else d for d in shape) for shape in shapes]
            zeros = [active.to_tensor(np.zeros(size, "float32"), self.compute_dtype) for size in sizes]
            self._native.prepare(zeros)
            self._find_variables()

    def call(self, *args: Any, training: Any = None, **kwargs: Any) -> Any:
        return self._run_native(args, kwargs, training)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._output_shape is not None:
            return tuple(self._output_shape)
        return super().compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**self._copied("block"), "output_shape": self._output_shape}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A layer around a copy of the block in `config`, its weights included."""
        config = dict(config)
        return cls(copy.deepcopy(config.pop("block")), **config)


class TFSMLayer(Native):
    """A TensorFlow SavedModel as a layer, with UNIDL_BACKEND=tensorflow.

    Args:
        filepath: folder of the SavedModel. Reading one means running what its author wrote: do not read what you do not
            trust.
        call_endpoint: name of the function, or of the signature, that the layer calls.
        call_training_endpoint: the same for training; None: `call_endpoint`.
        trainable: whether training changes its variables.

    Raises:
        NotImplementedError: on other backends.
        ValueError: if there is no SavedModel, or no such endpoint.
    """

    _kind = "saved_model"

    def __init__(
        self,
        filepath: Any,
        call_endpoint: str = "serve",
        call_training_endpoint: str | None = None,
        trainable: bool = True,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name, dtype=dtype)
        self.filepath = str(filepath)
        self.call_endpoint = call_endpoint
        self.call_training_endpoint = call_training_endpoint
        self._hold(path=filepath, endpoint=call_endpoint, training_endpoint=call_training_endpoint)
        self._finish_build()

    def call(self, inputs: Any, training: Any = False, **kwargs: Any) -> Any:
        return self._run_native((inputs,), kwargs, training)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None, safe_mode: bool | None = None) -> Any:
        """A new layer, which reads the SavedModel again.

        Raises:
            ValueError: unless ``safe_mode=False`` or a scope says that the source is trusted.
        """
        if in_safe_mode(safe_mode):
            raise ValueError(
                f"{cls.__name__}: the configuration names a SavedModel ({config.get('filepath')!r}), which is code. "
                "If you trust the source, pass safe_mode=False."
            )
        return cls(**config)


class JaxLayer(Layer):
    """A function of JAX as a layer. unidl has no jax backend yet, so making one raises.

    Args:
        call_fn: ``call_fn(params, [state], [rng], inputs, [training])``.
        init_fn: makes `params` and `state`.
        params, state: structures of arrays to start from.

    Raises:
        NotImplementedError: always.
    """

    def __init__(
        self,
        call_fn: Any,
        init_fn: Any = None,
        params: Any = None,
        state: Any = None,
        seed: Any = None,
        native_serialization_platforms: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        active.native_module("jax", call_fn=call_fn, init_fn=init_fn, params=params, state=state, seed=seed)


class FlaxLayer(JaxLayer):
    """A module of Flax as a layer. unidl has no jax backend yet, so making one raises.

    Args:
        module: a `flax.linen.Module`.
        method: name of the method to call; None: ``__call__``.
        variables: structure of arrays to start from.

    Raises:
        NotImplementedError: always.
    """

    def __init__(self, module: Any, method: Any = None, variables: Any = None, **kwargs: Any) -> None:
        super().__init__(module, params=variables, **kwargs)
