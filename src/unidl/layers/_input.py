"""Inputs of functional models."""

from __future__ import annotations

from typing import Any

from unidl.graph.symbolic import LayerNode, SymbolicTensor
from unidl.layers._base import Layer

__all__ = ["Input", "InputLayer"]


class InputLayer(Layer):
    """The layer that stands for one input of a functional model. Use `Input`."""

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
        super().__init__(name=name, **kwargs)
        if (shape is None) == (batch_shape is None):
            raise ValueError("Input needs `shape` (without the batch dimension) or `batch_shape`, and not both.")
        if sparse or ragged:
            raise ValueError("Input: unidl has no sparse or ragged tensors; pad what varies, and mask it.")
        if input_tensor is not None:
            raise ValueError("InputLayer: a symbolic tensor needs no layer; give it to Model as it is.")
        if batch_shape is None:
            batch_shape = (batch_size, *((shape,) if isinstance(shape, int) else tuple(shape)))
        self.batch_shape = tuple(batch_shape)
        self._dtype = dtype or self._dtype
        tensor = SymbolicTensor(self.batch_shape, self._dtype, name=self.name)
        self._nodes.append(LayerNode(self, (), {}, tensor))
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs

    def get_config(self) -> dict[str, Any]:
        return {"batch_shape": self.batch_shape, "dtype": self._dtype, "name": self.name}


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
    """
    if tensor is not None:
        return tensor
    return InputLayer(shape, batch_size, dtype, sparse, ragged, batch_shape, name=name or None).output
