"""Variables and the base class of layers."""

from __future__ import annotations

import contextlib
import copy
import functools
import re
import weakref
from collections.abc import Iterator
from typing import Any

from tensorflow.python.framework.ops import uid
from tensorflow.python.ops import handle_data_util

from unidl._state import state
from unidl.backend.variables import VariableMixin
from unidl_tensorflow import tracing
from unidl_tensorflow._engine import ResourceVariable, context
from unidl_tensorflow._engine import tensorflow as tf

Tensor = Any


class Variable(VariableMixin, ResourceVariable):
    """A `tf.Variable` that knows its path.

    ``v.value`` is the variable itself, as everywhere in unidl; calling it reads it, so that
    TensorFlow's own ``v.value()`` works as well.
    """

    def __call__(self) -> Tensor:
        return tracing.read(self) if tracing.making() else self._read_variable_op()

    def _dense_var_to_tensor(self, dtype: Any = None, name: Any = None, as_ref: bool = False) -> Tensor:
        """What TensorFlow's own operators read: in the dtype that the running layer computes in."""
        wanted = state.autocast
        if wanted is not None and self.autocast and not as_ref and self.dtype.is_floating:
            if dtype is None or dtype.name == wanted:
                return tf.cast(self(), wanted)
        if dtype is None and not as_ref and tracing.making():
            return tracing.read(self)
        return super()._dense_var_to_tensor(dtype, name, as_ref)

    def assign(self, value: Any, use_locking: Any = None, name: Any = None, read_value: bool = True) -> Any:
        return VariableMixin.assign(self, value)

    def assign_add(self, delta: Any, use_locking: Any = None, name: Any = None, read_value: bool = True) -> Any:
        return VariableMixin.assign_add(self, delta)

    def assign_sub(self, delta: Any, use_locking: Any = None, name: Any = None, read_value: bool = True) -> Any:
        return VariableMixin.assign_sub(self, delta)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def _shared_name(self) -> str:
        """The name that checkpoints and saved models use; TensorFlow takes it from `name`, which is ours."""
        return self._handle_name.partition(":")[0]

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        if id(self) not in memo:
            memo[id(self)] = clone = make_variable(self(), self._trainable, self._name)
            for name in ("_path", "autocast", "regularizer", "constraint", "overwrite_with_gradient"):
                if name in self.__dict__:
                    setattr(clone, name, copy.deepcopy(self.__dict__[name], memo))
            clone.aggregation, clone.synchronization = self.aggregation, self.synchronization
        return memo[id(self)]

    @contextlib.contextmanager
    def _in_its_words(self) -> Iterator[None]:
        """With the attributes that TensorFlow and unidl both have as TensorFlow spells them."""
        words = self._name, self.aggregation, self.synchronization
        self._name, self.aggregation, self.synchronization = self._handle_name, self._aggregation, self._synchronization
        try:
            yield
        finally:
            self._name, self.aggregation, self.synchronization = words

    def _export_to_saved_model_graph(self, *args: Any, **kwargs: Any) -> Any:
        with self._in_its_words():
            return super()._export_to_saved_model_graph(*args, **kwargs)

    def _write_object_proto(self, *args: Any, **kwargs: Any) -> None:
        with self._in_its_words():
            super()._write_object_proto(*args, **kwargs)

    def __repr__(self) -> str:
        shape = tuple(self.shape)
        value = f", value={self.numpy()!r}" if tf.executing_eagerly() else ""
        return f"<Variable path={self.path}, shape={shape}, dtype={self.dtype.name}{value}>"


#: TensorFlow keeps a kernel for each name that a handle is made with, and never lets it go: all have one name.
_ONE_NAME = "variable"


def make_variable(value: Any, trainable: bool, name: str) -> Variable:
    if tf.executing_eagerly() and tracing.possible():
        variable, scope = _around_handle(tf.constant(value), trainable), tf.get_current_name_scope()
    else:
        with tf.init_scope():  # also while a `tf.function` is traced: it lives on
            variable = Variable(initial_value=tf.constant(value), trainable=trainable, name=_ONE_NAME)
            scope = tf.get_current_name_scope()
    variable._handle_name = variable.handle._name = f"{scope and scope + '/'}{_scope_name(name)}:0"
    variable._name = name
    return variable


