"""Ops in particular: promotion of numbers, what is accepted, errors, sizes. The conformance kit tests them all."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import unidl
from unidl import ops
from unidl.backend import active
from unidl.errors import OpError
from unidl.graph.replay import replay
from unidl.graph.symbolic import SymbolicTensor, TensorSpec
from unidl.graph.trace import trace
from unidl.ops._declare import TABLE
from unidl.testing import assert_close
from unidl.testing.cases import CASES


def tensor(value: Any, dtype: str = "float32") -> Any:
    return active.to_tensor(np.asarray(value, dtype))


# -- documentation ---------------------------------------------------------------------------------


def documented() -> Iterator[tuple[str, Any]]:
    """Every object with a docstring of the modules whose examples need no more than unidl."""
    names = [m.name for m in pkgutil.walk_packages(ops.__path__, "unidl.ops.")]
    for name in [*names, "unidl.ops", "unidl.backend", "unidl.dtypes", "unidl.tree", "unidl.gradients"]:
        for key, value in vars(importlib.import_module(name)).items():
            if (
                callable(value)
                and getattr(value, "__module__", "").startswith("unidl")
                and ">>>" in (value.__doc__ or "")
            ):
                yield f"{value.__module__}.{key}", value


@pytest.mark.parametrize(
    "name, value", sorted(dict(documented()).items()), ids=lambda v: v if isinstance(v, str) else ""
)
def test_examples_in_docstrings(name: str, value: Any) -> None:
    needs_gradients = any(word in value.__doc__ for word in ("grad(", "custom_gradient"))
    tests = doctest.DocTestFinder(recurse=False).find(value, name, module=False, globs={"unidl": unidl})
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert tests
    if needs_gradients and not active.trains:
        return
    for test in tests:
        assert runner.run(test).failed == 0


@pytest.mark.once
@pytest.mark.parametrize("name", TABLE)
def test_every_op_says_what_it_does(name: str) -> None:
    first = (TABLE[name].rule.__doc__ or "").strip().splitlines()
    assert first and first[0].rstrip().endswith((".", ":", ",")) or len(first) > 1


@pytest.mark.once
def test_public_functions_show_the_declared_signature() -> None:
    assert list(inspect.signature(ops.conv).parameters)[:2] == ["inputs", "kernel"]
    assert inspect.signature(ops.softmax).parameters["axis"].default == -1
    assert ops.softmax.__doc__ == TABLE["softmax"].rule.__doc__


# -- promotion -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype, number, expected",
    [
        ("float16", 1.5, "float16"),
        ("float32", 2, "float32"),
        ("float64", 1.5, "float64"),
        ("int32", 2, "int32"),
        ("uint8", 2, "uint8"),
        ("int64", 1.5, "float32"),
        ("bool", 2, "int32"),
        ("int32", True, "int32"),
    ],
)
def test_python_numbers_take_the_tensors_dtype(dtype: str, number: Any, expected: str) -> None:
    x = tensor([1, 0, 1], dtype)
    for result in (ops.add(x, number), ops.add(number, x)):
        assert active.dtype(result) == expected
        assert_close(result, np.asarray([1, 0, 1], expected) + np.asarray(number, expected))


def test_arrays_and_numbers_alike_in_every_place() -> None:
    x = np.asarray([1.0, 2.0], "float32")
    expected = np.asarray([2.0, 4.0], "float32")
    for first, second in [(x, x), (tensor(x), x), (x, tensor(x)), ([1.0, 2.0], x), (tensor(x), [1.0, 2.0])]:
        result = ops.add(first, second)
        assert active.is_tensor(result) and active.dtype(result) == "float32"
        assert_close(result, expected)
    assert active.dtype(ops.add(1, 2)) == "int32"
    assert active.dtype(ops.add(1, 2.0)) == "float32"
    assert active.dtype(ops.divide(1, 2)) == "float32"


def test_arrays_keep_their_dtype_and_lists_get_the_default() -> None:
    assert active.dtype(ops.convert_to_tensor(np.ones(2))) == "float64"
    assert active.dtype(ops.convert_to_tensor([1.0, 2.0])) == "float32"
    assert active.dtype(ops.convert_to_tensor([1, 2])) == "int32"
    assert active.dtype(ops.convert_to_tensor([True])) == "bool"
    assert active.dtype(ops.convert_to_tensor(3_000_000_000)) == "int64"
    assert active.dtype(ops.convert_to_tensor([1, 2], "float16")) == "float16"
    assert active.dtype(ops.convert_to_tensor(tensor([1.0]), "int32")) == "int32"


def test_integers_become_the_default_float_where_an_op_needs_one() -> None:
    x = tensor([1, 4], "int64")
    assert_close(ops.sqrt(x), np.asarray([1, 2], "float32"))
    assert active.dtype(ops.mean(x)) == active.dtype(ops.softmax(x)) == "float32"
    assert active.dtype(ops.exp(tensor([0.0], "float64"))) == "float64"


def test_lists_of_tensors_meet_in_one_dtype() -> None:
    result = ops.concatenate([tensor([1], "int32"), tensor([2.5]), np.asarray([3], "uint8")])
    assert_close(result, np.asarray([1, 2.5, 3], "float32"))
    assert_close(ops.stack([1, tensor(2, "int32"), 3.5]), np.asarray([1, 2, 3.5], "float32"))


# -- values with a meaning of their own --------------------------------------------------------------


def test_division_follows_ieee() -> None:
    result = ops.divide(tensor([1, -1, 0]), tensor([0, 0, 0]))
    assert_close(result, np.asarray([np.inf, -np.inf, np.nan], "float32"))


def test_remainders_have_the_sign_of_the_divisor() -> None:
    for dtype in ("int32", "float32"):
        assert_close(
            ops.mod(tensor([7, -7, 7, -7], dtype), tensor([3, 3, -3, -3], dtype)), np.asarray([1, 2, -2, -1], dtype)
        )
        assert_close(ops.floor_divide(tensor([7, -7], dtype), 2), np.asarray([3, -4], dtype))


def test_halves_round_to_the_even_neighbour() -> None:
    assert_close(ops.round(tensor([0.5, 1.5, 2.5, -0.5, -1.5])), np.asarray([0, 2, 2, -0.0, -2], "float32"))


def test_extremes_are_nan_if_any_element_is() -> None:
    x = tensor([1.0, np.nan, 3.0])
    assert np.isnan(active.to_numpy(ops.max(x))) and np.isnan(active.to_numpy(ops.min(x)))
    assert_close(ops.maximum(x, 2.0), np.asarray([2, np.nan, 3], "float32"))


def test_the_first_of_equal_elements_is_found() -> None:
    x = tensor([[3, 1, 3], [0, 0, 0]])
    assert_close(ops.argmax(x, 1), np.asarray([0, 0], "int32"))
    assert_close(ops.argmin(x, 1), np.asarray([1, 0], "int32"))


def test_sums_over_nothing() -> None:
    empty = tensor(np.zeros((0, 2)))
    assert_close(ops.sum(empty, 0), np.zeros(2, "float32"))
    assert_close(ops.prod(empty, 0), np.ones(2, "float32"))
    assert_close(ops.mean(empty, 0), np.full(2, np.nan, "float32"))
    with pytest.raises(OpError, match="no elements"):
        ops.max(empty, 0)


def test_softmax_and_logsumexp_of_large_numbers() -> None:
    x = tensor([1000.0, 1000.0])
    assert_close(ops.softmax(x), np.asarray([0.5, 0.5], "float32"))
    assert_close(ops.logsumexp(x), np.float32(1000 + np.log(2)))
    assert_close(ops.log_sigmoid(tensor([-200.0])), np.asarray([-200.0], "float32"))
    assert_close(ops.softplus(tensor([200.0, -200.0])), np.asarray([200.0, 0.0], "float32"))


def test_one_hot_of_integers_outside_is_zero() -> None:
    assert_close(ops.one_hot(tensor([-1, 0, 3], "int32"), 3), np.asarray([[0, 0, 0], [1, 0, 0], [0, 0, 0]], "float32"))


def test_same_padding_puts_the_odd_element_after() -> None:
    x = tensor(np.arange(4).reshape(1, 4, 1))
    kernel = tensor(np.ones((2, 1, 1)))
    assert_close(ops.conv(x, kernel, padding="same"), np.asarray([1, 3, 5, 3], "float32").reshape(1, 4, 1))


def test_a_padded_average_counts_only_elements_inside() -> None:
    x = tensor(np.ones((1, 3, 1)))
    assert_close(ops.average_pool(x, 2, 2, "same"), np.ones((1, 2, 1), "float32"))


# -- errors ----------------------------------------------------------------------------------------

MISTAKES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "matmul": (lambda x: ops.matmul(x, x), r"matmul.*float32\[2, 3\].*inner dimensions"),
    "add": (lambda x: ops.add(x, np.ones(4, "float32")), r"add.*\[2, 3\].*\[4\].*broadcast"),
    "concatenate": (lambda x: ops.concatenate([x, x[:, :2]], 0), r"concatenate.*dimension 1"),
    "reshape": (lambda x: ops.reshape(x, (4, 2)), r"reshape.*6 elements.*8"),
    "axis": (lambda x: ops.sum(x, 2), r"sum.*`axis` is 2, out of range for 2 dimensions"),
    "transpose": (lambda x: ops.transpose(x, (0, 0)), r"transpose.*no order of 2 dimensions"),
    "squeeze": (lambda x: ops.squeeze(x, 0), r"squeeze.*size 2, not 1"),
    "split": (lambda x: ops.split(x, 2, 1), r"split.*3 cannot be cut into 2"),
    "conv": (lambda x: ops.conv(x, np.ones((3, 3, 1, 1), "float32")), r"conv.*2 dimensions.*3 to 5"),
    "none": (lambda x: ops.add(x, None), r"add.*`x2` is None"),
    "strings": (lambda x: ops.add(x, np.asarray(["a"])), r"add.*numbers and bools"),
    "objects": (lambda x: ops.multiply(x, np.asarray([object()])), r"multiply.*numbers and bools"),
    "ragged": (lambda x: ops.add(x, [[1.0], [1.0, 2.0]]), r"add.*ragged"),
    "einsum": (lambda x: ops.einsum("ij,jk->ik", x, x), r"einsum.*label 'j'"),
    "take": (lambda x: ops.take(x, np.ones(2, "float32"), 0), r"take.*integers, not float32"),
    "padding": (lambda x: ops.max_pool(x[None], 2, padding="full"), r"max_pool.*'valid' or 'same'"),
    "reach": (lambda x: ops.conv(x[None], np.ones((3, 3, 1), "float32")), r"conv.*covers 3 elements"),
    "window": (lambda x: ops.max_pool(x[None], 5), r"max_pool.*covers 5 elements"),
    "top_k": (lambda x: ops.top_k(x, 4), r"top_k.*4.*size 3"),
}


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.parametrize("symbolic", [False, True], ids=["eager", "recorded"])
def test_errors_name_the_op_and_what_came(name: str, symbolic: bool) -> None:
    call, message = MISTAKES[name]
    x = SymbolicTensor((2, 3)) if symbolic else tensor(np.ones((2, 3)))
    with pytest.raises(ValueError, match=message):
        call(x)


def test_unknown_dtypes_are_refused() -> None:
    with pytest.raises(ValueError, match="Unknown dtype 'float33'"):
        ops.cast(tensor([1.0]), "float33")


def test_operators_of_unknown_arguments() -> None:
    with pytest.raises(TypeError, match="unexpected keyword"):
        ops.add(1, x3=2)


# -- sizes -----------------------------------------------------------------------------------------


def run(function: Callable[..., Any], shape: tuple[int | None, ...], x: np.ndarray) -> tuple[Any, Any]:
    """The recorded spec and the replayed value of a function of one tensor of unknown size."""
    graph = trace(function, (TensorSpec(shape, "float32"),))
    return graph.outputs[0].shape, active.to_numpy(replay(graph, active)(active.to_tensor(x))[0])


def test_sizes_of_known_tensors_are_ints() -> None:
    assert ops.shape(tensor(np.ones((2, 3)))) == (2, 3) == ops.shape([[1, 2, 3]] * 2)
    assert ops.ndim(tensor(1.0)) == 0 and ops.size(tensor(np.ones((2, 3)))) == 6


def test_unknown_sizes_can_be_used_in_shapes() -> None:
    x = np.arange(12, dtype="float32").reshape(3, 2, 2)

    def function(x: Any) -> Any:
        batch, rows, columns = ops.shape(x)
        merged = ops.reshape(x, (batch * rows, columns))
        return ops.add(ops.reshape(merged, (batch, -1)), ops.zeros((batch, 1)))

    shape, value = run(function, (None, None, 2), x)
    assert len(shape) == 2 and shape[0] is None
    np.testing.assert_array_equal(value, x.reshape(3, 4))


@pytest.mark.parametrize("counts", [lambda n: (n, 2), lambda n: n, lambda n: (2, n, 1)])
def test_tiles_of_unknown_number(counts: Any) -> None:
    x = np.arange(6, dtype="float32").reshape(3, 2)
    shape, value = run(lambda x: ops.tile(x, counts(ops.shape(x)[0])), (None, 2), x)
    np.testing.assert_array_equal(value, np.tile(x, counts(3)))
    assert len(shape) == value.ndim


def test_unknown_sizes_flow_through_rules() -> None:
    x = SymbolicTensor((None, 4))
    assert ops.reshape(x, (-1, 2, 2)).shape == (None, 2, 2)
    assert ops.matmul(x, np.ones((4, 5), "float32")).shape == (None, 5)
    assert ops.concatenate([x, x], 0).shape == (None, 4)
    assert ops.add(x, SymbolicTensor((7, 1))).shape == (7, 4)
    assert ops.conv(SymbolicTensor((None, None, 8, 3)), np.ones((3, 3, 3, 5), "float32")).shape == (None, None, 6, 5)
    assert ops.arange(ops.shape(x)[0]).shape == (None,)


def test_what_needs_a_known_size_says_so() -> None:
    with pytest.raises(OpError, match="unknown"):
        ops.unstack(SymbolicTensor((None, 2)))
    with pytest.raises(OpError, match="unknown"):
        ops.squeeze(SymbolicTensor((None, 1)))


@pytest.mark.once
def test_the_support_page_knows_every_op() -> None:
    """`make support` was run after the last op was added or removed."""
    page = (Path(__file__).parent.parent / "docs" / "support.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    tried = {n for n, op in TABLE.items() if op.tensor_parameters and n in CASES and CASES[n].check is None}
    assert listed == tried, f"make support: missing {sorted(tried - listed)}, gone {sorted(listed - tried)}"


def test_the_size_of_an_axis_of_a_tensor_without_elements() -> None:
    assert float(ops.convert_to_numpy(ops.axis_size(ops.zeros((3, 0, 4)), 0))) == 3
    assert float(ops.convert_to_numpy(ops.axis_size(ops.zeros((3, 0, 4)), 1))) == 0


@pytest.mark.parametrize("name", ["floor", "ceil"])
@pytest.mark.parametrize("dtype", ["bool", "int8", "int32"])
def test_floor_and_ceil_of_integers_are_floats(name: str, dtype: str) -> None:
    result = getattr(ops, name)(tensor([0, 1], dtype))
    assert active.dtype(result) == "float32"
    assert active.to_numpy(result).tolist() == [0.0, 1.0]
    assert active.dtype(ops.trunc(tensor([0, 1], "int32"))) == "int32"


def test_a_window_may_have_its_length_as_a_whole_float() -> None:
    assert_close(ops.bartlett(tensor(5.0)), np.bartlett(5).astype("float32"))
    with pytest.raises(OpError, match="an int, the length of the window"):
        ops.bartlett(2.5)


def test_four_axes_are_tiled_at_once() -> None:
    x = np.arange(36, dtype="float32").reshape(1, 2, 6, 3)
    assert_close(ops.tile(x, (3, 2, 2, 4)), np.tile(x, (3, 2, 2, 4)))
