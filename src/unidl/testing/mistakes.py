"""Arguments that do not fit: what recording refuses eager calls must refuse in the same words, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from unidl.backend import active
from unidl.dtypes import ALL, result_dtype
from unidl.errors import OpError, UntraceableError
from unidl.graph.symbolic import TensorSpec
from unidl.ops._bind import numpy_dtype
from unidl.ops._declare import TABLE, Op
from unidl.testing.checks import described, fits, message
from unidl.testing.draw import CASES, Case, Draw
from unidl.testing.oracle import arrays, flat, record, with_arrays

Arguments = tuple[Any, ...]


def outcome(op: Op, arguments: Arguments, recorded: bool) -> list[TensorSpec] | str:
    """What an op makes of arguments: the specs of its results, or the text of its error.

    Anything but an `OpError` is an error of the op's own, or the engine's, and passes through.
    """
    try:
        if recorded:
            return [TensorSpec(o.shape, o.dtype) for o in record(op.public, arguments).outputs]
        tensors = [active.to_tensor(x) for x in arrays(arguments)]
        results = flat(op.public(*with_arrays(arguments, iter(tensors))))
        return [TensorSpec(tuple(active.shape(t)), active.dtype(t)) for t in results]
    except OpError as error:
        return str(error)


def check_same_outcome(op: Op, arguments: Arguments) -> list[TensorSpec] | str:
    """Recording and an eager call agree on whether the arguments fit, and why not."""
    try:
        wanted = outcome(op, arguments, recorded=True)
    except UntraceableError:  # only an eager call can tell
        return outcome(op, arguments, recorded=False)
    try:
        got = outcome(op, arguments, recorded=False)
    except Exception as error:
        if CASES[op.name].partial and not isinstance(wanted, str):
            return wanted
        verdict = f"refuses them: {wanted}" if isinstance(wanted, str) else f"promises {wanted}"
        raise AssertionError(f"the engine's own {type(error).__name__}: {error}\nRecording {verdict}") from error
    if isinstance(wanted, str) or isinstance(got, str):
        assert wanted == got, f"recording and an eager call differ:\n  {wanted}\n  {got}"
        assert f"ops.{op.name}(" in str(wanted), f"the error does not name the op: {wanted}"
        return wanted
    assert len(wanted) == len(got), f"{len(got)} outputs, recorded were {len(wanted)}"
    for spec, real in zip(wanted, got, strict=True):
        assert spec.dtype == real.dtype and fits(spec, real.shape), f"recorded as {spec}, but it is {real}"
    return wanted


def mutations(op: Op, arguments: Arguments) -> Iterator[Arguments]:
    """Variations of good arguments, one thing changed in each: most of them do not fit."""
    for place, (name, value) in enumerate(zip(op.parameters, arguments, strict=False)):

        def instead(other: Any, place: int = place) -> Arguments:
            return (*arguments[:place], other, *arguments[place + 1 :])

        if name in op.tensor_parameters:
            for changed in _tensors(value):
                yield instead(changed)
        elif name in ("axis", "axes", "axis1", "axis2"):
            for axis in (7, -8, "one", 0.5):
                yield instead(axis)
        elif isinstance(value, str):
            yield instead("no such thing")
        elif isinstance(value, bool):
            continue
        elif isinstance(value, int):
            yield instead("three")
        elif type(value) is tuple and value and all(type(v) is int for v in value):
            yield instead((*value, 1))
            yield instead(value[1:])


def _tensors(value: Any) -> Iterator[Any]:
    if isinstance(value, np.ndarray):
        yield value[None]
        if value.ndim and value.size:
            yield value.reshape(-1)[:1].reshape(())
            for axis in range(value.ndim):
                yield np.concatenate([value, value.take([-1], axis)], axis)
        for dtype in ("bool", "int32", "float32"):
            if value.dtype.name != dtype:
                yield value.astype(dtype)
        yield None
        yield "a string"
    elif isinstance(value, (list, tuple)) and value:
        for changed in _tensors(value[0]):
            yield type(value)([changed, *value[1:]])
        yield type(value)()


def check_errors(name: str, case: Case, r: Draw, arguments: Arguments) -> None:
    """Arguments with one thing changed: errors of the op's own, the same when recording and not."""
    op = TABLE[name]
    with message(op, arguments):
        complete = complete_arguments(op, arguments)
        for changed in mutations(op, complete):
            try:
                check_same_outcome(op, changed)
            except Exception as error:
                raise AssertionError(f"changed to {described(op, changed)}: {error}") from error


def complete_arguments(op: Op, arguments: Arguments) -> Arguments:
    """`arguments` with the declared defaults of those that were left out."""
    left = [p.default for p in list(op.signature.parameters.values())[len(arguments) :]]
    return (*arguments, *left)


#: What became of each dtype: (op, dtype) to whether the rules accept it. `kit_report` writes it.
ACCEPTED: dict[tuple[str, str], bool] = {}


def check_dtypes(name: str, case: Case, r: Draw, arguments: Arguments) -> None:
    """The op in every dtype that the engine has: refused by its rule, or results of the promised dtype and shape.

    64-bit unsigned integers are left out: engines have them for storage, with few kernels.
    """
    op = TABLE[name]
    found = list(arrays(arguments))
    main = {x.dtype.name for x in found if x.dtype.name == r.dtype}
    for dtype in ALL:
        if dtype not in active.dtypes or dtype == "uint64" or not main:
            continue
        cast = [x.astype(numpy_dtype(dtype)) if x.dtype.name in main else x for x in found]
        changed = with_arrays(arguments, iter(cast))
        with message(op, changed):
            result = check_same_outcome(op, changed)
        ACCEPTED[name, dtype] = ACCEPTED.get((name, dtype), False) or not isinstance(result, str)


def check_promotion(name: str, case: Case, r: Draw, arguments: Arguments) -> None:
    """Arguments of different dtypes: the results of the promoted dtype, as recorded.

    Dtypes that meet in one which the engine lacks are left out.
    """
    op = TABLE[name]
    known = [d for d in active.dtypes if d != "uint64" and not d.startswith("complex")]
    cast, promoted = [], []
    for parameter, value in zip(op.parameters, arguments, strict=False):
        for x in arrays(value):
            mixed = parameter in op.promote and x.dtype.name == r.dtype
            cast.append(x.astype(numpy_dtype(known[r.die(len(known))])) if mixed else x)
            promoted += [cast[-1].dtype.name] if parameter in op.promote else []
    if promoted and result_dtype(*promoted) not in active.dtypes:
        return
    changed = with_arrays(arguments, iter(cast))
    with message(op, changed):
        check_same_outcome(op, changed)


__all__ = ["ACCEPTED", "check_dtypes", "check_errors", "check_promotion"]
