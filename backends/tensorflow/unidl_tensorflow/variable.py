"""Variables and the base class of layers."""

from __future__ import annotations

import copy
from typing import Any

from unidl.backend.variables import VariableMixin

from unidl_tensorflow._engine import ResourceVariable
from unidl_tensorflow._engine import tensorflow as tf

Tensor = Any


class Variable(VariableMixin, ResourceVariable):
    """A `tf.Variable` that knows its path.

    ``v.value`` is the variable itself, as everywhere in unidl; calling it reads it, so that
    TensorFlow's own ``v.value()`` works as well.
    """

    def __call__(self) -> Tensor:
        return self._read_variable_op()

    def assign(self, value: Any, use_locking: Any = None, name: Any = None, read_value: bool = True) -> Any:
        return VariableMixin.assign(self, value)

    def assign_add(self, delta: Any, use_locking: Any = None, name: Any = None, read_value: bool = True) -> Any:
        return VariableMixin.assign_add(self, delta)

    def assign_sub(self, delta: Any, use_locking: Any = None, name: Any = None, read_value: bool = True) -> Any:
        return VariableMixin.assign_sub(self, delta)

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        if id(self) not in memo:
            memo[id(self)] = clone = make_variable(self(), self._trainable, self._name)
            for name in ("_path", "regularizer", "constraint", "overwrite_with_gradient"):
                if name in self.__dict__:
                    setattr(clone, name, copy.deepcopy(self.__dict__[name], memo))
            clone.aggregation, clone.synchronization = self.aggregation, self.synchronization
        return memo[id(self)]

    def __repr__(self) -> str:
        shape = tuple(self.shape)
        value = f", value={self.numpy()!r}" if tf.executing_eagerly() else ""
        return f"<Variable path={self.path}, shape={shape}, dtype={self.dtype.name}{value}>"


def make_variable(value: Any, trainable: bool, name: str) -> Variable:
    with tf.init_scope():  # also while a `tf.function` is traced: it lives on
        variable = Variable(initial_value=value, trainable=trainable, name=_scope_name(name))
    variable._name = name
    return variable


def _scope_name(name: str) -> str:
    """`name` with what TensorFlow does not allow in names replaced."""
    cleaned = "".join(c if c.isascii() and (c.isalnum() or c in "_.-/") else "_" for c in name)
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
        """Variables and layers by name, for `tf.train.Checkpoint`."""
        children = super()._trackable_children(save_type, **kwargs)
        for item in (*self._own_variables(), *self._sublayers()):
            name, count = item.name, 1
            while name in children:
                name, count = f"{item.name}_{count}", count + 1
            children[name] = item
        return children

    def _lookup_dependency(self, name: str, cached_dependencies: Any = None) -> Any:
        return self._trackable_children().get(name) or super()._lookup_dependency(name, cached_dependencies)

    def _own_variables(self) -> list[Any]:
        return [v for v in vars(self).values() if isinstance(v, Variable)]

    def _sublayers(self) -> list[Any]:
        return [v for v in vars(self).values() if isinstance(v, Module)]
