"""Gradients by mxnet's autograd."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from typing import Any

from unidl_mxnet._engine import mx
from unidl_mxnet._invoke import ARRAYS
from unidl_mxnet.tensors import _DIFFERENTIABLE, Variable, attach_gradient, mark

_LIB = mx.base._LIB
_Handle = mx.base.NDArrayHandle
_check = mx.base.check_call
_NULL = ctypes.c_void_p(0)
_failures: list[BaseException] = []


class _Own(threading.local):
    """Whether unidl itself is recording: gluon's "recording means training" does not hold then."""

    recording = False


own = _Own()


def backward(loss: Any) -> None:
    """Write the gradients by all marked arrays that `loss` was computed from to their buffers."""
    status = _LIB.MXAutogradBackwardEx(
        1, (ctypes.c_void_p * 1)(loss.handle), _NULL, 0, _NULL, ctypes.c_int(0), ctypes.c_int(0), ctypes.c_int(1),
        _NULL, _NULL,
    )  # fmt: skip
    _finish(status)


def _finish(status: int) -> None:
    if _failures:  # a gradient written in Python raised: that is the error to see
        failure = _failures.pop()
        _failures.clear()
        raise failure
    _check(status)


def differentiate(
    fn: Callable[..., Any], tensors: Sequence[Any], variables: Sequence[Any]
) -> tuple[Any, list[Any], list[Any]]:
    """See `Backend.differentiate`."""
    if mx.autograd.is_recording():
        return _nested(fn, tensors, variables)
    marked: list[Any] = []  # arrays with a gradient, in the order of tensors and variables; None without
    for tensor in tensors:
        if tensor.dtype in _DIFFERENTIABLE:
            marked.append(tensor.detach())
            attach_gradient(marked[-1])
        else:
            marked.append(None)
    inputs = [t if m is None else m for t, m in zip(tensors, marked, strict=True)]
    marked += [v if v.dtype in _DIFFERENTIABLE else None for v in variables]
    borrowed = [v for v in marked[len(tensors) :] if v is not None and getattr(v, "gradient", None) is None]
    buffers = {id(v): attach_gradient(v) for v in borrowed}
    try:
        for array in marked:
            if array is not None:
                array._fresh_grad = False
        own.recording = True
        with mx.autograd.record():
            loss, aux = fn(*inputs)
        if on_tape(loss):
            backward(loss)
        found = [ARRAYS._np_copy(a.grad) if a is not None and a._fresh_grad else None for a in marked]
    finally:
        own.recording = False
        for array in borrowed:
            mark(array, buffers[id(array)], 0)
    return (loss.detach() if _is_array(loss) else loss, aux), found[: len(tensors)], found[len(tensors) :]


def _is_array(value: Any) -> bool:
    return isinstance(value, mx.np.ndarray)


def on_tape(loss: Any) -> bool:
    """Whether anything that led to `loss` was recorded."""
    symbol = mx.base.SymbolHandle()
    status = _LIB.MXAutogradGetSymbol(loss.handle, ctypes.byref(symbol))
    if status == 0:
        _LIB.NNSymbolFree(symbol)
    return status == 0


def _nested(fn: Callable[..., Any], tensors: Sequence[Any], variables: Sequence[Any]) -> Any:
    """Inside another differentiation: the gradients are recorded too, for the operators that allow it."""
    inputs = []
    for tensor in tensors:
        if tensor.dtype in _DIFFERENTIABLE and not on_tape(tensor):
            tensor = tensor.detach()
            attach_gradient(tensor)
        inputs.append(tensor)
    loss, aux = fn(*inputs)
    wanted = [*inputs, *variables]
    floating = [a for a in wanted if a.dtype in _DIFFERENTIABLE and on_tape(a)]
    found: dict[int, Any] = {}
    if floating and on_tape(loss):
        gradients = mx.autograd.grad([loss], floating, create_graph=True, retain_graph=True, train_mode=True)
        found = {id(a): g.as_np_ndarray() for a, g in zip(floating, gradients, strict=True)}
    gradients = [found.get(id(a)) for a in wanted]
    return (loss, aux), gradients[: len(inputs)], gradients[len(inputs) :]


