"""What is checked of one example of one op on the active backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from unidl.backend import active
from unidl.dtypes import FLOATS
from unidl.errors import OpError, UntraceableError, describe
from unidl.graph.replay import replay
from unidl.graph.symbolic import TensorSpec
from unidl.ops._declare import TABLE, Op
from unidl.testing import TOLERANCES, assert_close
from unidl.testing.draw import Case, Draw, Tolerance
from unidl.testing.oracle import arrays, directional, evaluate, flat, record, with_arrays


def described(op: Op, arguments: tuple[Any, ...]) -> str:
    """An example as messages show it."""
    return f"{op.name}({', '.join(f'{n}={describe(v)}' for n, v in zip(op.parameters, arguments, strict=False))})"


def native(r: Draw, x: np.ndarray) -> Any:
    """A native tensor with the values of `x`, in one of four cases not contiguous in memory."""
    from unidl import ops

    layout = r.die(4) if x.ndim else 0
    if layout == 1:
        return ops.transpose(active.to_tensor(np.ascontiguousarray(x.T)))
    if layout == 2:
        return active.to_tensor(np.repeat(x, 2, -1)[..., ::2])
    if layout == 3:
        wide = np.repeat(x, 2, 0)
        return ops.getitem(active.to_tensor(wide), slice(None, None, 2))
    return active.to_tensor(x)


def compare(actual: list[Any], specs: list[TensorSpec], expected: list[np.ndarray], tolerance: Tolerance) -> None:
    """Check number, dtypes, shapes and values of an op's outputs."""
    assert len(actual) == len(specs) == len(expected), f"{len(actual)} outputs instead of {len(specs)}"
    for i, (tensor, spec, value) in enumerate(zip(actual, specs, expected, strict=True)):
        assert active.is_tensor(tensor), f"output {i} is a {type(tensor).__name__}, no native tensor"
        got = active.to_numpy(tensor)
        assert active.dtype(tensor) == spec.dtype == got.dtype.name, (
            f"output {i} is {active.dtype(tensor)}, not {spec.dtype}"
        )
        # Where the size depends on values it is unknown in the recording.
        assert fits(spec, tuple(got.shape)), f"output {i} has shape {got.shape}, recorded was {spec.shape}"
        assert value.dtype.name == spec.dtype and value.shape == got.shape, f"the oracle gives {describe(value)}"
        close(got, value, tolerance, f"output {i}")


def close(got: np.ndarray, want: np.ndarray, tolerance: Tolerance, what: str) -> None:
    rtol, atol = (t * tolerance.factor for t in TOLERANCES.get(want.dtype.name, (0.0, 0.0)))
    if tolerance.scaled and want.dtype.kind not in "biu":
        size = np.abs(want if want.dtype.kind == "c" else want.astype("float64"))
        size = size[np.isfinite(size)]
        atol = max(atol, rtol * float(size.max(initial=0.0)))
    assert_close(got, want, rtol, atol, what)


def unknown_shapes(r: Draw, op: Op, case: Case, arguments: tuple[Any, ...]) -> list[tuple[int | None, ...]]:
    """The shapes of all arrays, some dimensions of those that may be unknown replaced by None."""
    shapes: list[tuple[int | None, ...]] = []
    for name, value in zip(op.parameters, arguments, strict=False):
        free = name in op.tensor_parameters and (case.unknown is None or name in case.unknown)
        for x in arrays(value):
            shapes.append(tuple(None if free and r.die(3) == 0 else d for d in x.shape))
    return shapes


def fits(spec: TensorSpec, shape: tuple[int | None, ...]) -> bool:
    return len(spec.shape) == len(shape) and all(a in (None, b) for a, b in zip(spec.shape, shape, strict=True))


def judged(op: Op, case: Case) -> Callable[..., Any]:
    """The function that is compared: the op's own, or what `Case.unique` makes of it (dtypes and shapes stay in)."""
    unique = case.unique
    if unique is None:
        return op.public

    def function(*arguments: Any) -> Any:
        from unidl import ops

        outputs = op.public(*arguments)
        return [*flat(unique(arguments, outputs)), *(ops.zeros_like(output) for output in flat(outputs))]

    return function


