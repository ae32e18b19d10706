"""`Layer`: state made once by `build`, a lean call, and what a model needs to know about it."""

from __future__ import annotations

import functools
import inspect
import re
from typing import Any

import numpy as np

from unidl import dtype_policies, dtypes, tree
from unidl._state import state
from unidl.backend import active
from unidl.config import shown_cause
from unidl.errors import OpError
from unidl.graph.operation import Operation
from unidl.graph.symbolic import SymbolicTensor, like, symbols
from unidl.layers._calling import (
    CallSpec,
    attach_mask,
    build_parameters,
    call_spec,
    record_layer,
    run_in_trace,
    shapes_of,
)
from unidl.layers._contents import Contents
from unidl.layers._functions import Functions
from unidl.layers._policies import Policies
from unidl.layers._spec import InputSpec

__all__ = ["Layer"]

_TYPES = active.tensor_types
_FLOATS = frozenset(native for name, native in active.dtypes.items() if name in dtypes.FLOATS)
_NATIVE = tuple(cls for cls, _ in active.native_modules)
_counts: dict[str, int] = {}

#: Raised by one whenever something that a recorded graph depends on changes (a layer is frozen).
structure = {"version": 0}


def _shape_of(value: Any) -> Any:
    """A shape, or a structure of shapes, as `build` takes it: JSON has no tuples."""
    if isinstance(value, dict):
        return {k: _shape_of(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(value) if all(d is None or isinstance(d, int) for d in value) else [_shape_of(v) for v in value]
    return value


def unique_name(base: str) -> str:
    """`base` the first time, then ``base_1``, ``base_2`` …"""
    count = _counts[base] = _counts.get(base, -1) + 1
    return f"{base}_{count}" if count else base


def snake_case(name: str) -> str:
    """``ConvLSTM2D`` as ``conv_lstm2d``: Keras's files have these names."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


class Layer(Contents, Functions, Policies, active.Module):  # type: ignore[name-defined,misc]
    """A piece of a model: variables, and a computation written with `unidl.ops`.

    Subclasses make variables in ``build(input_shape)`` with `add_weight` and compute in
    ``call(inputs, …)``. Arguments of `call` named `training` and `mask` are filled in: `training`
    from the outermost call (False if nobody says), `mask` from the inputs.

    Args:
        activity_regularizer: callable added as a loss of the outputs.
        trainable: whether training changes the layer's weights.
        dtype: dtype of weights and computation; None: the default float.
        autocast: whether float inputs are cast to that dtype.
        name: a name, unique in its model; by default made from the class.
    """

    #: Whether `compute_mask` makes a mask where the inputs have none; None: it does if the class defines it.
    makes_mask: bool | None = None
    #: Whether a mask of the inputs is one of the outputs as well.
    supports_masking: bool = False
    #: Whether the first size of a tensor that it gives is that of its first input: the number of examples.
    keeps_batch: bool = True
    #: What inputs must be like, once the layer is built.
    input_spec: InputSpec | None = None
    #: Whether a module of the engine that is assigned to an attribute becomes a layer.
    _wraps_native = bool(active.native_modules)
    #: Whether the layer never has variables: it is built as soon as it is made, unless a subclass defines `build`.
    _stateless = False

    def __new__(cls, *args: Any, **kwargs: Any) -> Layer:
        layer = super().__new__(cls)
        # What the constructor was given is the layer's configuration, unless get_config says more.
        object.__setattr__(layer, "_arguments", (args, kwargs))
        object.__setattr__(layer, "_tracked", {})
        object.__setattr__(layer, "_fast", 0)
        object.__setattr__(layer, "_building", False)
        object.__setattr__(layer, "_ready", False)
        return layer

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        if "input_shape" in kwargs:
            self._declared_input = (None, *kwargs.pop("input_shape"))
        if "input_dim" in kwargs:
            self._declared_input = (None, kwargs.pop("input_dim"))
        if kwargs:
            raise ValueError(
                f"{type(self).__name__} does not take the arguments {sorted(kwargs)}. "
                "All layers take: activity_regularizer, trainable, dtype, autocast, name."
            )
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(f"A layer's name is a string without '/', not {name!r}.")
        from unidl import regularizers

        self._name = name or unique_name(snake_case(type(self).__name__))
        self._auto_named = name is None
        self._path = self._name
        self._weights: list[Any] = []
        self._nodes: list[Any] = []
        self._losses: list[Any] = []
        if state.remat is not None:
            self._remat = state.remat
        self._set_policy(dtype_policies.get(dtype))
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.autocast = autocast
        self.built = self._stateless and type(self).build is Layer.build
        if not isinstance(trainable, bool):
            raise ValueError(f"Layer {self._name!r}: `trainable` has to be a boolean, not {trainable!r}.")
        self._trainable = bool(trainable)

    # -- attributes -------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        tracked = self._tracked
        if self._wraps_native and isinstance(value, _NATIVE) and not isinstance(value, Layer):
            from unidl.layers.foreign import as_layer

            value = as_layer(value)
        if isinstance(value, (Layer, active.Variable, list, tuple, dict)) or hasattr(value, "update_state"):
            tracked[name] = value
        elif name in tracked:
            del tracked[name]
        super().__setattr__(name, value)

    @property
    def name(self) -> str:
        return self._name

    @property
    def path(self) -> str:
        """Where the layer sits in its model, e.g. ``"model/block/dense"``."""
        return self._path

    @property
    def trainable(self) -> bool:
        """Whether training changes this layer; setting it holds for everything inside."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        structure["version"] += 1
        self._trainable = bool(value)
        for variable in self._own_variables():
            variable.trainable = self._trainable and getattr(variable, "_wants_training", variable.trainable)
        for layer in self._sublayers():
            layer.trainable = value

    # -- state ------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Make the variables. Subclasses override this; it runs once, before the first call."""

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build for the shapes that `get_build_config` gave."""
        if "input_shape" in config:
            names = build_parameters(type(self))
            self._build(**{name: _shape_of(config["input_shape"]) for name in names[:1]})
        elif config:
            self._build(**{k: _shape_of(v) for k, v in config.get("shapes_dict", config).items()})

    def get_build_config(self) -> dict[str, Any] | None:
        """The shapes this layer was built for: `input_shape`, or `shapes_dict` if there are several."""
        shapes = getattr(self, "_build_shapes", None)
        if not shapes:
            return None
        return {"input_shape": next(iter(shapes.values()))} if len(shapes) == 1 else {"shapes_dict": shapes}

    def add_weight(
        self,
        shape: Any = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Any:
        """A new variable that belongs to this layer.

        Args:
            shape: tuple of ints; () by default.
            initializer: name, initializer or callable; by default Glorot uniform for floats, zeros otherwise.
            dtype: None: the layer's.
            trainable: whether training changes it (while the layer is trainable).
            regularizer, constraint: callables or names, applied by the training loop.
            name: last part of its path.
        """
        from unidl import constraints, regularizers
        from unidl.backend.variables import Variable

        name_of = dtypes.dtype_name(dtype) if dtype is not None else self.variable_dtype
        if initializer is None:
            initializer = "glorot_uniform" if dtypes.is_float(name_of) else "zeros"
        if isinstance(shape, str):
            raise ValueError(
                f"Layer {self.path!r}: the first argument of add_weight is the shape, not {shape!r}. Pass the "
                "name as a keyword argument: add_weight(shape, name=…)."
            )
        shape = () if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
        if any(d is None for d in shape):
            raise ValueError(
                f"Layer {self.path!r} cannot make weight {name!r} of shape {shape}: a dimension is unknown. "
                "Give the input a fixed size there."
            )
        variable = Variable(
            initializer, shape, name_of, trainable and self._trainable, autocast, aggregation, name=name or "variable"
        )
        variable._wants_training = trainable
        variable._path = f"{self._path}/{variable.name}"
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        variable.overwrite_with_gradient = overwrite_with_gradient
        self._weights.append(variable)
        return variable

    def add_variable(self, shape: Any, initializer: Any, **kwargs: Any) -> Any:
        """The same as `add_weight`."""
        return self.add_weight(shape, initializer, **kwargs)

    def add_metric(self, *args: Any, **kwargs: Any) -> None:
        """Keras 2's way to watch a value.

        Raises:
            NotImplementedError: always. Make a metric an attribute of the layer and update it in `call`.
        """
        raise NotImplementedError(
            f"Layer {self.path!r}: add_metric() is gone. Make a metric, e.g. self.mean = metrics.Mean(), in the "
            "constructor, and call self.mean.update_state(value) in `call`: fit() and evaluate() show it."
        )

    def add_loss(self, loss: Any) -> None:
        """Add a scalar to what training minimizes. Called in `call`, once for each call."""
        self._fast = 0  # the general call forgets the losses of the call before
        for item in tree.flatten(loss):
            if state.trace is not None:
                state.trace.losses.append((self, item))
            else:
                self._losses.append(item)

    def _build(self, **shapes: Any) -> None:
        """Run `build` once, outside any trace, and what else comes before the first call."""
        previous, state.trace = state.trace, None
        self._building = True
        try:
            if not self.built:
                before = {id(part) for part in self._sublayers() if part.built}
                self._place_parts(before)
                self.build(**shapes)
                self._place_parts(before)  # with what `build` made
            elif self._stateless and isinstance(shape := next(iter(shapes.values()), None), tuple):
                self._check_call({"": SymbolicTensor(shape, self.compute_dtype)})
        except OpError as error:
            raise self._located(error) from None
        finally:
            state.trace = previous
            self._building = False
        self._build_shapes = shapes
        self._finish_build()

    def _finish_build(self) -> None:
        spec = call_spec(type(self))
        self.built = self._ready = True
        self._native_dtype = active.dtypes.get(self.compute_dtype)
        if adopt := getattr(super(), "adopt", None):
            adopt({v.name: v for v in self._weights}, {layer.name: layer for layer in self._sublayers()})
        makes_mask = spec.makes_mask if self.makes_mask is None else self.makes_mask
        # Masks of the inputs need not be looked for on the fast path: it is left once there are any.
        if (
            self.activity_regularizer is None
            and not makes_mask
            and self._autocast_dtype is None
            and self._remat is None
        ):
            self._fast = 2 if spec.training else 1

    # -- calling ----------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._fast and len(args) == 1 and not kwargs and state.plain and not state.masks:
            x = args[0]
            if type(x) in _TYPES and (x.dtype is self._native_dtype or x.dtype not in _FLOATS):
                try:
                    if self._fast == 1:
                        return self.call(x)
                    training = state.training
                    return self.call(x, training=self._default_training() if training is None else training)
                except OpError as error:
                    raise self._complaint(error, x) from shown_cause(error)
        return self._invoke(args, kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The same as calling the layer; PyTorch's name for it."""
        return self(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            f"Layer {type(self).__name__} does not have a `call` method implemented: a layer's computation goes there."
        )

    def _default_training(self) -> bool:
        """`training` when nobody says: False, or what ``train()``/``eval()`` set on PyTorch."""
        return bool(getattr(self, "training", False))

    def _invoke(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The general call: conversion, building, masks, recording."""
        spec = call_spec(type(self))
        args = tuple(self._converted(a) for a in args)
        kwargs = {k: v if k == "training" else self._converted(v) for k, v in kwargs.items()}
        bound = spec.bind(self, args, kwargs)
        if state.trace is None and next(symbols(bound), None) is not None:
            return record_layer(self, spec, args, kwargs, bound)
        if not (self.built and self._ready):
            self._build(**shapes_of(self, bound))
        if state.trace is not None:
            return run_in_trace(self, spec, bound)
        try:
            return self._run(spec, bound)
        except OpError as error:
            raise self._complaint(error, spec.first(bound)) from shown_cause(error)

    def _run(self, spec: CallSpec, bound: dict[str, Any]) -> Any:
        """Call with `training` and masks filled in; losses and the output's mask are noted."""
        bound = dict(bound)
        previous, outer = state.training, state.autocast
        if outer is not self._autocast_dtype:
            state.autocast = self._autocast_dtype
        try:
            if spec.training or bound.get("training") is not None:
                given = bound.pop("training", None)
                if given is None:
                    given = previous if previous is not None else self._default_training()
                state.training = given
                if spec.training:
                    bound["training"] = given
            mask = spec.fill_masks(bound)
            if state.trace is None:
                self._losses.clear()
            else:
                self._check_call(bound)
            if self._remat is None:
                outputs = spec.call(self, bound)
            else:
                outputs = self.rematerialized_call(functools.partial(spec.call, self), **bound)(bound)
            if self.activity_regularizer is not None:
                for output in tree.flatten(outputs):
                    self.add_loss(_by_batch(self.activity_regularizer(output), output))
            if mask is not None or spec.makes_mask:
                self._note_mask(outputs, self.compute_mask(spec.first(bound), mask))
            return outputs
        finally:
            state.training = previous
            if state.autocast is not outer:
                state.autocast = outer

    def _converted(self, value: Any) -> Any:
        """NumPy arrays as tensors, floats in the layer's dtype; everything else as it is."""
        kind = type(value)
        if kind in _TYPES and not (kind is np.ndarray and value.dtype.kind in "OUSMm"):
            if self.autocast and value.dtype in _FLOATS and active.dtype(value) != self.compute_dtype:
                return active.cast(value, self.compute_dtype)
            return value
        if kind is SymbolicTensor:
            if self.autocast and value.dtype in dtypes.FLOATS and value.dtype != self.compute_dtype:
                from unidl import ops

                mask, value = value.mask, ops.cast(value, self.compute_dtype)
                value.mask = mask
            return value
        if isinstance(value, (np.ndarray, np.generic)):
            from unidl.ops import convert_to_tensor
            from unidl.ops._bind import host_array

            try:
                return self._converted(convert_to_tensor(host_array(value)))
            except OpError as error:
                raise self._located(error) from None
        if issubclass(kind, (list, tuple)):
            if value and all(type(v) in (int, float, bool) for v in tree.flatten(value)) and kind is list:
                from unidl.ops import convert_to_tensor

                return self._converted(convert_to_tensor(value))
            return like(value, [self._converted(v) for v in value])
        if kind is dict:
            return {k: self._converted(v) for k, v in value.items()}
        return value

    def _check_input(self, bound: dict[str, Any]) -> None:
        """Hold the first argument against `input_spec`, which may be a structure of specs for one of tensors."""
        if self.input_spec is None:
            return
        value = next(iter(bound.values()), None)
        specs = tree.flatten(self.input_spec)
        values: list[Any] = [value]
        if isinstance(value, dict) and all(getattr(s, "name", None) in value for s in specs):
            values = [value[s.name] for s in specs]
        elif isinstance(self.input_spec, (list, tuple, dict)):
            values = tree.flatten(value)
        if len(values) != len(specs):
            raise self._located(OpError(f"expects {len(specs)} inputs, but {len(values)} came."))
        for tensor, spec in zip(values, specs, strict=True):
            if (
                spec is not None
                and type(tensor) is SymbolicTensor
                and (problem := spec.problem(tensor.shape, tensor.dtype))
            ):
                raise self._located(
                    OpError(
                        f"an input of shape {tensor.shape} is incompatible with the layer, a {type(self).__name__}: "
                        f"{problem}. Reshape the input, or make a new layer for it."
                    )
                )

    def _check_call(self, bound: dict[str, Any]) -> None:
        """Refuse an input that does not fit: asked before a first call, in recordings, and after errors."""
        self._check_input(bound)
        if type(value := next(iter(bound.values()), None)) is SymbolicTensor:
            self._check_shape(value.shape)

    def _check_shape(self, input_shape: tuple[int | None, ...]) -> None:
        """Refuse what `input_spec` cannot describe. For layers whose `build` need not do it."""

    def _complaint(self, error: OpError, value: Any) -> OpError:
        """What to raise for `error` in an eager call on `value`: that the input does not fit, if so."""
        if type(value) in _TYPES:
            try:
                self._check_call({"": SymbolicTensor(active.shape(value), active.dtype(value))})
            except OpError as better:
                return self._located(better)
        return self._located(error)

    def _located(self, error: OpError) -> OpError:
        """`error` with this layer's path, if it names no layer yet."""
        text = str(error)
        if " in layer " not in text and not text.startswith("Layer "):
            text = f"Layer {self.path!r}: {text}"
        located = type(error)(text)
        located.op = error.op or self.path
        return located

    # -- masks and shapes -------------------------------------------------------------------

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the outputs: that of the inputs if `supports_masking`, else None."""
        return previous_mask if self.supports_masking else None

    def _note_mask(self, outputs: Any, mask: Any) -> None:
        if mask is None:
            return
        flat = tree.flatten(outputs)
        masks = tree.flatten(mask) if isinstance(mask, (list, tuple)) else [mask] * len(flat)
        for output, one in zip(flat, masks, strict=False):
            if type(output) is SymbolicTensor:
                output.mask = one
            elif one is not None:
                state.masks = True
                attach_mask(output, one)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Symbolic outputs for symbolic inputs, without recording the call."""
        spec = call_spec(type(self))
        return record_layer(self, spec, args, kwargs, spec.bind(self, args, kwargs), keep=False)

    symbolic_call = compute_output_spec

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The output's shape for inputs of the given shape (or structure of shapes)."""
        shape = args[0] if args else next(iter(kwargs.values()))

        def placeholder(s: Any) -> Any:
            if isinstance(s, dict):
                return {k: placeholder(v) for k, v in s.items()}
            if isinstance(s, (list, tuple)) and s and isinstance(s[0], (list, tuple, dict)):
                return [placeholder(v) for v in s]
            return SymbolicTensor(tuple(s), self.compute_dtype)

        return tree.map_structure(lambda t: t.shape, self.compute_output_spec(placeholder(shape)))

    @property
    def input(self) -> Any:
        """The symbolic input of the layer's first call in a functional model."""
        self._require_node("input")
        args = self._nodes[0].args
        return args[0] if args else None

    @property
    def output(self) -> Any:
        """The symbolic output of the layer's first call in a functional model."""
        self._require_node("output")
        return self._nodes[0].result

    def _require_node(self, what: str) -> None:
        if not self._nodes:
            # No AttributeError: PyTorch's modules would hide its message.
            raise ValueError(f"Layer {self.path!r} has no `{what}`: it has not been called on a symbolic tensor.")

    # -- configuration ----------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments from which `from_config` makes an equal, fresh layer.

        A user's class that overrides this gets what every layer takes, and the arguments of the unidl layer that it
        derives from; its own are its own to add.
        """
        from unidl.saving.objects import constructor_config

        policy = dtype_policies.serialize(self._policy)
        config = {"name": self.name, "trainable": self.trainable, "dtype": policy}
        mro = type(self).__mro__
        if next(c for c in mro if "get_config" in c.__dict__).__module__.startswith("unidl."):
            return {**config, **constructor_config(self)}
        native = next(c for c in mro if c.__module__.startswith("unidl."))
        plain = native is Layer or native.__module__.startswith("unidl.models")
        return config if plain else {**config, **constructor_config(self, lenient=True)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A new layer from what `get_config` gave; configurations of objects among the arguments are read."""
        from unidl.saving.objects import revived

        config = revived(config)
        policy = config.get("dtype")
        if isinstance(policy, dtype_policies.DTypePolicy) and policy.quantization_mode is None:
            if not isinstance(policy, dtype_policies.DTypePolicyMap):
                config["dtype"] = policy.name  # constructors of users' layers know names
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for method in ("build", "call"):
            if isinstance(inspect.getattr_static(cls, method, None), (staticmethod, classmethod)):
                raise TypeError(f"{cls.__name__}.{method} must be an ordinary method.")
        if "build" in cls.__dict__:
            cls.build = _finished(cls.build)  # type: ignore[method-assign]


def _by_batch(loss: Any, output: Any) -> Any:
    """`loss` divided by the batch size of `output`, so that its weight does not depend on that."""
    from unidl import ops

    if not len(output.shape):
        return loss
    size = output.shape[0]
    size = ops.shape(output)[0] if size is None else size
    return ops.divide_no_nan(loss, ops.cast(ops.convert_to_tensor(size), ops.dtype(loss)))


def _finished(build: Any) -> Any:
    """`build` such that a call by the user does all that the first call of the layer would do."""

    @functools.wraps(build)
    def finished(self: Layer, *args: Any, **kwargs: Any) -> Any:
        if self._building or self.built:
            return build(self, *args, **kwargs)
        bound = inspect.signature(build).bind(self, *args, **kwargs).arguments
        self._build(**dict(list(bound.items())[1:]))

    return finished


Layer.build = _finished(Layer.build)  # type: ignore[method-assign]
Operation.register(Layer)
