"""If, Loop and Scan; sequences and optionals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unidl import ops
from unidl._state import state
from unidl.graph.symbolic import SymbolicTensor
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import operator
from unidl.interchange.onnx.importing._values import enter, is_host, rank_of, shape_of
from unidl.interchange.onnx.importing.cutting import split_parts


def _symbolic(value: Any) -> bool:
    return type(value) is SymbolicTensor and value.value is None


@operator("If", apart=True)
def _if(call: Call, condition: Any) -> Any:
    then, otherwise = call.body("then_branch"), call.body("else_branch")
    if not _symbolic(condition):
        return tuple((then if bool(call.number(condition, "the condition")) else otherwise)([]))
    results = ops.cond(
        ops.reshape(condition, ()), lambda: [_joined(v) for v in then([])], lambda: [_joined(v) for v in otherwise([])]
    )
    return tuple(results)


def _joined(value: Any) -> Any:
    """A value that a branch or a body gives while recording: a tensor, whatever it was."""
    return ops.convert_to_tensor(value)


#: Rounds that a loop may make, so that a damaged file does not run for ever: minutes.
MOST_ROUNDS = 10_000_000


@operator("Loop", apart=True)
def _loop(call: Call, count: Any, condition: Any, *carried: Any) -> Any:
    body = call.body("body")
    if state.trace is not None and (_symbolic(count) or _symbolic(condition) or not _bounded(count, condition)):
        return _recorded_loop(call, body, count, condition, carried)
    most = math.inf if count is None else int(call.number(count, "the trip count"))
    going = condition is None or bool(call.number(condition, "the condition"))
    values, collected, i = list(carried), [], 0
    graph = call.need("body")
    while going and i < most:
        if i == MOST_ROUNDS:
            raise call.error(f"the loop goes on after {MOST_ROUNDS} rounds")
        going_on, *results = body([np.array(i, np.int64), np.array(True), *values])
        values = results[: len(carried)]
        collected.append(results[len(carried) :])
        if _symbolic(going_on):  # the number of rounds depends on data: it cannot be unrolled
            return _recorded_loop(call, body, count, condition, carried)
        going = bool(call.number(going_on, "the condition"))
        i += 1
    scans = len(graph.outputs) - 1 - len(carried)
    stacked = [_stacked([c[j] for c in collected], graph.outputs[1 + len(carried) + j]) for j in range(scans)]
    return (*values, *stacked)


def _bounded(count: Any, condition: Any) -> bool:
    return count is not None and is_host(count) and int(count.reshape(()).item()) <= 64


def _stacked(values: list[Any], declared: Any) -> Any:
    if values:
        return np.stack(values) if all(is_host(v) for v in values) else ops.stack(values, 0)
    shape = [d if isinstance(d, int) else 0 for d in declared.shape or ()]
    return enter(np.zeros([0, *shape], declared.dtype or "float32"))


def _recorded_loop(call: Call, body: Any, count: Any, condition: Any, carried: Any) -> Any:
    """A loop whose number of rounds depends on data, as one node of the graph."""
    if len(call.need("body").outputs) > 1 + len(carried):
        raise call.error("a loop that collects an unknown number of results cannot be recorded")
    limit = None if count is None else ops.reshape(ops.cast(count, "int64"), ())
    start = ops.convert_to_tensor(True) if condition is None else ops.reshape(ops.convert_to_tensor(condition), ())

    def going(i: Any, on: Any, *values: Any) -> Any:
        return on if limit is None else ops.logical_and(on, ops.less(i, limit))

    def once(i: Any, on: Any, *values: Any) -> Any:
        goes, *results = body([i, on, *values])
        return (ops.add(i, 1), ops.reshape(_joined(goes), ()), *[_joined(r) for r in results])

    zero = ops.convert_to_tensor(np.array(0, np.int64))
    _, _, *results = ops.while_loop(going, once, (zero, start, *[_joined(v) for v in carried]))
    return tuple(results)


@operator("Scan", 9, apart=True)
def _scan(call: Call, *inputs: Any) -> Any:
    count = call.need("num_scan_inputs")
    directions = call.get("scan_input_directions") or [0] * count
    axes = call.get("scan_input_axes") or [0] * count
    return _scanned(call, inputs, count, directions, axes)


def _scanned(call: Call, inputs: Any, count: int, directions: list[int], axes: list[int]) -> Any:
    body, states = call.body("body"), list(inputs[: len(inputs) - count])
    xs = []
    for x, backwards, axis in zip(inputs[len(states) :], directions, axes, strict=True):
        x = ops.moveaxis(x, call.axis(axis, rank_of(x)), 0) if axis else x
        xs.append(ops.flip(x, 0) if backwards else x)

    def step(carry: Any, element: Any) -> Any:
        results = [_joined(v) for v in body([*carry, *element])]
        return tuple(results[: len(states)]), tuple(results[len(states) :])

    scans = len(call.need("body").outputs) - len(states)
    if not isinstance(shape_of(xs[0])[0], int) or state.trace is not None:
        last, ys = ops.scan(step, tuple(_joined(s) for s in states), tuple(xs))
        last, ys = list(last), list(ys)
    else:
        last, rows = list(states), []
        for i in range(shape_of(xs[0])[0]):
            carry, out = step(last, [ops.getitem(x, i) for x in xs])
            last = list(carry)
            rows.append(out)
        declared = call.need("body").outputs[len(states) :]
        ys = [_stacked([r[j] for r in rows], declared[j]) for j in range(scans)]
    out_axes = call.get("scan_output_axes") or [0] * scans
    out_directions = call.get("scan_output_directions") or [0] * scans
    for j, (axis, backwards) in enumerate(zip(out_axes, out_directions, strict=True)):
        ys[j] = ops.flip(ys[j], 0) if backwards else ys[j]
        ys[j] = ops.moveaxis(ys[j], 0, call.axis(axis, rank_of(ys[j]))) if axis else ys[j]
    return (*last, *ys)


@operator("Scan", 8, apart=True)
def _scan_batched(call: Call, lengths: Any, *inputs: Any) -> Any:
    """The first form: a batch first, the sequences along axis 1, each of its own length."""
    count = call.need("num_scan_inputs")
    directions = call.get("directions") or [0] * count
    batch = shape_of(inputs[-1])[0]
    if not isinstance(batch, int):
        raise call.error("Scan of opset 8 needs a batch of known size")
    ends = None if lengths is None else call.integers(lengths, "the lengths")
    rows = []
    for b in range(batch):
        own = [ops.getitem(v, b) for v in inputs]
        if ends is not None:
            own = [ops.getitem(v, slice(0, ends[b])) if i >= len(own) - count else v for i, v in enumerate(own)]
        rows.append(_scanned(call, own, count, directions, [0] * count))
    return tuple(_batched([r[j] for r in rows]) for j in range(len(rows[0])))


def _batched(parts: list[Any]) -> Any:
    """Results of one batch element each, filled up with zeros to the longest."""
    longest = max((shape_of(p)[0] for p in parts if rank_of(p)), default=0)
    padded = []
    for p in parts:
        lacking = longest - shape_of(p)[0] if rank_of(p) else 0
        padded.append(ops.pad(p, ((0, lacking), *[(0, 0)] * (rank_of(p) - 1))) if lacking else p)
    return ops.stack(padded, 0)


# -- sequences -------------------------------------------------------------------------------------


@operator("SequenceEmpty")
def _sequence_empty(call: Call) -> Any:
    return []


@operator("SequenceConstruct")
def _sequence_construct(call: Call, *items: Any) -> Any:
    return list(items)


def _place(call: Call, sequence: list[Any], position: Any, room: int) -> int:
    i = int(call.number(position, "the position"))
    if not -len(sequence) <= i < len(sequence) + room:
        raise call.error(f"position {i} is outside a sequence of {len(sequence)}")
    return i


@operator("SequenceAt")
def _sequence_at(call: Call, sequence: Any, position: Any) -> Any:
    return sequence[_place(call, sequence, position, 0)]


@operator("SequenceInsert")
def _sequence_insert(call: Call, sequence: Any, item: Any, position: Any = None) -> Any:
    i = len(sequence) if position is None else _place(call, sequence, position, 1)
    return [*sequence[:i], item, *sequence[i:]]


@operator("SequenceErase")
def _sequence_erase(call: Call, sequence: Any, position: Any = None) -> Any:
    i = len(sequence) - 1 if position is None else _place(call, sequence, position, 0) % len(sequence)
    return [*sequence[:i], *sequence[i + 1 :]]


@operator("SequenceLength")
def _sequence_length(call: Call, sequence: Any) -> Any:
    return np.array(len(sequence), np.int64)


@operator("ConcatFromSequence")
def _concat_from_sequence(call: Call, sequence: Any) -> Any:
    if not sequence:
        raise call.error("the sequence is empty")
    axis = call.need("axis")
    o: Any = np if all(is_host(v) for v in sequence) else ops
    return o.stack(sequence, axis) if call.get("new_axis", 0) else o.concatenate(sequence, axis)


@operator("SplitToSequence")
def _split_to_sequence(call: Call, x: Any, split: Any = None) -> Any:
    axis = call.axis(call.get("axis", 0), rank_of(x))
    size = shape_of(x)[axis]
    if split is None:
        parts = split_parts(call, x, [1] * size)
        if call.get("keepdims", 1):
            return list(parts)
        return [ops.squeeze(p, axis) for p in parts]
    sizes = call.integers(split, "the sizes")
    if rank_of(split) == 0:
        each = sizes[0]
        sizes = [each] * (size // each) + ([size % each] if size % each else [])
    return list(split_parts(call, x, sizes))


@operator("SequenceMap", apart=True)
def _sequence_map(call: Call, sequence: Any, *more: Any) -> Any:
    body = call.body("body")
    rows = [body([item, *(m[i] if isinstance(m, list) else m for m in more)]) for i, item in enumerate(sequence)]
    return tuple([r[j] for r in rows] for j in range(len(call.node.outputs)))


# -- optionals -------------------------------------------------------------------------------------


@operator("Optional")
def _optional(call: Call, x: Any = None) -> Any:
    return (x,)


@operator("OptionalHasElement")
def _optional_has_element(call: Call, x: Any = None) -> Any:
    return np.array(x is not None)


@operator("OptionalGetElement")
def _optional_get_element(call: Call, x: Any = None) -> Any:
    if x is None:
        raise call.error("the optional is empty")
    return (x,)
