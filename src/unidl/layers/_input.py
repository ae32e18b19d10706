"""Inputs of functional models."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from unidl.dtypes import dtype_name
from unidl.graph.symbolic import LayerNode, SymbolicTensor
from unidl.layers._base import Layer

__all__ = ["Input", "InputLayer"]


class InputLayer(Layer):
    """The layer that stands for one input of a functional model. Use `Input`.

    Args:
        shape: dimensions without the batch; None for one that may vary.
        batch_size: a fixed batch size, or None.
        dtype: dtype name; None: the default float.
        sparse, ragged: False: unidl's tensors are dense.
        batch_shape: all dimensions, instead of `shape`.
        input_tensor: a symbolic tensor to stand for; what else is said must agree with it.
        optional: whether None may come in place of data.

    Attributes:
        batch_shape: all dimensions.
    """

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: Any = None,
        ragged: Any = None,
        batch_shape: Any = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if "input_shape" in kwargs:
            warnings.warn("InputLayer: `input_shape` is an old name, write `shape`.", UserWarning, stacklevel=2)
            shape = kwargs.pop("input_shape")
        batch_shape = kwargs.pop("batch_input_shape", batch_shape)  # how Keras 2 wrote it
        super().__init__(name=name, **kwargs)
        for what, value in (("shape", shape), ("batch_size", batch_size)):
            if value is not None and batch_shape is not None:
                raise ValueError(
                    f"InputLayer: you cannot pass both `{what}` and `batch_shape`, which has all dimensions."
                )
        if input_tensor is not None:
            _agree(input_tensor, shape, batch_size, dtype, batch_shape, {"sparse": sparse, "ragged": ragged})
            batch_shape, dtype = input_tensor.shape, input_tensor.dtype
        elif shape is None and batch_shape is None:
            raise ValueError("InputLayer: pass a `shape` argument (without the batch), or `batch_shape`.")
        for what, value in (("sparse", sparse), ("ragged", ragged)):
            if value:
                raise ValueError(
                    f"InputLayer: `{what}=True` is not supported: unidl's tensors are dense. "
                    "Pad what varies, and mask it."
                )
        if batch_shape is None:
            batch_shape = (batch_size, *(tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)))
        self._batch_shape = tuple(_dimension(d) for d in batch_shape)
        self._dtype = self._compute_dtype = dtype_name(dtype) if dtype is not None else self._dtype
        self.sparse = self.ragged = False
        self.optional = bool(optional)
        tensor = input_tensor
        if tensor is None:
            tensor = SymbolicTensor(self._batch_shape, self._dtype, name=self.name)
        self._nodes.append(LayerNode(self, (), {}, tensor))
        self.built = True

    @property
    def batch_shape(self) -> tuple[int | None, ...]:
        """All dimensions."""
        return self._batch_shape

    def call(self, inputs: Any = None) -> Any:
        return inputs

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_shape": self.batch_shape, "dtype": self._dtype, "sparse": self.sparse, "ragged": self.ragged,
            "optional": self.optional, "name": self.name,
        }  # fmt: skip


def _dimension(size: Any) -> int | None:
    if size is None or (isinstance(size, (int, np.integer)) and not isinstance(size, bool) and size >= 0):
        return None if size is None else int(size)
    raise ValueError(f"InputLayer: a dimension must be None or an int of at least 0, not {size!r}.")


def _agree(tensor: Any, shape: Any, batch_size: Any, dtype: Any, batch_shape: Any, kinds: dict[str, Any]) -> None:
    """Refuse arguments that contradict a given tensor."""
    if type(tensor) is not SymbolicTensor:
        raise ValueError(f"InputLayer: Argument `input_tensor` must be a KerasTensor, not {type(tensor)}.")
    own = tensor.shape
    said = {
        "shape": (None if shape is None else tuple(shape), own[1:]),
        "batch_size": (batch_size, own[0] if own else None),
        "dtype": (None if dtype is None else dtype_name(dtype), tensor.dtype),
        "batch_shape": (None if batch_shape is None else tuple(batch_shape), own),
        **{what: (value, False) for what, value in kinds.items()},
    }
    for what, (given, have) in said.items():
        if given is not None and given != have:
            raise ValueError(
                f"InputLayer: with `input_tensor` you cannot provide an incompatible `{what}`: {given!r} is given, "
                f"the tensor has {have!r}."
            )


def Input(
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: Any = None,
    ragged: Any = None,
    batch_shape: Any = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> SymbolicTensor:
    """A symbolic tensor that stands for an input of a functional model.

    Args:
        shape: dimensions without the batch; None for one that may vary.
        batch_size: a fixed batch size, or None.
        dtype: dtype name; None: the default float.
        batch_shape: all dimensions, instead of `shape`.
        name: the key of this input when inputs come as a dict.
        tensor: a symbolic tensor to use as it is.
        optional: whether None may come in place of data.

    Example:
        >>> import unidl
        >>> unidl.Input((None, 3), name="sequence").shape
        (None, None, 3)
    """
    layer = InputLayer(shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name=name or None)
    return layer.output
