"""The conformance kit finds what it is there to find: each test plants a mistake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from unidl import ops
from unidl.backend import active
from unidl.ops._declare import TABLE
from unidl.testing import assert_close, count_python_calls, suite
from unidl.testing.cases import CASES
from unidl.testing.checks import check_gradient, check_values
from unidl.testing.oracle import directional, evaluate, record

# -- helpers ---------------------------------------------------------------------------------------


def test_close_values_pass() -> None:
    assert_close(np.asarray([1.0, np.nan, np.inf]), np.asarray([1 + 1e-12, np.nan, np.inf]))
    assert_close(ops.convert_to_tensor([1.0, 2.0]), [1.0, 2.0])
    assert_close(np.ones((0, 3)), np.ones((0, 3)))
    assert_close(1.0, 1.1, rtol=0.2)


@pytest.mark.parametrize(
    "actual, expected, message",
    [
        (np.ones(2), np.ones(3), r"shape \(2,\) instead of \(3,\)"),
        ([1.0, 2.0, 3.0], [1.0, 2.5, 3.1], r"2 of 3 elements differ .* at \(1,\): 2.0 instead of 2.5"),
        (np.asarray([1, 2]), np.asarray([1, 3]), r"1 of 2 elements differ"),
        ([np.inf], [1.0], r"inf instead of 1.0"),
        ([np.inf], [-np.inf], r"inf instead of -inf"),
        ([0.0], [np.nan], r"0.0 instead of nan"),
        (2**53 + 1, 2**53, r"instead of 9007199254740992"),
    ],
)
def test_different_values_are_described(actual: Any, expected: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        assert_close(actual, expected)
    with pytest.raises(AssertionError, match=f"weights: .*{message}"):
        assert_close(actual, expected, what="weights")


@pytest.mark.once
def test_python_calls_are_counted() -> None:
    def inner(depth: int) -> None:
        if depth:
            inner(depth - 1)

    assert count_python_calls(lambda: None) == 0
    assert count_python_calls(lambda: inner(2)) == 3
    assert count_python_calls(lambda: sorted([3, 1, 2])) == 0


# -- the oracle --------------------------------------------------------------------------------------


def test_the_oracle_decomposes_composites() -> None:
    x = np.asarray([[1.0, 2.0, 4.0]], "float32")
    graph = record(TABLE["softmax"].public, (x,))
    assert [node.op.name for node in graph.nodes] == ["softmax"]
    specs, (value,) = evaluate(TABLE["softmax"].public, (x,))
    assert specs[0].shape == (1, 3)
    np.testing.assert_allclose(value, np.exp(x) / np.exp(x).sum(), rtol=1e-6)


def test_finite_differences_of_the_oracle() -> None:
    x = np.asarray([1.0, 2.0], "float32")
    along = np.asarray([1.0, -1.0])
    assert directional(lambda x: ops.sum(x * x * x), (x,), [along]) == pytest.approx(3 - 12, rel=1e-8)


# -- planted mistakes --------------------------------------------------------------------------------


def expect_caught(check: Any, name: str, message: str, smooth: bool = False) -> None:
    with pytest.raises(AssertionError, match=message):
        suite._run(check, name, "float32", 16, smooth)


WRONG: dict[str, tuple[Callable[[Any], Callable[..., Any]], str]] = {
    "value": (lambda right: lambda x: ops.add(right(x), 0.01), r"exp\(x=float32\[.*elements differ"),
    "dtype": (lambda right: lambda x: active.cast(right(x), "float16"), r"output 0 is float16, not float32"),
    "shape": (lambda right: lambda x: ops.reshape(right(x), (-1,)), r"output 0 has shape"),
    "type": (lambda right: lambda x: float(np.sum(active.to_numpy(right(x)))), r"no native tensor"),
    "number": (lambda right: lambda x: active.to_numpy(right(x)).no_such_thing, r"no_such_thing"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_kernel_is_caught(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong, message = WRONG[kind]
    op = TABLE["exp"]
    monkeypatch.setattr(op, "public", wrong(op.public))
    with pytest.raises(AssertionError, match=message):
        # The oracle must see the right op: what it evaluates is recorded before the kernel is called.
        monkeypatch.setattr("unidl.testing.checks.evaluate", lambda f, a: evaluate(ops.exp, a))
        suite._run(check_values, "exp", "float32", 16)


def test_a_kernel_that_only_replay_calls_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    right = active.table["exp"]
    monkeypatch.setitem(active.table, "exp", lambda x: right(right(x)))
    expect_caught(check_values, "exp", "elements differ")


def test_a_wrong_shape_rule_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TABLE["flip"], "rule", lambda x, axis: TABLE["exp"].rule(ops.ravel(x)))
    expect_caught(check_values, "flip", "recorded was")


@pytest.mark.skipif(not active.trains, reason="needs gradients")
def test_a_wrong_gradient_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    op = TABLE["multiply"]
    right = op.public
    monkeypatch.setattr(op, "public", lambda x1, x2: right(ops.stop_gradient(x1), x2))
    expect_caught(check_gradient, "multiply", r"derivative .* instead of", smooth=True)


def test_an_op_without_a_case_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(CASES, "exp")
    with pytest.raises(AssertionError, match="exp"):
        suite.test_every_op_has_a_case()


def test_a_table_that_does_not_fit_the_declarations_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(active.table, "no_op", lambda x: x)
    with pytest.raises(AssertionError, match="no_op"):
        suite.test_table_is_complete()
    monkeypatch.undo()
    monkeypatch.delitem(active.table, "exp")
    with pytest.raises(AssertionError, match="exp"):
        suite.test_table_is_complete()


def test_a_drifted_signature_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def own(x2: Any, x1: Any) -> Any: ...
    def default(x: Any, axis: Any = 0, keepdims: bool = False) -> Any: ...

    for name, function in {"arctan2": own, "sum": default}.items():
        function.__module__ = type(active).__module__
        monkeypatch.setitem(active.table, name, function)
        with pytest.raises(AssertionError):
            suite.test_signature(name)
    monkeypatch.setitem(active.table, "sum", lambda x: x)  # the engine's own, but it takes too little
    with pytest.raises(TypeError):
        suite.test_signature("sum")


def test_gaps_are_strict_and_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "GAPS", {"test_values[exp-float32]": "why"})
    plain, gap = suite._parameters("test_values", ["log-float32", "exp-float32"])
    assert not plain.marks and gap.marks[0].kwargs == {"strict": True, "reason": "why"}
    suite.test_known_gaps_exist()
    monkeypatch.setattr(suite, "GAPS", {"test_values[exq-float32]": "why"})
    with pytest.raises(AssertionError, match="exq"):
        suite.test_known_gaps_exist()
    monkeypatch.setattr(suite, "GAPS", {"test_values[exp-float32]": ""})
    with pytest.raises(AssertionError, match="no reason"):
        suite.test_known_gaps_exist()
