"""Gradients: what is recorded, whose buffers are written, and errors inside custom ones."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from unidl import ops
from unidl.backend import active
from unidl_mxnet._engine import mx
from unidl_mxnet.tensors import HostNumber


def tensor(*values: float) -> Any:
    return active.to_tensor(np.asarray(values, "float32"))


def variable(*values: float, trainable: bool = True) -> Any:
    return active.make_variable(np.asarray(values, "float32"), trainable=trainable, name="v")


def test_gradients_of_two_calls_do_not_share_memory() -> None:
    v = variable(2.0)
    first = active.differentiate(lambda: (ops.sum(v * v), None), [], [v])[2][0]
    second = active.differentiate(lambda: (ops.sum(v * 7.0), None), [], [v])[2][0]
    assert (first.asnumpy(), second.asnumpy()) == ([4.0], [7.0])


def test_none_where_the_loss_does_not_depend_on_it() -> None:
    v, other = variable(2.0), variable(1.0)
    whole = active.to_tensor(np.array([1, 2], "int32"))
    x = tensor(3.0)
    _, tensors, variables = active.differentiate(lambda x, n: (ops.sum(x * v), n), [x, whole], [v, other])
    assert tensors[0].asnumpy() == [2]
    assert tensors[1] is None
    assert variables[1] is None
    (_, aux), tensors, _ = active.differentiate(lambda x: (tensor(1.0)[0], "aux"), [x], [])
    assert (aux, tensors) == ("aux", [None])


def test_frozen_variables_can_be_differentiated_and_stay_frozen() -> None:
    v = variable(2.0, trainable=False)
    assert active.differentiate(lambda: (ops.sum(v * v), None), [], [v])[2][0].asnumpy() == [4]
    assert v.gradient is None
    assert not v.trainable
    v.trainable = True
    assert v.gradient is not None
    v.trainable = False
    assert v.gradient is None


def test_recording_ends_with_an_error() -> None:
    def broken(x: Any) -> Any:
        raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        active.differentiate(broken, [tensor(1.0)], [])
    assert not mx.autograd.is_recording()
    assert not mx.autograd.is_training()


def test_a_custom_gradient_is_used_and_its_error_is_raised() -> None:
    @ops.custom_gradient
    def scaled(x: Any, y: Any) -> Any:
        return x * y, lambda upstream: (upstream * 100.0, None)

    @ops.custom_gradient
    def broken(x: Any) -> Any:
        def grad(upstream: Any) -> Any:
            raise LookupError("in the gradient")

        return x * 1.0, grad

    @ops.custom_gradient
    def misshapen(x: Any) -> Any:
        return x * 1.0, lambda upstream: ops.sum(upstream)

    x, y = tensor(1.0, 2.0), tensor(3.0, 4.0)
    _, gradients, _ = active.differentiate(lambda x, y: (ops.sum(scaled(x, y) * 2.0), None), [x, y], [])
    assert gradients[0].asnumpy().tolist() == [200, 200]
    assert gradients[1].asnumpy().tolist() == [0, 0]
    with pytest.raises(LookupError, match="in the gradient"):
        active.differentiate(lambda x: (ops.sum(broken(x)), None), [x], [])
    with pytest.raises(ValueError, match=r"shape \(\), its input has \(2,\)"):
        active.differentiate(lambda x: (ops.sum(misshapen(x)), None), [x], [])
    # and the next gradient is right again
    assert active.differentiate(lambda x: (ops.sum(x), None), [x], [])[1][0].asnumpy().tolist() == [1, 1]


def test_assignment_is_never_recorded() -> None:
    v, total = variable(2.0), variable(0.0, trainable=False)

    def loss() -> Any:
        value = ops.sum(v * v)
        total.assign(total + ops.reshape(value, (1,)))
        return value, None

    gradient = active.differentiate(loss, [], [v])[2][0]
    assert (gradient.asnumpy(), total.asnumpy()) == ([4.0], [4.0])


def test_variables_are_copied_and_pickled_with_what_they_know() -> None:
    v = variable(1.0, 2.0)
    v._path = "model/kernel"
    for clone in (copy.deepcopy(v), pickle.loads(pickle.dumps(v))):
        assert (clone.path, clone.trainable, clone.asnumpy().tolist()) == ("model/kernel", True, [1, 2])
        assert clone.gradient is not v.gradient
        active.assign(clone, tensor(0.0, 0.0))
    assert v.asnumpy().tolist() == [1, 2]


def test_a_host_number_follows_its_variable() -> None:
    v = active.make_variable(np.asarray(0.5, "float32"), trainable=False, name="rate")
    number = HostNumber(v)
    assert number.read() == 0.5
    active.assign(v, active.to_tensor(np.asarray(0.25, "float32")))
    assert number.read() == 0.25
    steps = active.make_variable(np.asarray(2**40, "int64"), trainable=False, name="steps")
    active.increment(steps)
    assert HostNumber(steps).read() == 2**40 + 1
