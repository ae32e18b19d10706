"""What the errors of ops are, for code that catches those of other libraries."""

from __future__ import annotations

import numpy as np
import pytest

from unidl import layers, ops
from unidl.errors import AxisError, OpError


def test_a_wrong_axis_is_an_index_error_as_in_numpy() -> None:
    for call in (lambda: ops.norm(np.ones(3, np.float32), axis=1), lambda: ops.sum(np.ones(3, np.float32), axis=2)):
        with pytest.raises(IndexError, match="out of range for 1 dimensions") as caught:
            call()
        assert isinstance(caught.value, AxisError)
        assert isinstance(caught.value, ValueError)
    with pytest.raises(IndexError, match="Layer 'lambda'"):
        layers.Lambda(lambda x: ops.max(x, axis=3), name="lambda")(np.ones((2, 3), np.float32))


def test_any_complaint_is_a_value_error_and_a_runtime_error() -> None:
    for kind in (ValueError, RuntimeError, OpError):
        with pytest.raises(kind, match="no norm of vectors"):
            ops.norm(np.ones(3, np.float32), ord="fro")


def test_classes_may_come_as_floats() -> None:
    assert ops.convert_to_numpy(ops.one_hot(np.array([1.0, 0.0], np.float32), 2)).tolist() == [[0, 1], [1, 0]]
    assert ops.convert_to_numpy(ops.multi_hot(np.array([1.0, 2.0], np.float32), 3)).tolist() == [0, 1, 1]
    with pytest.raises(ValueError, match="`order` must be an int"):
        ops.normalize(np.ones((2, 2), np.float32), order="a")


def test_small_things_as_in_numpy() -> None:
    x = np.arange(4.0, dtype=np.float32).reshape(2, 2)
    assert isinstance(ops.hsplit(x, 2), list)
    assert isinstance(ops.vsplit(x, 2), list)
    assert ops.convert_to_numpy(ops.nancumsum(x, axis=(1,))).tolist() == [[0, 1], [2, 5]]
    with pytest.raises(ValueError, match="the last dimension of `x1`"):
        ops.inner(np.ones((2, 3), np.float32), np.ones((4,), np.float32))
