"""Optimizer updates by mxnet's fused operators: one call for many variables where there is one.

The hyperparameters go in as text, which mxnet parses at each call; that costs less than a tensor
operation. Formulas are those of the core's optimizers (Keras's): in Adam epsilon is added to the
root before the correction of the bias.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from unidl_mxnet._engine import mx, runs_at_once, threads
from unidl_mxnet._invoke import ARRAYS, _operator
from unidl_mxnet.tensors import HostBlocks, HostNumber, alias, blocks, from_host, host_view

Apply = Callable[[list[Any]], None]
_LIB = mx.base._LIB
_check = mx.base.check_call
_MANY = 40  # how many variables one call may take
_LARGE = 4096  # elements from which on a variable is worth a call of its own
_BLOCK = 2**15  # elements of a block: six of them, for the update, fit into a processor's second cache
_FEW_THREADS = 2  # with more of them mxnet's operators are faster than NumPy, which has one


class _Update:
    """Calls of one multi-variable operator ``operator(w0, g0, s0, …, w1, g1, s1, …, *last)``.

    Args:
        variables: what is updated; states: one list of slots for each state of the operator.
        last: inputs after all the others.
        ones: an attribute that is 1 for each variable of a call.
        fixed: attributes that never change. `lrs` and `wds` are given with each call.
    """

    def __init__(
        self,
        operator: str,
        variables: Sequence[Any],
        states: Sequence[Sequence[Any]],
        last: Sequence[Any] = (),
        ones: Sequence[str] = (),
        **fixed: Any,
    ) -> None:
        self.operator = _operator(operator)
        self.groups: list[tuple[list[int], Any, Any, int]] = []
        self.step = 2 + len(states)
        by_dtype: dict[Any, list[int]] = {}
        for index, variable in enumerate(variables):
            by_dtype.setdefault(variable.dtype, []).append(index)
        for members in by_dtype.values():
            for start in range(0, len(members), _MANY):
                chosen = members[start : start + _MANY]
                inputs = [h for i in chosen for h in (variables[i].handle, None, *(s[i].handle for s in states))]
                inputs += [x.handle for x in last]
                outputs = (ctypes.c_void_p * len(chosen))(*[variables[i].handle for i in chosen])
                self.groups.append((chosen, (ctypes.c_void_p * len(inputs))(*inputs), outputs, len(inputs)))
        self.ones = len(ones)
        self.names = [*fixed, *ones, "num_weights", "wds", "lrs"]
        self.keys = (ctypes.c_char_p * len(self.names))(*[n.encode() for n in self.names])
        self.fixed = [str(v).encode() for v in fixed.values()]
        self.kept = (list(variables), states, last)  # their handles are held here

    def __call__(self, gradients: Sequence[Any], rate: float, decay: float = 0.0) -> None:
        for members, inputs, outputs, size in self.groups:
            n = len(members)
            for place, index in enumerate(members):
                inputs[place * self.step + 1] = gradients[index].handle
            texts = (*[str((1.0,) * n)] * self.ones, str(n), str((decay,) * n), str((rate,) * n))
            values = (ctypes.c_char_p * len(self.names))(*self.fixed, *[t.encode() for t in texts])
            _check(
                _LIB.MXImperativeInvokeEx(
                    self.operator, ctypes.c_int(size), inputs, ctypes.byref(ctypes.c_int(n)),
                    ctypes.byref(ctypes.cast(outputs, ctypes.POINTER(mx.base.NDArrayHandle))),
                    ctypes.c_int(len(self.names)), self.keys, values, ctypes.byref(ctypes.POINTER(ctypes.c_int)()),
                )
            )  # fmt: skip


def _arrays(variables: Sequence[Any]) -> list[Any]:
    """The memory of `variables`, which may lie turned: to what works element by element that is all the same."""
    return [alias(v) for v in variables]


def sgd(optimizer: Any, variables: list[Any]) -> Apply:
    rate, momentum = HostNumber(optimizer.learning_rate), float(optimizer.momentum)
    variables = _arrays(variables)
    velocities = _arrays(optimizer.slots["momentum"]) if momentum else []
    if momentum and optimizer.nesterov:

        def nesterov(gradients: list[Any]) -> None:
            lr = repr(rate.read())
            for variable, gradient, velocity in zip(variables, gradients, velocities, strict=True):
                ARRAYS.nag_mom_update(variable, gradient, velocity, out=(variable,), lr=lr, momentum=repr(momentum))

        return nesterov
    if momentum:
        update = _Update("multi_sgd_mom_update", variables, [velocities], momentum=momentum)
    else:
        update = _Update("multi_sgd_update", variables, [])
    return lambda gradients: update(gradients, rate.read())


class _AdamByBlocks:
    """Adam's update of large variables on the host, by NumPy: m += (1 - beta_1) (g - m), v += (1 - beta_2) (g² - v),
    and x -= rate m / (sqrt(v) + epsilon) + decay x.

    MXNet's operator is compiled for SSE, four numbers at a time, which makes it wait for roots and quotients. NumPy has
    the widest vectors of the processor, and a block stays in its cache from the first pass to the last.
    """

    def __init__(
        self, states: Sequence[tuple[int, Any, Any, Any]], beta_1: float, beta_2: float, epsilon: float
    ) -> None:
        self.states = [(i, v.shape, [HostBlocks(t, _BLOCK) for t in (v, *slots)]) for i, v, *slots in states]
        self.numbers = [np.float32(n) for n in (1.0 - beta_1, 1.0 - beta_2, epsilon)]
        self.scratch = np.empty((2, _BLOCK), "float32")

    def __call__(self, gradients: Sequence[Any], rate: float, decay: float) -> None:
        part, square_part, epsilon = self.numbers
        lr, lost = np.float32(rate), np.float32(decay)
        with np.errstate(all="ignore"):
            for index, shape, tensors in self.states:
                gradient = host_view(gradients[index])
                if gradient.shape != shape:
                    raise ValueError(f"A gradient of shape {gradient.shape} came for a variable of shape {shape}.")
                for g, x, m, v in zip(blocks(gradient, _BLOCK), *(t.read() for t in tensors), strict=True):
                    t, decayed = self.scratch[:, : len(x)]
                    np.subtract(g, m, t)
                    np.multiply(t, part, t)
                    np.add(m, t, m)
                    np.multiply(g, g, t)
                    np.subtract(t, v, t)
                    np.multiply(t, square_part, t)
                    np.add(v, t, v)
                    np.sqrt(v, t)
                    np.add(t, epsilon, t)
                    np.divide(m, t, t)
                    np.multiply(t, lr, t)
                    if decay:  # with the rest: alone it may be too small to change a float32
                        np.multiply(x, lost, decayed)
                        np.add(t, decayed, t)
                    np.subtract(x, t, x)


def adam(optimizer: Any, variables: list[Any]) -> Apply | None:
    if optimizer.amsgrad or any(v.dtype != np.float32 for v in variables):  # other dtypes have no such kernel
        return None
    rate, count = HostNumber(optimizer.learning_rate), HostNumber(optimizer.iterations)
    beta_1, beta_2 = float(optimizer.beta_1), float(optimizer.beta_2)
    decay = float(getattr(optimizer, "decoupled_decay", None) or 0.0)
    one = from_host(np.ones((1,), "float32"))
    variables, slots = _arrays(variables), [_arrays(optimizer.slots[name]) for name in ("momentum", "velocity")]
    epsilon = float(optimizer.epsilon)
    on_host = runs_at_once() and threads() <= _FEW_THREADS and rate.pointer is not None
    # The operator for one variable is vectorized, but its decay is part of the gradient.
    large = [i for i, v in enumerate(variables) if v.size >= _LARGE and (on_host or not decay)]
    rest = [i for i in range(len(variables)) if i not in set(large)]
    update = _Update(
        "_multi_adamw_update", [variables[i] for i in rest], [[s[i] for i in rest] for s in slots], [one],
        ["etas"], beta1=beta_1, beta2=beta_2, epsilon=epsilon,
    )  # fmt: skip
    states = [(i, variables[i], *(s[i] for s in slots)) for i in large]
    texts = {"beta1": repr(beta_1), "beta2": repr(beta_2), "epsilon": repr(epsilon)}
    by_blocks = _AdamByBlocks(states, beta_1, beta_2, epsilon) if on_host and states else None

    def apply(gradients: list[Any]) -> None:
        step, lr = count.read() + 1, rate.read()
        corrected = lr * math.sqrt(1.0 - beta_2**step) / (1.0 - beta_1**step)
        update([gradients[i] for i in rest], corrected, lr * decay)
        if by_blocks is not None:
            by_blocks(gradients, corrected, lr * decay)
            return
        text = repr(corrected)
        for index, variable, mean, square in states:
            ARRAYS.adam_update(variable, gradients[index], mean, square, out=(variable,), lr=text, **texts)

    return apply


def rmsprop(optimizer: Any, variables: list[Any]) -> Apply | None:
    if optimizer.centered or optimizer.momentum:
        return None
    rate = HostNumber(optimizer.learning_rate)
    variables, squares = _arrays(variables), _arrays(optimizer.slots["velocity"])
    rho, epsilon = repr(float(optimizer.rho)), repr(float(optimizer.epsilon))

    def apply(gradients: list[Any]) -> None:
        lr = repr(rate.read())
        for variable, gradient, square in zip(variables, gradients, squares, strict=True):
            ARRAYS.rmsprop_update(variable, gradient, square, out=(variable,), lr=lr, gamma1=rho, epsilon=epsilon)

    return apply


KERNELS: dict[str, Callable[[Any, list[Any]], Apply | None]] = {
    "sgd": sgd, "adam": adam, "adamw": adam, "rmsprop": rmsprop,
}  # fmt: skip
