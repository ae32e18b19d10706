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
from unidl_mxnet.tensors import HostBlocks, HostNumber, alias, from_host

Apply = Callable[[list[Any]], None]
_LIB = mx.base._LIB
_check = mx.base.check_call
_MANY = 40  # how many variables one call may take
_LARGE = 4096  # elements from which on a variable is worth a call of its own
_BLOCK = 2**15  # elements of a block: five of them, for the update, fit into a processor's second cache


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


def _saxpy() -> Callable[[int, float, int, int, int, int], None] | None:
    """``y += a x`` by mxnet's BLAS: size, a, address of x, 1, address of y, 1; None if the library does not show it."""
    function = getattr(_LIB, "cblas_saxpy", None)
    if function is not None:
        function.restype = None
        function.argtypes = (
            ctypes.c_int, ctypes.c_float, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_int,
        )  # fmt: skip
    return function


class _AdamByBlocks:
    """Adam's update of large variables on the host, by NumPy and BLAS: m = beta_1 m + (1 - beta_1) g,
    v = beta_2 v + (1 - beta_2) g², x -= rate m / (sqrt(v) + epsilon) + decay x.

    MXNet's operator is compiled for SSE, four numbers at a time, which makes it wait for roots and quotients. NumPy has
    the widest vectors of the processor, and a block stays in its cache from the first pass to the last.
    """

    def __init__(
        self, states: Sequence[tuple[int, Any, Any, Any]], beta_1: float, beta_2: float, epsilon: float, saxpy: Any
    ) -> None:
        self.states = [(i, v.shape, [HostBlocks(t, _BLOCK) for t in (v, *slots)]) for i, v, *slots in states]
        self.betas, self.epsilon = (beta_1, beta_2), np.float32(epsilon)
        self.saxpy = saxpy
        self.scratch = np.empty(_BLOCK, "float32")

    def __call__(self, gradients: Sequence[Any], rate: float, decay: float) -> None:
        saxpy, epsilon, lr = self.saxpy, self.epsilon, np.float32(rate)
        kept, square_kept = map(np.float32, self.betas)
        new, square_new = (1.0 - beta for beta in self.betas)
        scratch, s = self.scratch, self.scratch.ctypes.data
        with np.errstate(all="ignore"):
            for index, shape, tensors in self.states:
                gradient = gradients[index]
                if gradient.shape != shape:
                    raise ValueError(f"A gradient of shape {gradient.shape} came for a variable of shape {shape}.")
                blocks = zip(*(t.read() for t in (HostBlocks(gradient, _BLOCK), *tensors)), strict=True)
                for (g, of_g), (x, of_x), (m, of_m), (v, of_v) in blocks:
                    size = len(x)
                    t = scratch[:size]
                    np.multiply(m, kept, m)
                    saxpy(size, new, of_g, 1, of_m, 1)
                    np.multiply(g, g, t)
                    np.multiply(v, square_kept, v)
                    saxpy(size, square_new, s, 1, of_v, 1)
                    np.sqrt(v, t)
                    np.add(t, epsilon, t)
                    np.divide(m, t, t)
                    if decay:  # with the rest: alone it may be too small to change a float32
                        np.multiply(t, lr, t)
                        saxpy(size, decay, of_x, 1, s, 1)
                        np.subtract(x, t, x)
                    else:
                        saxpy(size, -rate, s, 1, of_x, 1)


def adam(optimizer: Any, variables: list[Any]) -> Apply | None:
    if optimizer.amsgrad or any(v.dtype != np.float32 for v in variables):  # other dtypes have no such kernel
        return None
    rate, count = HostNumber(optimizer.learning_rate), HostNumber(optimizer.iterations)
    beta_1, beta_2 = float(optimizer.beta_1), float(optimizer.beta_2)
    decay = float(getattr(optimizer, "decoupled_decay", None) or 0.0)
    one = from_host(np.ones((1,), "float32"))
    variables, slots = _arrays(variables), [_arrays(optimizer.slots[name]) for name in ("momentum", "velocity")]
    epsilon = float(optimizer.epsilon)
    # With several threads mxnet's operators are faster than NumPy, which has one.
    saxpy = _saxpy() if runs_at_once() and threads() == 1 and rate.pointer is not None else None
    # The operator for one variable is vectorized, but its decay is part of the gradient.
    large = [i for i, v in enumerate(variables) if v.size >= _LARGE and (saxpy or not decay)]
    rest = [i for i in range(len(variables)) if i not in set(large)]
    update = _Update(
        "_multi_adamw_update", [variables[i] for i in rest], [[s[i] for i in rest] for s in slots], [one],
        ["etas"], beta1=beta_1, beta2=beta_2, epsilon=epsilon,
    )  # fmt: skip
    states = [(i, variables[i], *(s[i] for s in slots)) for i in large]
    texts = {"beta1": repr(beta_1), "beta2": repr(beta_2), "epsilon": repr(epsilon)}
    by_blocks = _AdamByBlocks(states, beta_1, beta_2, epsilon, saxpy) if saxpy and states else None

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
