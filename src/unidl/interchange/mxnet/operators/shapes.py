"""Reshapes with MXNet's codes, transposes, and what else moves or repeats elements."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from unidl.interchange.mxnet._table import Call, operator
from unidl.interchange.mxnet._writer import Size, Value

_MOST_COPIES = 2**16


@operator("Reshape reshape")
def _reshape(c: Call, x: Value) -> Value:
    """0 keeps a size, -1 follows from the others, -2 keeps all that are left, -3 joins two, -4 splits one into two."""
    codes = c.get("shape")
    if not codes:
        codes = _old_codes(c)
    codes = (codes,) if isinstance(codes, int) else codes
    if not isinstance(codes, tuple) or not all(isinstance(d, int) for d in codes):
        raise c.error(f"shape is {codes!r}, and integers are expected")
    if all(d > 0 or d == -1 for d in codes):
        return c.w.reshape(x, codes)
    if 0 in codes and x.shape is None and not set(codes) & {-2, -3, -4} and not c.flag("reverse"):
        return c.w.node("Reshape", x, np.asarray(codes, "int64"))
    sizes = c.w.sizes(x) if c.rank(x) else []
    if c.flag("reverse"):
        return c.w.reshape(x, _decoded(c, codes[::-1], sizes[::-1])[::-1])
    return c.w.reshape(x, _decoded(c, codes, sizes))


def _old_codes(c: Call) -> tuple[int, ...]:
    """What the first versions said: a target in which 0 is the size that follows from the others."""
    target = c.ints("target_shape", ())
    if not target:
        raise c.error("it has no shape")
    if c.flag("keep_highest"):
        return (0, *[d or -1 for d in target[1:]])
    return tuple([d or -1 for d in target])


def _reversed(codes: Sequence[int]) -> list[int]:
    """The codes from the right; a split keeps its code before its two sizes."""
    result: list[int] = []
    i = 0
    while i < len(codes):
        if codes[i] == -4:
            result[:0] = [-4, *codes[i + 1 : i + 3][::-1]]
            i += 3
        else:
            result.insert(0, codes[i])
            i += 1
    return result


def _decoded(c: Call, codes: Sequence[int], sizes: list[Size]) -> list[Size]:
    """The sizes that the codes stand for; one of them may be -1."""
    result: list[Size] = []
    place, i = 0, 0

    def taken(count: int) -> list[Size]:
        nonlocal place
        if place + count > len(sizes):
            raise c.error(f"the codes {tuple(codes)} need more than the {len(sizes)} dimensions that there are")
        place += count
        return sizes[place - count : place]

    while i < len(codes):
        code = codes[i]
        if code == 0:
            result += taken(1)
        elif code == -2:
            result += taken(len(sizes) - place)
        elif code == -3:
            result.append(c.w.product(taken(2)))
        elif code == -4:
            parts = list(codes[i + 1 : i + 3])
            if len(parts) < 2 or parts.count(-1) > 1:
                raise c.error(f"-4 in {tuple(codes)} must be followed by two sizes, of which one may be -1")
            result += _split(c, taken(1)[0], parts)
            i += 2
        elif code == -1 or code > 0:
            result.append(code)
            place += 1
        else:
            raise c.error(f"the code {code} in {tuple(codes)} is unknown")
        i += 1
    return result


def _split(c: Call, size: Size, parts: list[int]) -> list[Size]:
    if -1 not in parts:
        return list(parts)
    unknown = parts.index(-1)
    rest = c.w.arithmetic("Div", size, parts[1 - unknown])
    return [rest if i == unknown else p for i, p in enumerate(parts)]


@operator("_np_reshape _npi_reshape")
def _numpy_reshape(c: Call, x: Value) -> Value:
    order = str(c.get("order", "C"))
    if order != "C":
        raise c.error(f"order {order!r} is not read")
    return c.w.reshape(x, c.ints("newshape"))


@operator("_npx_reshape")
def _npx_reshape(c: Call, x: Value) -> Value:
    """-1 follows, -2 keeps a size, -3 drops a size of 1, -4 keeps all that are left, -5 joins two, -6 splits one."""
    if str(c.get("order", "C")) != "C":
        raise c.error("orders other than 'C' are not read")
    codes = c.ints("newshape")
    sizes = c.w.sizes(x)
    back = {-2: 0, -4: -2, -5: -3, -6: -4}
    if not c.flag("reverse"):
        return c.w.reshape(x, _decoded(c, *_without_ones(codes, sizes, back)))
    plain = [back.get(d, d) if d != -3 else -3000 for d in codes]
    turned = [-3 if d == -3000 else {0: -2, -2: -4, -3: -5, -4: -6}.get(d, d) for d in _reversed(plain)]
    return c.w.reshape(x, _decoded(c, *_without_ones(turned, sizes[::-1], back))[::-1])


def _without_ones(codes: Sequence[int], sizes: list[Size], back: dict[int, int]) -> tuple[list[int], list[Size]]:
    """The codes of `Reshape` for those of `npx.reshape`, and the sizes without those that are dropped."""
    result, left, place = [], list(sizes), 0
    for i, code in enumerate(codes):
        if code == -3:
            del left[place]
            continue
        inside = any(codes[j] == -6 for j in (i - 1, i - 2) if j >= 0)
        result.append(back.get(code, code))
        if code == -5:
            place += 2
        elif not inside:
            place += 1
    return result, left


@operator("reshape_like _npx_reshape_like")
def _reshape_like(c: Call, x: Value, like: Value) -> Value:
    """Some axes of x take the sizes of some axes of another."""
    w = c.w
    if all(c.get(name) is None for name in ("lhs_begin", "lhs_end", "rhs_begin", "rhs_end")):
        result = w.node("Reshape", x, w.node("Shape", like))
        result.shape = like.shape
        return result
    mine, theirs = w.sizes(x) if c.rank(x) else [], w.sizes(like) if c.rank(like) else []

    def ends(side: str, count: int) -> tuple[int, int]:
        begin, end = c.integer(f"{side}_begin", 0), c.integer(f"{side}_end", count)
        return begin + count * (begin < 0), end + count * (end < 0)

    (a, b), (d, e) = ends("lhs", len(mine)), ends("rhs", len(theirs))
    return w.reshape(x, [*mine[:a], *theirs[d:e], *mine[b:]])


@operator("Flatten flatten _npx_batch_flatten")
def _flatten(c: Call, x: Value) -> Value:
    return x if x.shape is not None and len(x.shape) == 2 else c.w.node("Flatten", x, axis=1)


# -- axes ------------------------------------------------------------------------------------------


@operator("transpose _np_transpose")
def _transpose(c: Call, x: Value) -> Value:
    axes = c.get("axes")
    rank = c.rank(x)
    order = c.ints("axes") if axes not in (None, ()) else tuple(range(rank))[::-1]
    return c.w.transpose(x, [c.axis(a, rank) for a in order])


@operator("SwapAxis swapaxes _npi_swapaxes")
def _swapaxes(c: Call, x: Value) -> Value:
    rank = c.rank(x)
    order = list(range(rank))
    a, b = c.axis(c.integer("dim1", 0), rank), c.axis(c.integer("dim2", 0), rank)
    order[a], order[b] = order[b], order[a]
    return c.w.transpose(x, order)


@operator("_np_moveaxis")
def _moveaxis(c: Call, x: Value) -> Value:
    rank = c.rank(x)
    source = [c.axis(a, rank) for a in c.ints("source")]
    target = [c.axis(a, rank) for a in c.ints("destination")]
    order = [i for i in range(rank) if i not in source]
    for place, axis in sorted(zip(target, source, strict=True)):
        order.insert(place, axis)
    return c.w.transpose(x, order)


@operator("expand_dims _npi_expand_dims")
def _expand_dims(c: Call, x: Value) -> Value:
    return c.w.unsqueeze(x, c.integer("axis"))


@operator("squeeze _np_squeeze")
def _squeeze(c: Call, x: Value) -> Value:
    w, given = c.w, c.get("axis")
    if given is not None:
        axes = tuple(c.axis(a, c.rank(x)) for a in c.ints("axis"))
    else:
        axes = tuple(i for i, d in enumerate(c.shape(x)) if d == 1)
    everything = len(axes) == c.rank(x) and not c.numpy and not c.own
    y = w.squeeze(x, *(axes[1:] if everything else axes)) if axes else x
    return y


# -- repeats ---------------------------------------------------------------------------------------


def _few(c: Call, counts: Sequence[int]) -> None:
    if counts and not (min(counts) >= 0 and math.prod(counts) <= _MOST_COPIES):
        raise c.error(f"{tuple(counts)} copies are not read; {_MOST_COPIES} are the most")


@operator("tile _npi_tile")
def _tile(c: Call, x: Value) -> Value:
    reps = c.ints("reps", ())
    _few(c, reps)
    rank = c.rank(x)
    if len(reps) > rank:
        x = c.w.unsqueeze(x, *range(len(reps) - rank))
    reps = (1,) * (rank - len(reps)) + reps
    return c.w.node("Tile", x, np.asarray(reps, "int64")) if reps else x


@operator("repeat _np_repeat")
def _repeat(c: Call, x: Value) -> Value:
    """Each element several times in a row."""
    w, count = c.w, c.integer("repeats")
    _few(c, (count,))
    if c.get("axis") is None:
        x, axis = w.reshape(x, [-1]), 0
    else:
        axis = c.axis(c.integer("axis"), c.rank(x))
    sizes, rank = w.sizes(x), c.rank(x)
    tiled = w.node(
        "Tile", w.unsqueeze(x, axis + 1), np.asarray([count if i == axis + 1 else 1 for i in range(rank + 1)])
    )
    sizes[axis] = w.arithmetic("Mul", sizes[axis], count)
    return w.reshape(tiled, sizes)


@operator("reverse flip _npi_flip")
def _flip(c: Call, x: Value) -> Value:
    axes = c.ints("axis") if c.get("axis") is not None else tuple(range(c.rank(x)))
    if not axes:
        return x
    count = len(axes)
    ends = [np.full(count, v, "int64") for v in (-1, np.iinfo("int64").min)]
    return c.w.node("Slice", x, *ends, np.asarray(axes, "int64"), np.full(count, -1, "int64"))


@operator("Pad pad")
def _pad(c: Call, x: Value) -> Value:
    widths = c.ints("pad_width")
    mode = c.choice("mode", "constant", "constant", "edge", "reflect")
    pads = np.asarray([*widths[0::2], *widths[1::2]], "int64")
    fill = c.w.number(c.real("constant_value", 0.0), x) if mode == "constant" else None
    return c.w.node("Pad", x, pads, fill, mode=mode)


@operator("_npi_pad")
def _numpy_pad(c: Call, x: Value) -> Value:
    widths = c.get("pad_width", ())
    mode = c.choice("mode", "constant", "constant", "edge", "reflect")
    if widths and isinstance(widths[0], int):
        widths = (widths,) * c.rank(x) if len(widths) == 2 else widths
    pads = np.asarray([[a for a, _ in widths], [b for _, b in widths]], "int64").reshape(-1)
    fill = c.w.number(c.real("constant_value", c.real("constant_values", 0.0)), x) if mode == "constant" else None
    return c.w.node("Pad", x, pads, fill, mode=mode)


@operator("depth_to_space", op="DepthToSpace")
@operator("space_to_depth", op="SpaceToDepth")
def _blocks(c: Call, x: Value, op: str) -> Value:
    return c.w.node(op, x, blocksize=c.integer("block_size"))


# -- broadcasting ----------------------------------------------------------------------------------


@operator("broadcast_to")
def _broadcast_to(c: Call, x: Value) -> Value:
    """0 keeps a size."""
    shape = c.ints("shape")
    if len(shape) != c.rank(x):
        raise c.error(f"shape {shape} does not fit {c.rank(x)} dimensions")
    return c.w.expand(x, [d or c.w.size(x, i) for i, d in enumerate(shape)])


@operator("_npi_broadcast_to")
def _numpy_broadcast_to(c: Call, x: Value) -> Value:
    shape = c.ints("shape")
    return c.w.expand(x, [d if d >= 0 else c.w.size(x, i - len(shape)) for i, d in enumerate(shape)])


@operator("broadcast_axis broadcast_axes")
def _broadcast_axis(c: Call, x: Value) -> Value:
    sizes = c.w.sizes(x)
    for axis, size in zip(c.ints("axis", ()), c.ints("size", ()), strict=True):
        sizes[c.axis(axis, len(sizes))] = size
    return c.w.expand(x, sizes)


@operator("broadcast_like")
def _broadcast_like(c: Call, x: Value, like: Value) -> Value:
    w = c.w
    if c.get("lhs_axes") is None:
        y = w.node("Expand", x, w.node("Shape", like))
        y.shape = like.shape
        return y
    sizes = w.sizes(x)
    for mine, theirs in zip(c.ints("lhs_axes"), c.ints("rhs_axes"), strict=True):
        sizes[c.axis(mine, len(sizes))] = w.size(like, c.axis(theirs, c.rank(like)))
    return w.expand(x, sizes)


# -- shapes as values ------------------------------------------------------------------------------


@operator("shape_array _npx_shape_array")
def _shape_array(c: Call, x: Value) -> Value:
    return c.w.node("Shape", x)


@operator("size_array")
def _size_array(c: Call, x: Value) -> Value:
    return c.w.reshape(c.w.node("Size", x), [1])
