"""The tests themselves: import all of them into a test module of the backend.

Each test's id is ``test_name[op-dtype]``; ``known_gaps.txt`` in the backend's package may list some.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from unidl import ops
from unidl.backend import active
from unidl.ops._declare import TABLE
from unidl.ops._structured import STRUCTURED
from unidl.testing import assert_close
from unidl.testing.cases import CASES
from unidl.testing.cases.control import FLOWS
from unidl.testing.checks import Check, check_executable, check_gradient, check_values
from unidl.testing.draw import Draw
from unidl.testing.flow import check_flow, check_flow_gradient
from unidl.testing.mistakes import ACCEPTED, check_dtypes, check_errors, check_promotion
from unidl.testing.oracle import oracle
from unidl.testing.sums import SUMS, check_accumulation

__all__ = [
    "kit_report", "test_accumulation", "test_assign", "test_control_flow", "test_dtypes", "test_errors",
    "test_every_op_has_a_case", "test_executable", "test_promotion",
    "test_known_gaps_exist", "test_no_alias", "test_roundtrip", "test_seed", "test_signature",
    "test_table_is_complete", "test_values",
    "test_variable_operators",
]  # fmt: skip
__all__ += (
    [
        "test_control_flow_gradient",
        "test_gradient",
        "test_independent_gradient",
        "test_stop_gradient",
        "test_variable_gradient",
    ]
    if active.trains
    else ["test_no_gradients"]
)

_DTYPES = [d for d in active.dtypes if d in oracle().dtypes]


def _gaps() -> dict[str, str]:
    """The active backend's known gaps: test id to reason."""
    path = Path(inspect.getfile(type(active))).parent / "known_gaps.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    pairs = [line.partition(" # ") for line in lines if line.strip() and not line.startswith("#")]
    return {test.strip(): reason.strip() for test, _, reason in pairs}


GAPS = _gaps()
IDS: set[str] = set()


def _parameters(test: str, ids: list[str]) -> list[Any]:
    """Pytest parameters of a test, those that are known gaps marked."""
    marked = []
    for name in ids:
        IDS.add(key := f"{test}[{name}]")
        marks = [pytest.mark.xfail(strict=True, reason=GAPS[key])] if key in GAPS else []
        marked.append(pytest.param(*name.split("-"), marks=marks, id=name))
    return marked


def _run(check: Check, name: str, dtype: str, examples: int, smooth: bool = False, gap: bool = False) -> None:
    """Run `check` on so many examples, the same ones each time."""
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate] + ([] if gap else [hypothesis.Phase.shrink])

    @st.composite
    def examples_of_op(draw: Any) -> tuple[Draw, tuple[Any, ...]]:
        r = Draw(draw, dtype, smooth)
        return r, CASES[name].build(r)

    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        print_blob=False,
        phases=phases,
        report_multiple_bugs=False,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(examples_of_op())
    def body(example: tuple[Draw, tuple[Any, ...]]) -> None:
        check(name, CASES[name], *example)

    body()


_OPS = [n for n in TABLE if n in CASES]
_TYPED = [f"{n}-{d}" for n in _OPS for d in CASES[n].dtypes if d in _DTYPES]
_COMPILED = [f"{n}-{CASES[n].dtypes[0]}" for n in _OPS if CASES[n].check is None]
_TENSORS = [n for n in _OPS if TABLE[n].tensor_parameters and CASES[n].check is None]
_MIXED = [n for n in _TENSORS if len(TABLE[n].promote) > 1 or "many" in TABLE[n].tensor_parameters.values()]
_DERIVED = [f"{n}-float32" for n in _OPS if CASES[n].gradient] if active.trains else []


@pytest.mark.parametrize("name, dtype", _parameters("test_values", _TYPED))
def test_values(name: str, dtype: str) -> None:
    """Values, dtypes, shapes (also with unknown dimensions) and replay, against the oracle."""
    first = dtype == CASES[name].dtypes[0]
    _run(
        check_values,
        name,
        dtype,
        3 if CASES[name].check or not first else 12,
        gap=f"test_values[{name}-{dtype}]" in GAPS,
    )


@pytest.mark.parametrize("name, dtype", _parameters("test_executable", _COMPILED))
def test_executable(name: str, dtype: str) -> None:
    """Values of the engine's compiled graph, against the oracle."""
    _run(check_executable, name, dtype, 2, gap=f"test_executable[{name}-{dtype}]" in GAPS)


@pytest.mark.parametrize("name, dtype", _parameters("test_gradient", _DERIVED))
def test_gradient(name: str, dtype: str) -> None:
    """Derivatives, against finite differences of the oracle."""
    _run(check_gradient, name, dtype, 6, smooth=True, gap=f"test_gradient[{name}-{dtype}]" in GAPS)


@pytest.mark.parametrize("name", _parameters("test_errors", _TENSORS))
def test_errors(name: str) -> None:
    """Arguments that do not fit are refused with the op's own words, whether recorded or not."""
    _run(check_errors, name, CASES[name].dtypes[0], 2, gap=f"test_errors[{name}]" in GAPS)


