"""`Model`: a layer that can be trained, built from symbolic tensors or subclassed."""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from unidl import dtype_policies, tree
from unidl._objects import Cache
from unidl._state import state
from unidl.backend import active
from unidl.errors import OpError, UntraceableError
from unidl.graph.graph import Graph
from unidl.graph.symbolic import SymbolicTensor, TensorSpec
from unidl.graph.trace import trace
from unidl.layers._base import Layer, structure
from unidl.layers._input import Input, InputLayer
from unidl.models._config import is_functional_config, net_config, net_from_config
from unidl.models._state_tree import set_state_tree, state_tree
from unidl.models.functional import Net
from unidl.saving.objects import deserialize_keras_object, serialize_keras_object
from unidl.saving.registration import CustomObjectScope
from unidl.training.trainer import Trainer

_TYPES = active.tensor_types


def is_strings(value: Any) -> bool:
    """Whether `value` is a NumPy array of strings: what engines without tensors of strings take in their place."""
    return type(value) is np.ndarray and value.dtype.kind in "US"


class Model(Trainer, Layer):
    """A net with a training loop.

    Three ways to make one: ``Model(inputs, outputs)`` from symbolic tensors, a `Sequential`, or a
    subclass with layers as attributes and a `call`.

    Example:
        >>> import unidl
        >>> x = unidl.Input((4,))
        >>> model = unidl.Model(x, unidl.layers.Dense(2)(x))
        >>> model.output_shape
        (None, 2)
    """

    def __init__(self, inputs: Any = None, outputs: Any = None, name: str | None = None, **kwargs: Any) -> None:
        Layer.__init__(self, name=name, **kwargs)
        self._net: Net | None = None
        self._replays = Cache()
        self._replay_version = -1
        #: Whether replays are made for whole shapes: the engine or the graph needs the batch size as a number.
        self._whole_shapes = active.static_shapes
        self._fixed: list[bool] = []
        self._init_trainer()
        if (inputs is None) != (outputs is None):
            raise ValueError("A functional model needs `inputs` and `outputs`; for a subclass give neither.")
        if inputs is not None:
            self._set_net(inputs, outputs)

    def _set_net(self, inputs: Any, outputs: Any) -> None:
        net = Net(inputs, outputs, self.name)
        if not all(isinstance(getattr(t.node, "layer", None), InputLayer) for t in net.flat_inputs):
            # Between tensors in the middle of another model: the calls are made again from inputs of its own.
            inputs = tree.map_structure(_own_input, inputs)
            net = Net(inputs, net.run(inputs), self.name)
        self.autocast = False  # inputs are brought to the dtypes that they were declared with
        names = [layer.name for layer in net.layers]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"Layers of model {self.name!r} share the names {twice}: give each its own `name`.")
        self._net = net
        #: For each input whether it is declared with a batch size: its first size may be anything else, too.
        self._fixed = [bool(t.shape) and t.shape[0] is not None for t in net.flat_inputs]
        self._whole_shapes = active.static_shapes or all(self._fixed)
        self._net_layers = net.layers
        self._replays.clear()
        self._build_shapes = {"input_shape": tree.map_structure(lambda t: t.shape, inputs)}
        self._finish_build()
        self._assign_paths()

    def _assign_paths(self, path: str = "") -> None:
        """Give every layer and variable inside its full path, which begins with the model's name."""
        super()._assign_paths(path or self.name)

    # -- structure --------------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers directly inside, in order."""
        return list(self._net.layers) if self._net is not None else self._sublayers()

    @layers.setter
    def layers(self, value: Any) -> None:
        raise AttributeError(
            "The `Model.layers` attribute is reserved for the list of the model's layers: name yours otherwise."
        )

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that place of `layers`."""
        if (name is None) == (index is None):
            raise ValueError("get_layer needs either `name` or `index`.")
        if index is not None:
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"Model {self.name!r} has no layer {name!r}; it has {[layer.name for layer in self.layers]}.")

    def _functional(self, what: str) -> Net:
        if self._net is None:
            raise AttributeError(
                f"Model {self.name!r} is not a functional model, or not built yet, so it has no `{what}`."
            )
        return self._net

    @property
    def inputs(self) -> list[SymbolicTensor]:
        return self._functional("inputs").flat_inputs

    @property
    def outputs(self) -> list[SymbolicTensor]:
        return self._functional("outputs").flat_outputs

    @property
    def input(self) -> Any:
        return self._functional("input").inputs

    @property
    def output(self) -> Any:
        return self._functional("output").outputs

    @property
    def input_shape(self) -> Any:
        return tree.map_structure(lambda t: t.shape, self.input)

    @property
    def output_shape(self) -> Any:
        return tree.map_structure(lambda t: t.shape, self.output)

    @property
    def output_names(self) -> list[str]:
        """The outputs' own names (models from ONNX files have such), or those of the layers that make them."""
        if self._net is None:
            return []
        return [
            t.name or getattr(getattr(t.node, "layer", None), "name", None) or f"output_{i}"
            for i, t in enumerate(self.outputs)
        ]

    # -- calling ----------------------------------------------------------------------------

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Run the layers of a functional model; subclasses override this."""
        if self._net is None:
            raise NotImplementedError(f"Model {type(self).__name__} has no `call(inputs)`: its computation goes there.")
        return self._net.run(inputs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        replayed = self._net is not None and not self.run_eagerly and len(args) == 1
        if replayed and state.trace is None and state.scope is None:
            return self._replayed(args[0], kwargs)
        return self._invoke(args, kwargs)

    def _converted(self, value: Any) -> Any:
        """As in `Layer`; strings stay as they are for inputs that are declared so."""
        if is_strings(value) and self._takes_strings():
            return active.to_tensor(value) if active.strings else value
        return super()._converted(value)

    def _takes_strings(self) -> bool:
        """Whether an input is one of strings."""
        return self._net is not None and any(t.dtype == "string" for t in self._net.flat_inputs)

    def _replayed(self, inputs: Any, kwargs: dict[str, Any]) -> Any:
        """Call a functional model through replay of its graph for these shapes."""
        if structure["version"] != self._replay_version:
            self._replays.clear()
            self._replay_version = structure["version"]
        training = kwargs.get("training")
        if training is None:
            training = state.training if state.training is not None else self._default_training()
        if type(inputs) in _TYPES and not is_strings(inputs):
            shape = active.shape(inputs)
            key: Any = (training, inputs.dtype, tuple(shape) if self._whole_shapes else tuple(shape[1:]), len(shape))
            flat: Any = (inputs,)
        else:
            if kwargs.keys() - {"training"} or any(type(v) is SymbolicTensor for v in tree.flatten(inputs)):
                return self._invoke((inputs,), kwargs)
            inputs = self._converted(inputs)
            with warnings.catch_warnings():  # whatever there is to say, recording or running says it
                warnings.simplefilter("ignore")
                flat = tuple(self._net.match(inputs))  # type: ignore[union-attr]
            if not all(type(v) in _TYPES and not is_strings(v) for v in flat):
                return self._invoke((inputs,), kwargs)
            key = (training, *((v.dtype, s) for v, s in zip(flat, self._key_shapes(flat), strict=True)))
        entry = self._replays.get(key)
        if entry is None:
            if kwargs.keys() - {"training"}:
                return self._invoke((inputs,), kwargs)
            entry = self._replays[key] = self._make_replay(flat, training)
        run, single, pack = entry
        if run is None:
            return self._invoke((inputs,), kwargs)
        try:
            results = run(*flat)
        except Exception as error:
            raise self._explained(error, flat, training) from error
        return results[0] if single else pack(results)

    def _key_shapes(self, tensors: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The shapes for which a replay is made: those of `tensors`, with batch sizes unknown where that may be."""
        shapes = [tuple(active.shape(t)) for t in tensors]
        if self._whole_shapes:
            return shapes
        return [s if fixed or not s else (None, *s[1:]) for s, fixed in zip(shapes, self._fixed, strict=True)]

    def _make_replay(self, flat: tuple[Any, ...], training: bool) -> Any:
        self._net.check([active.shape(v) for v in flat])  # type: ignore[union-attr]
        specs = [TensorSpec(s, active.dtype(v)) for s, v in zip(self._key_shapes(flat), flat, strict=True)]
        try:
            graph = self._graph(specs, training)
        except UntraceableError:
            return None, False, None
        except OpError:
            if self._whole_shapes:
                raise
            return self._replay_of_whole_shapes(flat, training)
        run = active.executable(graph)
        if type(graph.structure) is SymbolicTensor:
            return run, True, None
        return run, False, graph.pack

    def _replay_of_whole_shapes(self, flat: tuple[Any, ...], training: bool) -> Any:
        """The replay for this very batch size, and from now on one for each: the graph does not fit any other."""
        self._whole_shapes = True
        try:
            return self._make_replay(flat, training)
        except OpError:  # the input is wrong in another way
            self._whole_shapes = False
            raise

    def _graph(self, specs: list[TensorSpec], training: bool) -> Graph:
        def forward(*values: Any) -> Any:
            given: Any = list(values)
            if self._net is not None:
                given = tree.pack_sequence_as(self._net.inputs, values)
            elif len(values) == 1:
                given = values[0]
            return self(given, training=training)

        return trace(forward, tuple(specs), owner=self, name=self.name)

    def _explained(self, error: Exception, flat: Any, training: bool) -> Exception:
        """The error that recording the call for these very shapes gives, if any; else `error`."""
        if isinstance(error, OpError):
            return error
        try:
            self._graph([TensorSpec(tuple(active.shape(v)), active.dtype(v)) for v in flat], training)
        except OpError as better:
            return better
        except Exception:  # recording cannot explain it: the engine's own error stands
            return error
        return error

    def graph(self, input_shape: Any = None, training: bool = False) -> Graph:
        """The typed graph of one call: ops, shapes, dtypes, variables. ``print(model.graph())`` shows it.

        Args:
            input_shape: shape (or structure of shapes) to record for; by default what the model was
                built for, the batch unknown.
            training: whether to record training behaviour.
        """
        if input_shape is not None:
            shapes = [input_shape] if all(d is None or isinstance(d, int) for d in input_shape) else list(input_shape)
            dtypes = (
                [t.dtype for t in self._net.flat_inputs]
                if self._net is not None
                else [self.compute_dtype] * len(shapes)
            )
        elif self._net is not None:
            shapes = [t.shape for t in self._net.flat_inputs]
            dtypes = [t.dtype for t in self._net.flat_inputs]
        elif getattr(self, "_seen_specs", None):
            shapes, dtypes = [s.shape for s in self._seen_specs], [s.dtype for s in self._seen_specs]
        else:
            raise ValueError(f"Model {self.name!r} has not seen data yet: call it, or give `input_shape`.")
        return self._graph([TensorSpec(tuple(s), d) for s, d in zip(shapes, dtypes, strict=True)], training)

    # -- weights and descriptions -----------------------------------------------------------

    def save(self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
        """Write the whole model, optimizer state included, to a ``.keras`` archive; see `saving.load_model`."""
        from unidl.saving.archive import save_model

        save_model(self, filepath, overwrite, zipped, **kwargs)

    def save_weights(
        self, filepath: Any, overwrite: bool = True, max_shard_size: float | None = None, **kwargs: Any
    ) -> None:
        """Write the weights to a ``.safetensors`` or ``.weights.h5`` file that every backend reads."""
        from unidl.saving.weights import save_weights

        save_weights(self, filepath, overwrite, max_shard_size, **kwargs)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> Any:
        """Read weights from such a file, or from a ``state_dict`` of PyTorch; nothing changes unless the file fits."""
        from unidl.saving.weights import load_weights

        return load_weights(self, filepath, skip_mismatch, **kwargs)

    def export(
        self,
        filepath: Any,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Write the model for inference in an engine's own format; unidl is not needed to run it.

        Args:
            filepath: where to: a folder for "tf_saved_model", a file for "torch", "torchscript" and "onnx", what the
                names of both files begin with for "mxnet".
            format: "tf_saved_model", with UNIDL_BACKEND=tensorflow, for ``tf.saved_model.load(path).serve(x)``;
                "torch", with torch, for ``torch.export.load(path).module()(x)``; "torchscript", with torch, for
                ``torch.jit.load(path)(x)``; "mxnet", with mxnet, for ``mx.gluon.SymbolBlock.imports``; "onnx".
            verbose: False: print nothing.
            input_signature: list of the arguments of the model's call, `InputSpec`s or structures of such; None: what
                it was built for, the batch unknown.
            kwargs: options of the format: `options` of ``tf.saved_model.save``, arguments of ``torch.export.export``.

        Raises:
            ValueError: if the backend does not write the format, the model is not built, or a layer computes what the
                format cannot hold.
        """
        from unidl.export._formats import export_model

        export_model(self, filepath, format, verbose, input_signature, **kwargs)

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Make the weights by one call on symbolic inputs of the shapes that `get_build_config` gave."""
        if self._net is not None or not config:
            return
        shapes = config.get("input_shape", next(iter(config.values())))
        if hasattr(self, "_stack"):
            self.build(shapes)
            return
        inputs = tree.map_shape_structure(lambda s: SymbolicTensor(tuple(s), self.compute_dtype), shapes)
        self.compute_output_spec(inputs)
        self._assign_paths()

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Print the layers with output shapes and numbers of parameters."""
        from unidl.viz.summary import print_summary

        print_summary(self, line_length, print_fn, expand_nested, show_trainable, layer_range, positions)

    # -- configuration ----------------------------------------------------------------------

    def _takes_net(self) -> bool:
        """Whether this class is constructed as ``Model(inputs, outputs)``."""
        return _takes_net(type(self))

    def _like(self, inputs: Any, outputs: Any) -> Model:
        """A model of this class between other tensors."""
        model = (type(self) if self._takes_net() else Model)(inputs, outputs, name=self.name)
        model._auto_named = self._auto_named
        return model

    def get_config(self) -> dict[str, Any]:
        """The layers and their calls of a functional model; the constructor's arguments of a subclass."""
        if not self._takes_net() or (self._net is None and type(self).__init__ is not Model.__init__):
            return super().get_config()
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable}
        if self._net is not None:
            config.update(net_config(self._net))
        if self._policy != dtype_policies.dtype_policy():
            config["dtype"] = dtype_policies.serialize(self._policy)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        """The model that `get_config` described.

        Raises:
            TypeError: for classes that are neither unidl's nor registered nor in `custom_objects`.
            ValueError: if the layers' calls do not make a net.
        """
        with CustomObjectScope(custom_objects):
            if not is_functional_config(config):
                return super().from_config(config)
            inputs, outputs = net_from_config(config, custom_objects)
        given = {k: v for k, v in config.items() if k not in ("layers", "input_layers", "output_layers")}
        return (cls if _takes_net(cls) else Model)(inputs=inputs, outputs=outputs, **given)

    def to_json(self, **kwargs: Any) -> str:
        """The configuration as JSON, for `model_from_json`; `kwargs` go to `json.dumps`."""
        return json.dumps(serialize_keras_object(self), **kwargs)

    def get_state_tree(self, value_format: str = "backend_tensor") -> dict[str, Any]:
        """All variables of the model, its optimizer and its metrics as nested dicts by path.

        Args:
            value_format: "backend_tensor", or "numpy_array" for copies on the host.
        """
        return state_tree(self, value_format)

    def set_state_tree(self, state_tree: dict[str, Any]) -> None:
        """Assign values as `get_state_tree` gives them; a part of the tree will do."""
        set_state_tree(self, state_tree)

    def get_quantization_layer_structure(self, mode: Any = None) -> Any:
        """Which layers quantization with calibration goes through; None: unidl quantizes no layers."""
        return None


def _takes_net(cls: type) -> bool:
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]
    passed_on = {p.kind for p in parameters} >= {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    return passed_on or {"inputs", "outputs"} <= {p.name for p in parameters}


def _own_input(tensor: SymbolicTensor) -> SymbolicTensor:
    if isinstance(getattr(tensor.node, "layer", None), InputLayer):
        return tensor
    own = Input(batch_shape=tensor.shape, dtype=tensor.dtype)
    own.mask = tensor.mask
    return own


def model_from_json(json_string: str, custom_objects: dict[str, Any] | None = None) -> Any:
    """The model that `Model.to_json` (or Keras) described.

    Example:
        >>> import unidl
        >>> model = unidl.Sequential([unidl.Input((3,)), unidl.layers.Dense(2)])
        >>> unidl.models.model_from_json(model.to_json()).output_shape
        (None, 2)
    """
    return deserialize_keras_object(json.loads(json_string), custom_objects)
