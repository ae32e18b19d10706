"""Products of matrices and tensors."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.ops._declare import (
    OpError,
    Tensor,
    Tensors,
    TensorSpec,
    axis_index,
    broadcast,
    composite,
    primitive,
    require,
    same_dim,
)


@primitive(promote="x1 x2")
def matmul(x1: Tensor, x2: Tensor) -> Tensor:
    """Matrix product of the last two dimensions, broadcast over the others, as NumPy's ``@``.

    A one-dimensional operand is a row (first) or a column (second), and loses that dimension.
    """
    a, b = tuple(x1.shape), tuple(x2.shape)
    require(len(a) > 0 and len(b) > 0, f"shapes {list(a)} and {list(b)}: both need at least one dimension.")
    rows = a[-2:-1] if len(a) > 1 else ()
    columns = b[-1:] if len(b) > 1 else ()
    inner = b[-2] if len(b) > 1 else b[0]
    same_dim(a[-1], inner, f"shapes {list(a)} and {list(b)}: inner dimensions")
    return TensorSpec((*broadcast(a[:-2], b[:-2]), *rows, *columns), x1.dtype)


@composite(promote="x1 x2")
def dot(x1: Tensor, x2: Tensor) -> Tensor:
    """NumPy's ``dot``: the product over the last axis of `x1` and the last but one of `x2`."""
    if len(x1.shape) == 0 or len(x2.shape) == 0:
        return ops.multiply(x1, x2)
    return ops.tensordot(x1, x2, ([len(x1.shape) - 1], [max(len(x2.shape) - 2, 0)]))


@composite(promote="x1 x2")
def tensordot(x1: Tensor, x2: Tensor, axes: Any = 2) -> Tensor:
    """Sum of products over paired axes.

    `axes` is how many last axes of `x1` meet as many first ones of `x2`, or a pair of lists.
    """
    ra, rb = len(x1.shape), len(x2.shape)
    if isinstance(axes, int):
        require(0 <= axes <= min(ra, rb), f"`axes` is {axes}, for {ra} and {rb} dimensions.")
        over_a, over_b = list(range(ra - axes, ra)), list(range(axes))
    else:
        over_a, over_b = ([a] if isinstance(a, int) else list(a) for a in axes)
        over_a = [axis_index(a, ra, "axes") for a in over_a]
        over_b = [axis_index(b, rb, "axes") for b in over_b]
    require(len(over_a) == len(over_b), f"`axes` {axes} pairs {len(over_a)} with {len(over_b)} axes.")
    for a, b in zip(over_a, over_b, strict=True):
        same_dim(x1.shape[a], x2.shape[b], f"axes {a} and {b} of shapes {list(x1.shape)} and {list(x2.shape)}")
    sa, sb = ops.shape(x1), ops.shape(x2)
    keep_a = [a for a in range(ra) if a not in over_a]
    keep_b = [b for b in range(rb) if b not in over_b]
    inner: Any = 1
    for a in over_a:
        inner = inner * sa[a]
    left = ops.reshape(ops.transpose(x1, tuple(keep_a + over_a)), (_product(sa, keep_a), inner))
    right = ops.reshape(ops.transpose(x2, tuple(over_b + keep_b)), (inner, _product(sb, keep_b)))
    return ops.reshape(ops.matmul(left, right), tuple(sa[a] for a in keep_a) + tuple(sb[b] for b in keep_b))


def _product(sizes: Any, axes: list[int]) -> Any:
    total: Any = 1
    for a in axes:
        total = total * sizes[a]
    return total


@composite(promote="x1 x2")
def outer(x1: Tensor, x2: Tensor) -> Tensor:
    """All products of an element of `x1` with one of `x2` (both flattened), as a matrix."""
    return ops.multiply(ops.reshape(x1, (-1, 1)), ops.reshape(x2, (1, -1)))


@primitive(promote="operands", name="einsum")
def _einsum(subscripts: str, operands: Tensors) -> Tensor:
    """Einstein summation, e.g. ``einsum("bij,bjk->bik", [a, b])``; ``...`` broadcasts.

    The public function takes the operands one by one: ``ops.einsum("ij,jk", a, b)``.
    """
    return TensorSpec(_einsum_shape(subscripts, [tuple(o.shape) for o in operands]), operands[0].dtype)


def _einsum_shape(subscripts: str, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
    text = subscripts.replace(" ", "")
    inputs, arrow, output = text.partition("->")
    terms = inputs.split(",")
    require(len(terms) == len(shapes), f"{subscripts!r} names {len(terms)} operands, {len(shapes)} came.")
    sizes: dict[str, int | None] = {}
    extra: tuple[int | None, ...] = ()
    for term, shape in zip(terms, shapes, strict=True):
        before, dots, after = term.partition("...")
        count = len(before) + len(after)
        require(
            len(shape) == count if not dots else len(shape) >= count,
            f"{term!r} in {subscripts!r} does not fit shape {list(shape)}.",
        )
        middle = len(shape) - count
        if dots:
            extra = broadcast(extra, shape[len(before) : len(before) + middle])
        for letter, d in zip(before + after, shape[: len(before)] + shape[len(before) + middle :], strict=True):
            have = sizes.get(letter)
            if have is not None and d is not None and 1 in (have, d):
                sizes[letter] = max(have, d)
            else:
                sizes[letter] = same_dim(have, d, f"index {letter!r} of {subscripts!r}")
    if not arrow:
        letters = inputs.replace(",", "").replace(".", "")
        output = ("..." if "..." in inputs else "") + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    if missing := [c for c in output.replace(".", "") if c not in sizes]:
        raise OpError(f"the output of {subscripts!r} names {missing}, which no operand has.")
    before, dots, after = output.partition("...")
    return (*(sizes[c] for c in before), *(extra if dots else ()), *(sizes[c] for c in after))


def einsum(subscripts: str, *operands: Any) -> Any:
    """Einstein summation of the operands, e.g. ``einsum("ij,jk->ik", a, b)``; ``...`` broadcasts.

    Raises:
        OpError: if the subscripts do not fit the operands.
    """
    return _einsum(subscripts, list(operands))


__all__ = ["matmul", "dot", "tensordot", "outer", "einsum"]