def check_values(name: str, case: Case, r: Draw, arguments: tuple[Any, ...]) -> None:
    """Eager, recorded and replayed results agree with the oracle, with each other and with the rule."""
    op = TABLE[name]
    function = judged(op, case)
    with message(op, arguments):
        tensors = [native(r, x) for x in arrays(arguments)]
        result = flat(function(*with_arrays(arguments, iter(tensors))))
        if case.check is not None:
            graph = record(function, arguments)
            expected = [active.to_numpy(t) for t in result]
            compare(result, [TensorSpec(o.shape, o.dtype) for o in graph.outputs], expected, case.tolerance)
            case.check(arguments, expected)
            return
        specs, expected = evaluate(function, arguments)
        compare(result, specs, expected, case.tolerance)
        if r.die(4) == 0:  # arrays are converted
            compare(flat(function(*arguments)), specs, expected, case.tolerance)
        shapes = unknown_shapes(r, op, case, arguments)
        try:
            graph = record(function, arguments, shapes)
        except (OpError, UntraceableError) as error:
            if not (case.refuses and "known" in str(error)):
                raise
            return
        for output, value in zip(graph.outputs, expected, strict=True):
            spec = TensorSpec(output.shape, output.dtype)
            assert spec.dtype == value.dtype.name and fits(spec, value.shape), (
                f"recorded with {shapes} as {spec}, but it is {describe(value)}"
            )
        compare(list(replay(graph, active)(*tensors)), specs, expected, case.tolerance)


def check_executable(name: str, case: Case, r: Draw, arguments: tuple[Any, ...]) -> None:
    """The engine's own compiled form of the op's graph gives the same."""
    op = TABLE[name]
    function = judged(op, case)
    with message(op, arguments):
        specs, expected = evaluate(function, arguments)
        tensors = [active.to_tensor(x) for x in arrays(arguments)]
        run = active.executable(record(function, arguments))
        for _ in range(2):
            compare(list(run(*tensors)), specs, expected, case.tolerance)


def check_gradient(name: str, case: Case, r: Draw, arguments: tuple[Any, ...]) -> None:
    """The engine's derivative along a random direction is that of the oracle, by finite differences."""
    op = TABLE[name]
    function = judged(op, case)
    wanted = [
        parameter in case.gradient and x.dtype.name in FLOATS
        for parameter, value in zip(op.parameters, arguments, strict=False)
        for x in arrays(value)
    ]
    found = list(arrays(arguments))
    _, outputs = evaluate(function, arguments)
    counted = [o.dtype.name in FLOATS for o in outputs[: case.differentiated]]
    counted += [False] * (len(outputs) - len(counted))
    weights = [r.numbers.uniform(0.5, 2, o.shape) if c else None for o, c in zip(outputs, counted, strict=True)]

    def loss(*values: Any) -> Any:
        from unidl import ops
        from unidl.ops._bind import dtype_of

        total: Any = None
        for output, weight in zip(flat(function(*values)), weights, strict=True):
            if weight is not None:
                part = ops.sum(ops.multiply(output, weight.astype(dtype_of(output))))
                total = part if total is None else ops.add(total, part)
        return total

    def of_tensors(*tensors: Any) -> Any:
        given = iter(tensors)
        everything = [next(given) if w else active.to_tensor(x) for x, w in zip(found, wanted, strict=True)]
        return loss(*with_arrays(arguments, iter(everything))), None

    directions = [r.numbers.uniform(-1, 1, x.shape) if w else None for x, w in zip(found, wanted, strict=True)]
    with message(op, arguments):
        inputs = [native(r, x) for x, w in zip(found, wanted, strict=True) if w]
        _, gradients, _ = active.differentiate(of_tensors, inputs, [])
        actual = size = 0.0
        for tensor, gradient, direction in zip(
            inputs, gradients, [d for d in directions if d is not None], strict=True
        ):
            if gradient is None:
                continue
            assert active.dtype(gradient) == active.dtype(tensor), f"gradient of dtype {active.dtype(gradient)}"
            array = active.to_numpy(gradient)
            assert array.shape == direction.shape, f"gradient of shape {array.shape} for an input of {direction.shape}"
            product = array.astype("float64") * direction
            actual, size = actual + float(product.sum()), size + float(np.abs(product).sum())
        expected = directional(loss, arguments, directions)
        bound = 2e-4 * case.gradient_tolerance * (size + abs(expected)) + 2e-5 * case.gradient_tolerance
        assert abs(actual - expected) <= bound, f"derivative {actual:.7g} instead of {expected:.7g} (± {bound:.2g})"


class message:
    """Puts the example in front of what goes wrong in a `with` block."""

    def __init__(self, op: Op, arguments: tuple[Any, ...]) -> None:
        self.op = op
        self.arguments = arguments

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, Exception):
            text = f"{described(self.op, self.arguments)} on {active.name}: {error}"
            raise AssertionError(text) from error


#: What is called for each example: the op, its case, what made the example, and the op's arguments.
Check = Callable[[str, Case, Draw, tuple[Any, ...]], None]
