"""`Function`: what lies between symbolic tensors, as a function."""

from __future__ import annotations

from typing import Any

from unidl import tree
from unidl.errors import OpError
from unidl.graph.operation import Operation
from unidl.graph.symbolic import LayerNode, SymbolicTensor
from unidl.models.functional import Net


class Function(Operation):
    """The computation of `outputs` from `inputs`, to be applied to other tensors.

    It is no layer: it has no variables of its own and is not trained. Ops, layers and operations between the tensors
    are called again, as they are.

    Args:
        inputs, outputs: symbolic tensors, or structures of them; the outputs depend on no other inputs.
        name: for messages.

    Raises:
        ValueError: if one of them is empty, or an output depends on what is not among the inputs.

    Example:
        >>> import unidl
        >>> from unidl import ops
        >>> a, b = unidl.KerasTensor((2,)), unidl.KerasTensor((2,))
        >>> function = unidl.Function([a, b], (a + b) * 2)
        >>> print(ops.convert_to_numpy(function([ops.ones((2,)), ops.ones((2,))])))
        [4. 4.]
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None) -> None:
        super().__init__(name=name)
        for what, value in (("inputs", inputs), ("outputs", outputs)):
            if not tree.flatten(value):
                raise ValueError(f"Function: `{what}` argument cannot be empty.")
        self._net = Net(inputs, outputs, self.name)

    @property
    def inputs(self) -> list[SymbolicTensor]:
        """The input tensors, in order."""
        return self._net.flat_inputs

    @property
    def outputs(self) -> list[SymbolicTensor]:
        """The output tensors, in order."""
        return self._net.flat_outputs

    @property
    def operations(self) -> list[Any]:
        """What is called, in an order in which it can be: layers, operations, and the declarations of ops."""
        found = [node.layer if isinstance(node, LayerNode) else node.op for node in self._net.nodes]
        return list({id(o): o for o in found}.values())

    def call(self, inputs: Any) -> Any:
        """The outputs for other inputs.

        Raises:
            ValueError: if they are nested otherwise, or their shapes do not fit.
        """
        try:
            tree.assert_same_structure(self._net.inputs, inputs)
        except ValueError as error:
            raise ValueError(
                f"Function {self.name!r} was given an invalid input structure; it takes inputs like "
                f"{self._net.inputs}. {error}"
            ) from None
        self._check_shapes(tree.flatten(inputs))
        return self._net.run(inputs)

    def _check_shapes(self, given: list[Any]) -> None:
        for tensor, value in zip(self.inputs, given, strict=True):
            shape = tuple(getattr(value, "shape", ()))
            if len(shape) != len(tensor.shape) or any(
                a is not None and b is not None and a != b for a, b in zip(shape, tensor.shape, strict=True)
            ):
                raise OpError(
                    f"Function {self.name!r} was given incompatible inputs: shape {shape} came for {tensor!r}."
                )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shapes of the outputs for inputs of the given shapes."""
        dtypes = iter([t.dtype for t in self.inputs])
        inputs = tree.map_shape_structure(lambda s: SymbolicTensor(tuple(s), next(dtypes)), input_shape)
        return tree.map_structure(lambda t: t.shape, self.compute_output_spec(inputs))


__all__ = ["Function"]