# -- gradients written in Python -------------------------------------------------------------------

_BACKWARD = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_int),
    ctypes.c_int, ctypes.c_void_p,
)  # fmt: skip
_DELETE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
_PLAIN = ctypes.CFUNCTYPE(ctypes.c_int)
_alive: dict[int, Any] = {}
#: The request of the engine that a gradient be added to what is there (``kAddTo``).
_ADD = 3


def with_gradient(fn: Callable[..., Any], tensors: Sequence[Any]) -> Any:
    """Run ``fn(*tensors) -> (outputs, grad_fn)`` and record `grad_fn` as its backward pass.

    `mx.autograd.Function` would do, but stops at the first input that needs no gradient, and prints
    errors instead of raising them.
    """
    from unidl import tree

    recording = mx.autograd.is_recording()
    with mx.autograd.pause(train_mode=mx.autograd.is_training()):
        outputs, grad_fn = fn(*[t.detach() for t in tensors] if recording else tensors)
    flat = tree.flatten(outputs)
    if not recording:
        return outputs
    flat = [ARRAYS._np_copy(o) if any(o is t for t in tensors) or isinstance(o, Variable) else o.detach() for o in flat]
    _record(list(tensors), flat, grad_fn)
    return tree.pack_sequence_as(outputs, flat)


def _put_gradient(target: Any, gradient: Any, spec: tuple[Any, Any], add: bool) -> None:
    """Write a gradient (None: zeros) for an input of this shape and dtype into `target`, or add it.

    Raises:
        ValueError: if it has another shape.
    """
    shape, dtype = spec
    if gradient is None:
        gradient = ARRAYS.zeros_like(target)
    elif gradient.shape != shape:
        raise ValueError(f"a custom gradient has shape {gradient.shape}, its input has {shape}.")
    elif gradient.dtype != dtype:
        gradient = ARRAYS._npi_cast(gradient, dtype=str(dtype))
    if add:
        gradient = ARRAYS._npi_add(target, gradient)
    ARRAYS._copyto(gradient, out=(target,))


def _record(inputs: list[Any], outputs: list[Any], grad_fn: Callable[..., Any]) -> None:
    specs = [(t.shape, t.dtype) for t in inputs]

    def run(upstream_count: int, count: int, pointers: Any, requests: Any, training: int, _: Any) -> bool:
        try:
            arrays = [mx.np.ndarray(_Handle(pointers[i])) for i in range(upstream_count + count)]
            upstream, targets = arrays[:upstream_count], arrays[upstream_count:]
            with mx.autograd.pause(train_mode=True):
                results = grad_fn(*upstream)
                results = list(results) if isinstance(results, (tuple, list)) else [results]
                if len(results) != count:
                    raise ValueError(f"a custom gradient returned {len(results)} gradients for {count} inputs.")
                for target, result, request, spec in zip(targets, results, requests[:count], specs, strict=True):
                    if request:
                        _put_gradient(target, result, spec, add=request == _ADD)
        except BaseException as failure:  # the caller is C++: `_finish` raises it again
            _failures.append(failure)
            return False
        return True

    def delete(_: Any) -> bool:
        _alive.pop(key, None)
        return True

    callbacks = [_BACKWARD(run), _DELETE(delete)]
    plain = (_PLAIN * 2)(*[ctypes.cast(c, _PLAIN) for c in callbacks])
    context = mx.base.MXCallbackList(
        ctypes.c_int(2), ctypes.cast(plain, ctypes.POINTER(_PLAIN)),
        ctypes.cast((ctypes.c_void_p * 2)(None, None), ctypes.POINTER(ctypes.c_void_p)),
    )  # fmt: skip
    key = id(context)
    _alive[key] = (context, callbacks, plain)
    handles = mx.base.c_handle_array
    _check(
        _LIB.MXCustomFunctionRecord(
            ctypes.c_int(len(inputs)), handles(inputs), ctypes.c_int(len(outputs)), handles(outputs),
            ctypes.byref(context),
        )
    )  # fmt: skip
