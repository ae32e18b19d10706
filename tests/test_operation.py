"""Operations and functions: computations as objects, and between symbolic tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import unidl
from unidl import layers, ops
from unidl.backend import active


class Affine(unidl.Operation):
    def __init__(self, factor: Any, *, offset: Any = 1.0, name: str | None = None) -> None:
        super().__init__(name=name)
        self.factor, self.offset = factor, offset

    def call(self, x: Any, other: Any = None) -> Any:
        y = x * self.factor + self.offset
        return y if other is None else (y, y + other)


class Native(unidl.Operation):
    def call(self, x: Any) -> Any:
        return active.to_tensor(active.to_numpy(x) * 2)

    def compute_output_spec(self, x: Any) -> Any:
        return unidl.KerasTensor(x.shape, x.dtype)


def values(tensor: object) -> list[float]:
    return ops.convert_to_numpy(tensor).tolist()


def test_an_operation_computes_or_is_recorded() -> None:
    op = Affine(2.0, name="affine")
    assert values(op(np.array([1.0, 2.0], np.float32))) == [3.0, 5.0]
    a, b = unidl.KerasTensor((None, 2), name="a"), unidl.KerasTensor((None, 2), name="b")
    out = op(a, other=b)
    assert [t.shape for t in out] == [(None, 2), (None, 2)]
    assert op.input == [a, b]
    assert op.output == list(out)
    assert isinstance(layers.Dense(1), unidl.Operation)
    assert op.compute_output_spec(ops.ones((4, 2))).shape == (4, 2)
    with pytest.raises(AttributeError, match="never been called on symbolic"):
        _ = Affine(1.0).output


def test_operations_inside_models() -> None:
    inputs = unidl.Input((2,))
    model = unidl.Model(inputs, Native(name="twice")(Affine(3.0)(layers.Dense(2, kernel_initializer="ones")(inputs))))
    expected = [[14.0, 14.0]]
    assert values(model(np.ones((1, 2), np.float32))) == expected
    assert model.predict(np.ones((1, 2), np.float32), verbose=0).tolist() == expected
    assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", "Dense"]


@pytest.mark.once
def test_configurations_of_operations() -> None:
    op = Affine(0.5)
    assert op.get_config() == {"factor": 0.5, "offset": 1.0, "name": op.name}
    again = Affine.from_config(op.get_config())
    assert again.get_config() == op.get_config()
    with pytest.raises(NotImplementedError, match="`factor` is a object"):
        Affine(object()).get_config()

    class Variadic(unidl.Operation):
        def __init__(self, *sizes: int) -> None:
            super().__init__()

    with pytest.raises(NotImplementedError, match="takes \\*args"):
        Variadic(1, 2).get_config()
    with pytest.raises(TypeError, match="cannot be made from the configuration"):
        Affine.from_config({"size": 1})
    with pytest.raises(ValueError, match="must be a string without any `/`"):
        Affine(1.0, name="a/b")
    with pytest.raises(NotImplementedError, match="has no `call"):
        unidl.Operation()(1.0)


def test_recomputing_and_quantized_calls() -> None:
    with unidl.RematScope():
        op = Affine(2.0)
    assert values(op(ops.ones((2,)))) == [3.0, 3.0]

    class Quantized(Affine):
        quantization_mode = "int8"

        def quantized_call(self, x: Any) -> Any:
            return x - 1

    assert values(Quantized(2.0)(ops.ones((2,)))) == [0.0, 0.0]


def test_a_function_is_applied_to_other_tensors() -> None:
    a, b = unidl.KerasTensor((None, 2)), unidl.KerasTensor((None, 2))
    function = unidl.Function({"a": a, "b": b}, [(a + b) * 3, b], name="f")
    x = np.ones((1, 2), np.float32)
    assert [values(v) for v in function({"a": x, "b": x})] == [[[6.0, 6.0]], [[1.0, 1.0]]]
    assert [op.name for op in function.operations] == ["add", "multiply"]
    outputs = function({"a": unidl.KerasTensor((4, 2)), "b": unidl.KerasTensor((4, 2))})
    assert [t.shape for t in outputs] == [(4, 2), (4, 2)]
    assert function.compute_output_shape({"a": (3, 2), "b": (3, 2)}) == [(3, 2), (3, 2)]


def test_a_function_of_a_tensor_between() -> None:
    x = unidl.Input(batch_shape=(None, 3))
    middle = x * 2
    function = unidl.Function(middle, middle + 1)
    assert [op.name for op in function.operations] == ["add"]
    assert values(function(np.ones((1, 3), np.float32))) == [[2.0, 2.0, 2.0]]


@pytest.mark.once
def test_what_a_function_refuses() -> None:
    a = unidl.KerasTensor((2, 3))
    function = unidl.Function([a], [a + 1], name="f")
    with pytest.raises(ValueError, match="invalid input structure"):
        function(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"incompatible inputs: shape \(2, 4\) came"):
        function([np.ones((2, 4))])
    with pytest.raises(ValueError, match="`outputs` argument cannot be empty"):
        unidl.Function(a, [])
    with pytest.raises(ValueError, match="`inputs` argument cannot be empty"):
        unidl.Function([], a)
    with pytest.raises(ValueError, match="is not connected to `inputs`"):
        unidl.Function(unidl.KerasTensor((2, 3)), a + 1)