def _around_handle(initial: Tensor, trainable: bool) -> Variable:
    """What TensorFlow's constructor makes when it runs eagerly, in half the time: deep models have thousands.

    The rest of the time goes into scopes, attributes and checks that matter only to graphs.
    """
    dtype = initial.dtype
    shape, handle_data = _described(initial._shape_tuple(), dtype)
    handle = tf.raw_ops.VarHandleOp(
        dtype=dtype, shape=shape, shared_name=context.anonymous_name(), debug_name=_ONE_NAME
    )
    handle._handle_data = handle_data
    tf.raw_ops.AssignVariableOp(resource=handle, value=initial)
    variable = Variable.__new__(Variable)
    unique = f"{_ONE_NAME}_{uid()}"
    handle._parent_trackable, handle._unique_id = weakref.ref(variable), unique
    super(ResourceVariable, variable).__init__(
        trainable=trainable, shape=shape, dtype=dtype, handle=handle, name=_ONE_NAME, unique_id=unique,
        handle_name=_ONE_NAME, in_graph_mode=False,
    )  # fmt: skip
    return variable


@functools.lru_cache(maxsize=256)
def _described(sizes: tuple[int, ...], dtype: Any) -> tuple[Any, Any]:
    """The shape, and what shape inference wants to know of the handle of a variable."""
    shape = tf.TensorShape(sizes)
    return shape, handle_data_util.create_handle_data(shape, dtype)


_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.\-/]")


def _scope_name(name: str) -> str:
    """`name` with what TensorFlow does not allow in names replaced."""
    cleaned = _NOT_IN_NAMES.sub("_", name)
    return cleaned if cleaned[:1].isalnum() else f"v{cleaned}"


class Module(tf.Module):
    """What layers derive from: a `tf.Module`, so that checkpoints and modules around it find the variables.

    `tf.Module` wraps each list and dict that is assigned to an attribute, at a cost for every attribute
    that is set. Layers know what is in them, so they are asked when somebody wants to know.
    """

    _TF_MODULE_IGNORED_PROPERTIES = frozenset({"_nodes", "_arguments", "_build_shapes"})

    def __init__(self) -> None:
        """Nothing is to be set up: the name is the layer's own."""

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)

    @property
    def name_scope(self) -> Any:
        return tf.name_scope(_scope_name(self.name))

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> dict[str, Any]:
        """Variables by name and layers by number (their automatic names vary), for `tf.train.Checkpoint`."""
        children = super()._trackable_children(save_type, **kwargs)
        for item in self._own_variables():
            name, count = item.name, 1
            while name in children:
                name, count = f"{item.name}_{count}", count + 1
            children[name] = item
        for index, layer in enumerate(self._sublayers()):
            children[f"layer-{index}"] = layer
        return children

    def _lookup_dependency(self, name: str, cached_dependencies: Any = None) -> Any:
        found = self._trackable_children().get(name)
        return super()._lookup_dependency(name, cached_dependencies) if found is None else found

    def _own_variables(self) -> list[Any]:
        return [v for v in vars(self).values() if isinstance(v, Variable)]

    def _sublayers(self) -> list[Any]:
        return [v for v in vars(self).values() if isinstance(v, Module)]


class Tracked(tf.__internal__.tracking.Trackable):  # type: ignore[misc]
    """What optimizers derive from: `tf.train.Checkpoint` finds their `variables`, by number."""

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> dict[str, Any]:
        children = super()._trackable_children(save_type, **kwargs)
        return {**children, **{f"variable-{i}": v for i, v in enumerate(self.variables)}}

    def _lookup_dependency(self, name: str, cached_dependencies: Any = None) -> Any:
        found = self._trackable_children().get(name)
        return super()._lookup_dependency(name, cached_dependencies) if found is None else found