@pytest.mark.parametrize("name", _parameters("test_dtypes", _TENSORS))
def test_dtypes(name: str) -> None:
    """Every dtype of the engine is refused by the op's rule, or gives what recording promises."""
    _run(check_dtypes, name, CASES[name].dtypes[0], 2, gap=f"test_dtypes[{name}]" in GAPS)


@pytest.mark.parametrize("name", _parameters("test_promotion", _MIXED))
def test_promotion(name: str) -> None:
    """Tensors of different dtypes meet in the dtype that recording promises."""
    _run(check_promotion, name, CASES[name].dtypes[0], 12, gap=f"test_promotion[{name}]" in GAPS)


@pytest.mark.parametrize("name", _parameters("test_accumulation", list(SUMS)))
def test_accumulation(name: str) -> None:
    """Sums of very many elements, against float64."""
    check_accumulation(name)


@pytest.fixture(scope="session", autouse=True)
def kit_report() -> Iterator[None]:
    """Write which dtypes each op takes to the file named in ``UNIDL_KIT_REPORT``, if it is set."""
    yield
    if path := os.environ.get("UNIDL_KIT_REPORT"):
        accepted = {f"{op}-{dtype}": ok for (op, dtype), ok in ACCEPTED.items()}
        report = {"backend": active.name, "dtypes": list(active.dtypes), "accepted": accepted, "gaps": GAPS}
        Path(path).write_text(json.dumps(report, indent=1), encoding="utf-8")


@pytest.mark.parametrize("name", _parameters("test_control_flow", list(FLOWS)))
def test_control_flow(name: str) -> None:
    """Branches, loops and scans: eager, replayed and compiled, against the oracle."""
    check_flow(FLOWS[name])


@pytest.mark.parametrize(
    "name", _parameters("test_control_flow_gradient", [n for n, f in FLOWS.items() if f.differentiable])
)
def test_control_flow_gradient(name: str) -> None:
    """Derivatives through control flow, against finite differences of the oracle."""
    check_flow_gradient(FLOWS[name])


# -- the table ---------------------------------------------------------------------------------------


def test_every_op_has_a_case() -> None:
    ops_with_rules = set(TABLE) - set(STRUCTURED)
    assert ops_with_rules == set(CASES), (
        f"without a case: {ops_with_rules - set(CASES)}; no op: {set(CASES) - ops_with_rules}"
    )


def test_table_is_complete() -> None:
    missing = [n for n, op in TABLE.items() if op.kind == "primitive" and n not in active.table]
    assert not missing, f"primitives that {active.name} lacks: {missing}"
    assert set(active.table) <= set(TABLE), f"not declared: {set(active.table) - set(TABLE)}"


def test_known_gaps_exist() -> None:
    assert not set(GAPS) - IDS, f"known_gaps.txt lists tests that do not exist: {sorted(set(GAPS) - IDS)}"
    assert all(GAPS.values()), f"known_gaps.txt: no reason given for {[k for k, v in GAPS.items() if not v]}"


@pytest.mark.parametrize("name", _parameters("test_signature", sorted(set(active.table) & set(TABLE))))
def test_signature(name: str) -> None:
    """A backend's own function has the declared parameters; the engine's must take as many."""
    function, declared = active.table[name], TABLE[name]
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # written in C, without a signature: test_values calls it
        return
    package = type(active).__module__.partition(".")[0]
    own = inspect.isfunction(function) and function.__module__.partition(".")[0] == package
    if not own:
        signature.bind(*declared.parameters)
        return
    assert tuple(signature.parameters) == declared.parameters
    for key, parameter in signature.parameters.items():
        ours, theirs = parameter.default, declared.signature.parameters[key].default
        # A default that is there must be the declared one; arguments always arrive complete.
        assert ours is parameter.empty or ours == theirs, f"{key}={ours!r}, declared {theirs!r}"


# -- the contract ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", _parameters("test_roundtrip", _DTYPES))
def test_roundtrip(dtype: str) -> None:
    """Arrays become tensors and come back: dtype, shape (0-d and empty too) and values."""
    from unidl.ops._bind import numpy_dtype

    for shape in ((), (0,), (1,), (2, 0, 3), (3, 2)):
        array = (np.arange(np.prod(shape)) % 2).reshape(shape).astype(numpy_dtype(dtype))
        tensor = active.to_tensor(array)
        assert type(tensor) in active.tensor_types and active.is_tensor(tensor)
        assert active.dtype(tensor) == dtype and tuple(active.shape(tensor)) == shape
        back = active.to_numpy(tensor)
        assert back.dtype == array.dtype
        np.testing.assert_array_equal(back, array)
        if not dtype.startswith("complex"):
            assert active.dtype(active.to_tensor(array, "float32")) == "float32"
    assert active.to_tensor(tensor) is tensor or active.is_tensor(active.to_tensor(tensor))


