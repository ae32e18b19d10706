"""Gradients, and a whole training step as one function."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from unidl_tensorflow._engine import pywrap_tfe
from unidl_tensorflow._engine import tensorflow as tf
from unidl_tensorflow.compiling import Compiled, compiling

Tensor = Any


def _dense(gradient: Any) -> Any:
    """Gathering gives a sparse gradient; optimizers and users get a tensor."""
    return tf.convert_to_tensor(gradient) if isinstance(gradient, tf.IndexedSlices) else gradient


def _differentiable(tensor: Tensor) -> bool:
    return tensor.dtype.is_floating or tensor.dtype.is_complex


def _also_stopped(differentiating: Callable[..., Any]) -> Callable[..., Any]:
    """Have it record inside of `no_grad`, too, which stops all of a thread's tapes, new ones as well.

    Its results are constants then, to the tapes around it.
    """

    def constant(value: Any) -> Any:
        return tf.stop_gradient(value) if tf.is_tensor(value) else value

    @functools.wraps(differentiating)
    def call(*args: Any) -> Any:
        if not pywrap_tfe.TFE_Py_TapeSetIsStopped():
            return differentiating(*args)
        pywrap_tfe.TFE_Py_TapeSetRestartOnThread()
        try:
            return tf.nest.map_structure(constant, differentiating(*args))
        finally:
            pywrap_tfe.TFE_Py_TapeSetStopOnThread()

    return call


@_also_stopped
def differentiate(
    fn: Callable[..., Any], tensors: Sequence[Tensor], variables: Sequence[Any]
) -> tuple[Any, list[Any], list[Any]]:
    wanted = [*tensors, *variables]
    floating = [t for t in wanted if _differentiable(t)]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(floating)
        compiling.tapes += 1
        try:
            loss, aux = fn(*tensors)
        finally:
            compiling.tapes -= 1
    found = iter(tape.gradient(loss, floating) if tf.is_tensor(loss) and floating else [None] * len(floating))
    gradients = [_dense(next(found)) if _differentiable(t) else None for t in wanted]
    return (loss, aux), gradients[: len(tensors)], gradients[len(tensors) :]


@_also_stopped
def jvp(
    fn: Callable[..., Sequence[Tensor]], primals: Sequence[Tensor], tangents: Sequence[Tensor]
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """Forward mode."""
    points = [tf.convert_to_tensor(p) for p in primals]
    with tf.autodiff.ForwardAccumulator(points, [tf.convert_to_tensor(t) for t in tangents]) as accumulator:
        outputs = list(fn(*points))
    found = [accumulator.jvp(o) if _differentiable(o) else None for o in outputs]
    return outputs, [tf.zeros_like(o) if d is None else d for o, d in zip(outputs, found, strict=True)]


def custom_gradient(fn: Callable[..., Any]) -> Callable[..., Any]:
    """`tf.custom_gradient`; variables that `fn` reads get no gradient, as it gives none for them."""

    @tf.custom_gradient
    def call(*tensors: Tensor) -> Any:
        outputs, gradient = fn(*tensors)

        def backward(*upstream: Tensor, variables: Any = None) -> Any:
            found = gradient(*upstream)
            return found if variables is None else (found, [None] * len(variables))

        return outputs, backward

    return call


def train_step(
    forward: Callable[..., tuple[Any, ...]],
    variables: Sequence[Any],
    apply: Callable[[list[Any]], None],
    *,
    jit: bool = False,
) -> Callable[..., tuple[Any, ...]]:
    """Forward pass, gradients and update as one compiled function.

    They run one by one if `forward` could not be compiled, because a layer in it has Python code that asks for values.
    """
    watched = list(variables)
    plain = forward.plain if isinstance(forward, Compiled) else forward

    def step(*inputs: Tensor) -> tuple[Any, ...]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(watched)
            outputs = plain(*inputs)
        apply([_dense(g) for g in tape.gradient(outputs[0], watched)])
        return outputs

    if isinstance(forward, Compiled):
        return Compiled(step, forward.signature, jit=jit)
    return step
