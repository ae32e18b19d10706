"""Control flow: Python's own on values, TensorFlow's inside a `tf.function`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from unidl.backend.control import Function, control_table
from unidl_tensorflow._engine import tensorflow as tf
from unidl_tensorflow.dtypes import DTYPES


def graph_table(backend: Any) -> dict[str, Callable[..., Any]]:
    """The control primitives by name: each chooses by whether a function is being traced."""
    eager = control_table(backend)

    def branch(index: Any, bodies: Sequence[Function], operands: Sequence[Any]) -> tuple[Any, ...]:
        if tf.executing_eagerly():
            return eager["branch"](index, bodies, operands)
        place = tf.clip_by_value(index, 0, len(bodies) - 1)
        return tuple(tf.switch_case(place, [lambda b=b: tuple(b(*operands)) for b in bodies]))

    def loop(
        condition: Function, body: Function, values: Sequence[Any], operands: Sequence[Any], maximum: int | None
    ) -> tuple[Any, ...]:
        if tf.executing_eagerly():
            return eager["loop"](condition, body, values, operands, maximum)
        return tuple(
            tf.while_loop(
                lambda *v: condition(*v, *operands)[0],
                lambda *v: tuple(body(*v, *operands)),
                [tf.convert_to_tensor(v) for v in values],
                shape_invariants=_invariants(body, values),
                maximum_iterations=maximum,
            )
        )

    def steps(
        body: Any, carry: Sequence[Any], xs: Sequence[Any], operands: Sequence[Any], length: Any, reverse: bool
    ) -> tuple[Any, ...]:
        if tf.executing_eagerly():
            return eager["steps"](body, carry, xs, operands, length, reverse)
        size, count, specs = tf.shape(xs[0])[0] if xs else length, len(carry), body.specs
        start = [tf.convert_to_tensor(v) for v in carry]
        inputs = [tf.TensorArray(x.dtype, size=size, element_shape=x.shape[1:]).unstack(x) for x in xs]
        outputs = [tf.TensorArray(DTYPES[s.dtype], size=size, element_shape=s.shape) for s in specs[count:]]

        def step(i: Any, *values: Any) -> tuple[Any, ...]:
            place = size - 1 - i if reverse else i
            results = body(*values[:count], *(x.read(place) for x in inputs), *operands)
            written = [o.write(place, y) for o, y in zip(values[count:], results[count:], strict=True)]
            return (i + 1, *results[:count], *written)

        invariants = [tf.TensorShape([]), *_invariants(body, start), *(tf.TensorShape(None) for _ in outputs)]
        _, *results = tf.while_loop(
            lambda i, *_: i < size,
            step,
            [tf.constant(0), *start, *outputs],
            shape_invariants=invariants,
            maximum_iterations=size,  # XLA needs it for gradients
        )
        return (*results[:count], *(y.stack() for y in results[count:]))

    return {
        "branch": branch,
        "loop": loop,
        "steps": steps,
        "with_gradient": eager["with_gradient"],
        "recomputed": eager["recomputed"],
    }


def _invariants(body: Any, values: Sequence[Any]) -> list[Any]:
    """The shapes that `values` have in every round; a function that was not recorded keeps those they have."""
    specs = getattr(body, "takes", values)
    return [tf.TensorShape(s.shape) for s in specs[: len(values)]]