def test_no_alias() -> None:
    """A tensor made of an array does not change with the array (unless arrays are the tensors)."""
    array = np.ones(3, "float32")
    tensor = active.to_tensor(array)
    array[:] = 2
    if np.ndarray in active.tensor_types:
        assert tensor is array
    else:
        assert_close(tensor, np.ones(3, "float32"))


@pytest.mark.parametrize(
    "dtype", _parameters("test_assign", [d for d in ("float32", "float64", "int32", "bool") if d in _DTYPES])
)
def test_assign(dtype: str) -> None:
    """A variable is overwritten in place, is a tensor, and does not alias what it was made of."""
    start = np.zeros((2, 3), dtype)
    variable: Any = active.make_variable(start, trainable=dtype == "float32", name="kernel")
    assert issubclass(type(variable), active.Variable) and type(variable) in active.tensor_types
    assert variable.name == "kernel" and variable.trainable == (dtype == "float32")
    active.assign(variable, active.to_tensor(np.ones((2, 3), dtype)))
    assert_close(variable, np.ones((2, 3), dtype))
    assert not start.any()
    with pytest.raises(ValueError, match="shape"):
        variable.assign(np.ones((4,), dtype))
    if dtype == "int32":
        active.increment(variable)
        assert_close(variable, np.full((2, 3), 2, dtype))


def test_variable_operators() -> None:
    """Operators of variables go through unidl.ops and give plain tensors."""
    variable = active.make_variable(np.asarray([1.0, -2.0, 3.0], "float32"), trainable=True, name="v")
    x = np.asarray([1.0, -2.0, 3.0], "float32")
    cases = {
        "v + 1": (variable + 1, x + 1), "1 - v": (1 - variable, 1 - x), "v * v": (variable * variable, x * x),
        "v / 2": (variable / 2, x / 2), "2.0 ** v": (2.0**variable, 2.0**x), "v @ v": (variable @ variable, x @ x),
        "-v": (-variable, -x), "abs(v)": (abs(variable), abs(x)), "v > 0": (variable > 0, x > 0),
        "v[1:]": (variable[1:], x[1:]), "v // 2": (variable // 2, x // 2), "v % 2": (variable % 2, x % 2),
    }  # fmt: skip
    for what, (actual, expected) in cases.items():
        assert active.is_tensor(actual) and not isinstance(actual, active.Variable), what
        assert_close(actual, expected, what=what)
    variable.assign_add([1, 1, 1])
    variable.assign_sub(np.ones(3) * 2)
    assert_close(variable, x - 1)


def test_seed() -> None:
    """The same seed gives the same numbers, and draws differ from each other."""
    active.set_seed(7)
    first, second = (active.to_numpy(active.table["random_normal"]((50,), "float32", None)) for _ in range(2))
    active.set_seed(7)
    again = active.to_numpy(active.table["random_normal"]((50,), "float32", None))
    assert np.array_equal(first, again) and not np.array_equal(first, second)


def test_no_gradients() -> None:
    """An inference backend says so, and what to use instead."""
    with pytest.raises(RuntimeError, match="UNIDL_BACKEND"):
        active.differentiate(lambda x: (ops.sum(x), None), [active.to_tensor(np.ones(2, "float32"))], [])


def test_variable_gradient() -> None:
    """Gradients by tensors and variables at once; the loss and what comes with it pass through."""
    weight = active.make_variable(np.asarray([2.0, 3.0], "float32"), trainable=True, name="w")
    x = active.to_tensor(np.asarray([5.0, 7.0], "float32"))

    def fn(x: Any) -> Any:
        product = ops.multiply(x, weight)
        return ops.sum(ops.square(product)), {"product": product}

    (loss, aux), by_tensors, by_variables = active.differentiate(fn, [x], [weight])
    assert_close(loss, np.float32(541))
    assert_close(aux["product"], np.asarray([10, 21], "float32"))
    assert_close(by_tensors[0], np.asarray([40, 126], "float32"))
    assert_close(by_variables[0], np.asarray([100, 294], "float32"))


def test_independent_gradient() -> None:
    """Where the loss does not depend on a tensor or variable its gradient is None."""
    used, unused = (active.make_variable(np.ones(2, "float32"), trainable=True, name=n) for n in "ab")
    x = active.to_tensor(np.ones(2, "float32"))
    _, by_tensors, by_variables = active.differentiate(lambda x: (ops.sum(used), None), [x], [used, unused])
    assert by_tensors == [None] and by_variables[1] is None
    assert_close(by_variables[0], np.ones(2, "float32"))


def test_stop_gradient() -> None:
    x = active.to_tensor(np.asarray([3.0], "float32"))
    _, (gradient,), _ = active.differentiate(lambda x: (ops.sum(x * ops.stop_gradient(x)), None), [x], [])
    assert_close(gradient, np.asarray([3.0], "float32"))
