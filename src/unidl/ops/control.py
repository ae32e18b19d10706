"""Control flow on values: branches, loops, scans, and gradients given by hand.

Called on values these functions run Python's own control flow where the engine allows it. While recording, the given
functions become graphs inside one node, so that the choice is made anew at each run.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from unidl import ops, tree
from unidl._state import state
from unidl.backend import active
from unidl.errors import GraphError, OpError
from unidl.graph.bodies import Body, all_captured, merged_specs, placeholders
from unidl.graph.symbolic import SymbolicTensor, TensorSpec, symbols
from unidl.ops._bind import as_symbol, dtype_of
from unidl.ops._convert import convert_to_tensor
from unidl.ops._structured import branch, loop, steps


def _recording(*values: Any) -> bool:
    """Whether what is done with `values` is recorded."""
    if state.trace is not None:
        return True
    return any(type(v) is SymbolicTensor for structure in values for v in tree.flatten(structure))


class _Eager:
    """A function of values as the control primitives call it: any number of tensors in, a list of them out.

    Attributes:
        ran: whether it was called.
        structure: what it returned when it was called last.
    """

    def __init__(self, function: Callable[..., Any], given: Sequence[TensorSpec] = ()) -> None:
        self.function = function
        self.given = given
        self.ran = False
        self.structure: Any = None

    def __call__(self, *values: Any) -> list[Any]:
        self.ran, self.structure = True, self.function(*values)
        return [convert_to_tensor(v) for v in _leaves(self.structure)]

    def pack(self, values: Sequence[Any]) -> Any:
        return _packed(self.structure, values)

    @property
    def specs(self) -> list[TensorSpec]:
        """What the function returns for arguments of the specs `given`, found without a value."""
        arguments = placeholders(self.given)
        body = Body(self.function, tuple(arguments), arguments).run()
        self.structure = body.structure
        return [TensorSpec(t.shape, t.dtype) for t in body.outputs]


def _packed(structure: Any, values: Sequence[Any]) -> Any:
    """`structure` with its leaves, Nones aside, replaced by `values`."""
    given = iter(values)
    return tree.map_structure(lambda leaf: None if leaf is None else next(given), structure)


def _leaves(structure: Any) -> list[Any]:
    return [v for v in tree.flatten(structure) if v is not None]


# -- branches --------------------------------------------------------------------------------------


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """``true_fn()`` if `pred` holds, otherwise ``false_fn()``.

    Args:
        pred: a bool, or a tensor that holds one.
        true_fn, false_fn: called without arguments. While recording both are recorded, and must return tensors of the
            same number, ranks and dtypes; one of them runs.

    Raises:
        OpError: if `pred` holds more than one element, or the results do not match.

    Example:
        >>> from unidl import ops
        >>> x = ops.array(3.0)
        >>> print(ops.convert_to_numpy(ops.cond(x > 2, lambda: x * 10, lambda: x)))
        30.0
    """
    if isinstance(pred, bool):
        return true_fn() if pred else false_fn()
    if tuple(ops.shape(pred)) != ():
        raise OpError(f"ops.cond: `pred` has shape {list(ops.shape(pred))}; one bool is expected.")
    return _branched("cond", ops.cast(ops.cast(pred, "bool"), "int32"), [false_fn, true_fn])


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """``branches[index](*operands)``; an index outside is the nearest one inside.

    Args:
        index: an int, or a 0-d integer tensor.
        branches: functions of the operands whose results match as those of `cond`.

    Example:
        >>> from unidl import ops
        >>> double, negate = lambda x: x * 2, lambda x: -x
        >>> print(ops.convert_to_numpy(ops.switch(1, [double, negate], ops.array(3.0))))
        -3.0
    """
    if not branches:
        raise OpError("ops.switch: `branches` is empty.")
    index = ops.cast(ops.convert_to_tensor(index), "int32")
    return _branched("switch", index, [functools.partial(f, *operands) for f in branches])


def _branched(name: str, index: Any, functions: list[Callable[[], Any]]) -> Any:
    if not _recording(index):
        eager = [_Eager(f) for f in functions]
        values = active.table["branch"](index, eager, [])
        return next(e for e in eager if e.ran).pack(values)
    bodies = [Body(f, (), ()).run() for f in functions]
    for other in bodies[1:]:
        if len(other.outputs) != len(bodies[0].outputs):
            raise OpError(
                f"ops.{name}: one branch returns {len(bodies[0].outputs)} tensors, another {len(other.outputs)}."
            )
    variables = {key: v for body in bodies for key, v in body.assigned().items()}
    if variables and state.trace is None:
        raise GraphError(f"ops.{name}: a variable is assigned in a branch, outside of any layer or function.")
    for body in bodies:
        body.outputs += [body.value_of(v) for v in variables.values()]
    captured = all_captured(bodies)
    results = branch(index, tuple(b.graph(captured) for b in bodies), captured)
    return bodies[0].pack(_assigned(variables, results))


def _assigned(variables: dict[int, Any], results: Sequence[Any]) -> Sequence[Any]:
    """Note what `variables` hold now, the last of `results`; the other results."""
    if not variables:
        return results
    assert state.trace is not None
    for variable, value in zip(variables.values(), results[-len(variables) :], strict=True):
        state.trace.assign(variable, value)
    return results[: -len(variables)]


# -- loops -----------------------------------------------------------------------------------------


def while_loop(
    cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Any, maximum_iterations: int | None = None
) -> Any:
    """``while cond(*loop_vars): loop_vars = body(*loop_vars)``.

    Args:
        cond: returns a bool.
        body: returns new values for the variables: the same number, dtypes and ranks.
        loop_vars: a tuple or list of tensors (or structures of them), or a single one.
        maximum_iterations: where to stop at the latest; None: nowhere.

    Example:
        >>> from unidl import ops
        >>> i, total = ops.while_loop(lambda i, t: i < 4, lambda i, t: (i + 1, t + i), (0, 0))
        >>> print(ops.convert_to_numpy(total))
        6
    """
    single = not isinstance(loop_vars, (tuple, list))
    given = (loop_vars,) if single else loop_vars
    flat = _leaves(given)

    def function(*values: Any) -> Any:
        result = body(*values)
        if (count := len(_leaves(result))) != len(flat):
            raise OpError(f"ops.while_loop: `body` returns {count} tensors for {len(flat)} loop variables.")
        return result

    if not _recording(flat):
        step, test = (_Eager(lambda *v, f=f: f(*_packed(given, v))) for f in (function, cond))
        values = active.table["loop"](test, step, [convert_to_tensor(v) for v in flat], [], maximum_iterations)
    else:
        values = _recorded_loop(cond, function, given, [as_symbol(v) for v in flat], maximum_iterations)
    result = _packed(given, values)
    return result[0] if single else result


def _recorded_loop(
    condition: Callable[..., Any],
    body: Callable[..., Any],
    given: Any,
    start: list[SymbolicTensor],
    maximum: int | None,
) -> Sequence[Any]:
    inside, variables = _settled(body, lambda values: tuple(_packed(given, values)), start)
    count, specs = len(start), inside.arguments
    tested = placeholders(specs)
    test = Body(condition, tuple(_packed(given, tested[:count])), tested)
    _hold(test, variables, tested[count:])
    test.run()
    if len(test.outputs) != 1 or tuple(test.outputs[0].shape) != ():
        raise OpError("ops.while_loop: `cond` must return one bool.")
    captured = all_captured([test, inside])
    values = [*start, *_held(variables)]
    return _assigned(variables, loop(test.graph(captured), inside.graph(captured), values, captured, maximum))


def _settled(
    function: Callable[..., Any], arguments: Callable[[Sequence[Any]], tuple[Any, ...]], start: Sequence[Any],
    also: Sequence[Any] = (),
) -> tuple[Body, dict[int, Any]]:  # fmt: skip
    """Record the body of a loop over the values `start`, with shapes that hold for every round.

    Variables that the body assigns become further values of the loop. The function is recorded again until neither
    their set nor the shapes change.

    Args:
        arguments: the function's arguments, from a list of values (and of `also`, which is no part of the loop).

    Returns:
        The recording, whose first outputs are the next values, and the variables by id.
    """
    specs: list[TensorSpec] = [TensorSpec(t.shape, t.dtype) for t in start]
    variables: dict[int, Any] = {}
    while True:
        values, held = placeholders(specs), placeholders(TensorSpec(v.shape, v.dtype) for v in _held(variables))
        rest = placeholders(also)
        body = Body(function, arguments([*values, *rest]), [*values, *held, *rest])
        _hold(body, variables, held)
        body.run()
        found = {**variables, **body.assigned()}
        body.outputs[len(start) : len(start)] = [body.value_of(v) for v in found.values()]
        after = merged_specs(specs, body.outputs[: len(start)], "the loop's variables")
        if len(found) == len(variables) and after == specs:
            return body, variables
        if found and state.trace is None:
            raise GraphError("A variable is assigned in a loop outside of any layer or function.")
        variables, specs = found, after


def _held(variables: dict[int, Any]) -> list[SymbolicTensor]:
    """The symbolic values of `variables` before the loop."""
    return [state.trace.leaf(v) for v in variables.values()] if state.trace is not None else []


def _hold(body: Body, variables: dict[int, Any], values: Sequence[SymbolicTensor]) -> None:
    """Have `variables` hold `values` where `body` starts."""
    for variable, value in zip(variables.values(), values, strict=True):
        body.trace.assign(variable, value)


def fori_loop(lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init_val: Any) -> Any:
    """``for i in range(lower, upper): val = body_fun(i, val)``, from ``val = init_val``; the last `val`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.fori_loop(1, 4, lambda i, total: total + i, 0)))
        6
    """
    return while_loop(lambda i, _: i < upper, lambda i, value: (i + 1, body_fun(i, value)), (lower, init_val))[1]


# -- scans -----------------------------------------------------------------------------------------


def scan(
    f: Callable[[Any, Any], Any], init: Any, xs: Any = None, length: Any = None, reverse: bool = False, unroll: Any = 1
) -> tuple[Any, Any]:
    """Carry a value along the first axis: ``carry, y = f(carry, x)`` for each x in `xs`.

    Args:
        f: a function of the carry and one slice of `xs`; it returns the next carry and an output (or None).
        init: the first carry, a tensor or a structure of them.
        xs: a tensor or a structure of them whose first axes are equally long; None: there are `length` steps without.
        length: how many steps; needed if `xs` is None.
        reverse: go from the last slice to the first. The outputs stay at the places of their slices.
        unroll: accepted for compatibility: engines decide.

    Returns:
        The last carry, and the outputs stacked along a new first axis.

    Raises:
        OpError: if lengths differ or are missing, or the carry changes its dtype or rank.

    Example:
        >>> from unidl import ops
        >>> last, sums = ops.scan(lambda total, x: (total + x, total + x), 0, ops.array([1, 2, 3]))
        >>> print(ops.convert_to_numpy(sums))
        [1 3 6]
    """
    if not callable(f):
        raise OpError(f"ops.scan: `f` must be a function, not {f!r}.")
    result = _scanned("scan", lambda carry, x: f(carry, x), init, xs, length, reverse)
    return result[0], result[1]


def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """``f`` of each slice of `xs` along the first axis, the results stacked along a new first axis.

    Args:
        f: a function of one slice: a tensor, or a structure of them as `xs` is.
        xs: a tensor or a structure of them whose first axes are equally long.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.map(lambda row: ops.sum(row), ops.array([[1, 2], [3, 4]]))))
        [3 7]
    """
    return _scanned("map", lambda carry, x: ((), f(x)), (), xs, None, False)[1]


def _scanned(name: str, f: Callable[[Any, Any], Any], init: Any, xs: Any, length: Any, reverse: bool) -> Any:
    carry, slices = _leaves(init), _leaves(xs)
    for x in slices:
        size = ops.shape(x)[:1]
        if not size:
            raise OpError(f"ops.{name}: `xs` must have a first axis to go along; a 0-d tensor came.")
        if isinstance(size[0], int):
            if isinstance(length, int) and length != size[0]:
                raise OpError(f"ops.{name}: `xs` has {size[0]} slices where {length} are expected.")
            length = size[0]
    if length is None:
        if not slices:
            raise OpError(f"ops.{name}: without `xs` the number of steps is needed: pass `length`.")
        length = ops.shape(slices[0])[0]
    recorded = _recording(carry, slices) or next(symbols(length), None) is not None
    convert = as_symbol if recorded else convert_to_tensor
    carry, slices = [convert(v) for v in carry], [convert(v) for v in slices]

    def arguments(values: Sequence[Any]) -> tuple[Any, Any]:
        return _packed(init, values[: len(carry)]), _packed(xs, values[len(carry) :])

    if not recorded:
        eager = _Eager(lambda *v: f(*arguments(v)), _slice_specs(carry, slices))
        values: Any = active.table["steps"](eager, carry, slices, [], length, reverse)
        return eager.pack(values)
    rows = [TensorSpec(x.shape[1:], x.dtype) for x in slices]
    inside, variables = _settled(f, arguments, carry, rows)
    captured = all_captured([inside])
    values = steps(inside.graph(captured), [*carry, *_held(variables)], slices, captured, length, reverse)
    rest = values[len(carry) + len(variables) :]
    _assigned(variables, values[: len(carry) + len(variables)])
    return inside.pack([*values[: len(carry)], *rest])


def _slice_specs(carry: Sequence[Any], slices: Sequence[Any]) -> list[TensorSpec]:
    """The specs of the carry and of one slice of each tensor."""
    return [
        *(TensorSpec(tuple(active.shape(v)), dtype_of(v)) for v in carry),
        *(TensorSpec(tuple(active.shape(v))[1:], dtype_of(v)) for v in slices),
    ]


def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """`map`, on all slices at once where the engine can (`torch.vmap`, `tf.vectorized_map`).

    Args:
        function: a function of one slice, without side effects.
        elements: a tensor or a structure of them whose first axes are equally long.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.vectorized_map(lambda x: x * x, ops.array([1, 2, 3]))))
        [1 4 9]
    """
    flat = _leaves(elements)
    if not flat or _recording(flat):
        return map(function, elements)
    tensors = [convert_to_tensor(v) for v in flat]
    eager = _Eager(lambda *v: function(_packed(elements, v)))
    values = active.vectorized(eager, tensors)
    return map(function, elements) if values is None else eager.pack(values)


def associative_scan(f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """All the running results of an associative function, in a logarithmic number of steps.

    Blelloch, "Prefix Sums and Their Applications", 1990: pairs are combined, the half as long sequence is scanned, and
    what lies between is combined once more.

    Args:
        f: takes two structures like `elems`, of any equal length along `axis`, and combines them element by element.
        elems: a tensor or a structure of them, equally long along `axis`; the length must be known.
        reverse: run from the end.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.associative_scan(ops.add, ops.array([1, 2, 3, 4]))))
        [ 1  3  6 10]
    """
    flat = [convert_to_tensor(v) for v in _leaves(elems)]
    if not flat:
        raise OpError("ops.associative_scan: `elems` holds no tensor.")
    sizes = {ops.shape(v)[axis] for v in flat}
    if len(sizes) != 1 or not all(isinstance(n, int) for n in sizes):
        raise OpError(f"ops.associative_scan: lengths along axis {axis} must be equal and known, not {sizes}.")
    axes = [axis % len(ops.shape(v)) for v in flat]

    def part(tensors: Sequence[Any], key: slice) -> list[Any]:
        return [ops.getitem(v, (slice(None),) * a + (key,)) for v, a in zip(tensors, axes, strict=True)]

    def combined(a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
        return _leaves(f(_packed(elems, a), _packed(elems, b)))

    def length(tensors: Sequence[Any]) -> int:
        return ops.shape(tensors[0])[axes[0]]

    def scanned(tensors: Sequence[Any]) -> list[Any]:
        n = length(tensors)
        if n < 2:
            return list(tensors)
        pairs = combined(part(tensors, slice(0, n - 1, 2)), part(tensors, slice(1, n, 2)))
        odd = scanned(pairs)
        before = part(odd, slice(0, -1)) if n % 2 == 0 else odd
        first = part(tensors, slice(0, 1))
        rest = combined(before, part(tensors, slice(2, n, 2))) if n > 2 else part(tensors, slice(0, 0))
        even = [ops.concatenate(p, a) for p, a in zip(zip(first, rest, strict=True), axes, strict=True)]
        return [_interleaved(e, o, a) for e, o, a in zip(even, odd, axes, strict=True)]

    if reverse:
        flat = [ops.flip(v, a) for v, a in zip(flat, axes, strict=True)]
    result = scanned(flat)
    if reverse:
        result = [ops.flip(v, a) for v, a in zip(result, axes, strict=True)]
    return _packed(elems, result)


def _interleaved(even: Any, odd: Any, axis: int) -> Any:
    """Elements of two tensors by turns along `axis`; `even` may have one more."""
    shape = list(ops.shape(odd))
    count = shape[axis]
    head = ops.getitem(even, (slice(None),) * axis + (slice(0, count),))
    shape[axis] = 2 * count
    mixed = ops.reshape(ops.stack([head, odd], axis + 1), tuple(shape))
    rest = ops.getitem(even, (slice(None),) * axis + (slice(count, None),))
    return ops.concatenate([mixed, rest], axis)


__all__ = ["associative_scan", "cond", "fori_loop", "map", "scan", "switch", "vectorized_map", "while_loop"]
