"""Names of dtypes and their promotion."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from unidl import dtypes
from unidl.backend import active, result_type
from unidl.dtypes import ALL, dtype_name, result_dtype, to_float, weak_kind

WEAK = ("i*", "f*", "c*")


@pytest.fixture
def half_floatx() -> Iterator[None]:
    dtypes.set_floatx("float16")
    yield
    dtypes.set_floatx("float32")


@pytest.mark.once
def test_promotion_is_a_lattice() -> None:
    """Idempotent, commutative and associative, weak kinds included: the order of operands never matters."""
    for a in ALL:
        assert result_dtype(a) == result_dtype(a, a) == a
    for a, b in itertools.product((*ALL, *WEAK), repeat=2):
        assert result_dtype(a, b) == result_dtype(b, a)
    for a, b, c in itertools.product((*ALL, *WEAK), repeat=3):
        assert result_dtype(a, b, c) == result_dtype(c, a, b) == result_dtype(b, c, a)


@pytest.mark.once
@pytest.mark.parametrize(
    "first, second, expected",
    [
        ("bool", "uint8", "uint8"),
        ("int8", "uint8", "int16"),
        ("int32", "uint32", "int64"),
        ("int64", "uint64", "float32"),
        ("int64", "float16", "float16"),
        ("uint64", "bfloat16", "bfloat16"),
        ("float16", "bfloat16", "float32"),
        ("int64", "float32", "float32"),
        ("float32", "float64", "float64"),
        ("float64", "complex64", "complex128"),
        ("bool", "i*", "int32"),
        ("uint8", "i*", "uint8"),
        ("int64", "i*", "int64"),
        ("int64", "f*", "float32"),
        ("float16", "f*", "float16"),
        ("float64", "f*", "float64"),
        ("float32", "c*", "complex64"),
        ("i*", "f*", "float32"),
        ("i*", "i*", "int32"),
    ],
)
def test_promotion_of_two(first: str, second: str, expected: str) -> None:
    assert result_dtype(first, second) == expected


def test_the_default_float_decides_between_weak_kinds(half_floatx: None) -> None:
    assert result_dtype("f*", "int64") == dtypes.floatx() == to_float("int8") == "float16"
    assert result_dtype("f*", "float32") == "float32"


@pytest.mark.once
def test_an_unknown_default_float_is_refused() -> None:
    with pytest.raises(ValueError, match="float32"):
        dtypes.set_floatx("int32")
    assert dtypes.floatx() == "float32"


@pytest.mark.once
@pytest.mark.parametrize(
    "given, expected",
    [
        (None, "float32"),
        (float, "float32"),
        (int, "int32"),
        (bool, "bool"),
        ("half", "float16"),
        ("double", "float64"),
        (np.float64, "float64"),
        (np.dtype("uint16"), "uint16"),
        (np.bool_, "bool"),
        ("torch.int8", "int8"),
    ],
)
def test_names_of_dtypes(given: Any, expected: str) -> None:
    assert dtype_name(given) == expected


def test_names_of_the_engines_dtypes() -> None:
    for name, native in active.dtypes.items():
        assert dtype_name(native) == name


@pytest.mark.once
@pytest.mark.parametrize("given", ["float8", "object", np.dtype("datetime64[s]"), list])
def test_what_is_no_dtype_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match="Unknown dtype"):
        dtype_name(given)


@pytest.mark.once
def test_only_python_numbers_are_weak() -> None:
    assert [weak_kind(v) for v in (True, 1, 1.0, 1j)] == ["bool", "i*", "f*", "c*"]
    assert [weak_kind(v) for v in (np.float64(1), np.ones(()), "1", None)] == [None] * 4


def test_result_type_takes_tensors_and_names() -> None:
    tensor = active.to_tensor(np.ones(2, "int32"))
    assert result_type(tensor, "float16") == "float16"
    assert result_type(np.ones(2, "int8"), "uint8") == "int16"
