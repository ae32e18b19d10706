"""Einstein summation: reading the subscripts, and contracting by products of matrices."""

from __future__ import annotations

import functools
import math
from itertools import combinations
from typing import Any, NamedTuple

from unidl import ops
from unidl.ops._declare import Tensors, composite, require, same_dim

Shape = tuple["int | None", ...]
#: A label is a letter, or ``(i,)`` for the dimension i from the right of those that ``...`` stands for.
Label = Any


class Plan(NamedTuple):
    """Subscripts with ``...`` spelled out.

    Attributes:
        terms: the labels of each operand.
        output: those of the result.
        sizes: the size of each label (None: unknown).
    """

    terms: list[list[Label]]
    output: list[Label]
    sizes: dict[Label, int | None]


def _labels(term: str, subscripts: str, rank: int | None) -> list[Label]:
    """The labels of one term, for an operand of `rank` dimensions (None: of the output, its ellipsis as None)."""
    before, dots, after = term.partition("...")
    letters = before + after
    require(
        all(c.isascii() and c.isalpha() for c in letters),
        f"{term!r} in `subscripts` {subscripts!r}: letters and one '...' are expected.",
    )
    if rank is None:
        return [*before, *([None] if dots else []), *after]
    extra = rank - len(letters)
    require(
        extra >= 0 if dots else extra == 0, f"{term!r} in `subscripts` {subscripts!r} does not fit {rank} dimensions."
    )
    return [*before, *((i,) for i in range(extra - 1, -1, -1)), *after]


def plan(subscripts: str, shapes: list[Shape]) -> Plan:
    """What `subscripts` mean for operands of these shapes.

    Raises:
        OpError: if they do not fit.
    """
    require(isinstance(subscripts, str), f"`subscripts` must be a string, not {subscripts!r}.")
    inputs, arrow, result = subscripts.replace(" ", "").partition("->")
    texts = inputs.split(",")
    require(len(texts) == len(shapes), f"`subscripts` {subscripts!r} name {len(texts)} operands, {len(shapes)} came.")
    terms = [_labels(t, subscripts, len(s)) for t, s in zip(texts, shapes, strict=True)]
    sizes: dict[Label, int | None] = {}
    for term, shape in zip(terms, shapes, strict=True):
        own: dict[Label, int | None] = {}
        for label, d in zip(term, shape, strict=True):
            what = f"label {label!r} of `subscripts` {subscripts!r}"
            own[label] = same_dim(own.get(label, d), d, what)  # a diagonal does not broadcast
            have = sizes.get(label, 1)
            if have == 1 or d == 1:
                sizes[label] = d if have == 1 else have
            else:
                sizes[label] = same_dim(have, d, what)
    dots = sorted((label for label in sizes if isinstance(label, tuple)), reverse=True)
    if arrow:
        wanted = _labels(result, subscripts, None)
        require(not dots or None in wanted, f"the output of `subscripts` {subscripts!r} lacks '...'.")
        output = [label for w in wanted for label in (dots if w is None else [w])]
    else:
        letters = inputs.replace(",", "").replace(".", "")
        output = dots + sorted(c for c in set(letters) if letters.count(c) == 1)
    missing = [label for label in output if label not in sizes]
    require(not missing, f"the output of `subscripts` {subscripts!r} names {missing}, which no operand has.")
    require(len(set(output)) == len(output), f"the output of `subscripts` {subscripts!r} names a label twice.")
    return Plan(terms, output, sizes)


@functools.lru_cache(1024)
def is_plain(subscripts: str, shapes: tuple[Shape, ...]) -> bool:
    """Whether no operand has a label twice, and no letter stands for 1 in one operand and for more in another."""
    terms, _, sizes = plan(subscripts, list(shapes))
    return all(
        len(set(term)) == len(term)
        and all(isinstance(label, tuple) or d == sizes[label] for label, d in zip(term, shape, strict=True))
        for term, shape in zip(terms, shapes, strict=True)
    )


@composite(promote="operands", name="einsum")
def _einsum(subscripts: str, operands: Tensors) -> Any:
    """Einstein summation of a list of operands: what `ops.einsum` calls."""
    return contracted(subscripts, operands)


def contracted(subscripts: str, operands: Any) -> Any:
    """Einstein summation by products of two operands at a time, those first that leave the least."""
    shapes = [tuple(o.shape) for o in operands]
    terms, output, sizes = plan(subscripts, shapes)
    known: dict[Label, Any] = {}  # sizes as numbers to compute with
    for operand, term in zip(operands, terms, strict=True):
        for label, d, size in zip(term, operand.shape, ops.shape(operand), strict=True):
            if label not in known or (sizes[label] is None and d != 1) or d == sizes[label]:
                known[label] = size
    parts = [_simplified(operand, term, sizes) for operand, term in zip(operands, terms, strict=True)]
    for i, (x, labels) in enumerate(parts):
        others = set(output).union(*(others for j, (_, others) in enumerate(parts) if j != i))
        parts[i] = _summed(x, labels, [a for a, label in enumerate(labels) if label not in others])
    while len(parts) > 1:
        first, second = min(combinations(range(len(parts)), 2), key=lambda p: _cost(parts, p, output, sizes))
        rest = [part for i, part in enumerate(parts) if i not in (first, second)]
        needed = set(output).union(*(labels for _, labels in rest))
        parts = [*rest, _contracted(parts[first], parts[second], needed, known)]
    result, labels = parts[0]
    result = ops.transpose(result, tuple(labels.index(label) for label in output if label in labels))
    shape = tuple(known[label] if label in labels else 1 for label in output)
    return result if len(labels) == len(output) else ops.broadcast_to(ops.reshape(result, shape), shape)


def _simplified(x: Any, labels: list[Label], sizes: dict[Label, int | None]) -> tuple[Any, list[Label]]:
    """An operand without repeated labels, and without sizes of 1 that broadcast."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            a = labels.index(label)
            x = _diagonal(x, a, b := labels.index(label, a + 1))
            labels = [*(c for i, c in enumerate(labels) if i not in (a, b)), label]
    ones = tuple(i for i, c in enumerate(labels) if x.shape[i] == 1 and sizes[c] != 1)
    return (ops.squeeze(x, ones) if ones else x), [c for i, c in enumerate(labels) if i not in ones]


def _summed(x: Any, labels: list[Label], axes: list[int]) -> tuple[Any, list[Label]]:
    """An operand summed over `axes`, in its own dtype."""
    if not axes:
        return x, labels
    dtype = _name(x)
    if dtype in ("bool", "int8", "int16", "uint8", "uint16"):
        x = ops.cast(x, "int32")
    return ops.cast(ops.sum(x, tuple(axes)), dtype), [c for i, c in enumerate(labels) if i not in axes]


def _name(x: Any) -> str:
    from unidl.ops._bind import dtype_of

    return dtype_of(x)


def _diagonal(x: Any, a: int, b: int) -> Any:
    """The diagonal of the dimensions `a` and `b`, as the last dimension."""
    m, n = x.shape[a], x.shape[b]
    rest = [i for i in range(len(x.shape)) if i not in (a, b)]
    x = ops.transpose(x, (*rest, a, b))
    sizes = ops.shape(x)
    if m is None or n is None:
        size = sizes[-1 if m is None else -2]
        places = ops.arange(size)
        same = ops.equal(ops.expand_dims(places, 1), places)
        return ops.cast(ops.sum(ops.where(same, x, ops.zeros_like(x)), -2), _name(x))
    flat = ops.reshape(x, (*sizes[:-2], n * n))
    return ops.getitem(flat, (Ellipsis, slice(None, None, n + 1)))


def _cost(parts: list[Any], pair: tuple[int, int], output: list[Label], sizes: dict[Label, Any]) -> tuple[Any, ...]:
    """How much a contraction grows what there is, then what it computes (unknown sizes as 16)."""

    def volume(labels: Any) -> int:
        return math.prod(16 if sizes[label] is None else sizes[label] for label in labels)

    first, second = (parts[i][1] for i in pair)
    needed = set(output).union(*(labels for i, (_, labels) in enumerate(parts) if i not in pair))
    both = set(first) | set(second)
    return volume(both & needed) - volume(first) - volume(second), volume(both)


def _contracted(one: Any, two: Any, needed: set[Label], sizes: dict[Label, Any]) -> tuple[Any, list[Label]]:
    """The product of two operands, summed over the labels that nobody needs any more."""
    (x, first), (y, second) = one, two
    shared = [c for c in first if c in second and c in needed]
    inner = [c for c in first if c in second and c not in needed]
    left, right = [c for c in first if c not in second], [c for c in second if c not in first]

    def grouped(tensor: Any, labels: list[Label], *groups: list[Label]) -> Any:
        """`tensor` with the dimensions `shared`, then one for each of the groups."""
        order = [*shared, *(c for group in groups for c in group)]
        if order != labels:
            tensor = ops.transpose(tensor, tuple(labels.index(c) for c in order))
        if all(len(group) == 1 for group in groups):
            return tensor
        return ops.reshape(tensor, (*(sizes[c] for c in shared), *(_volume(group, sizes) for group in groups)))

    if inner:
        result = ops.matmul(grouped(x, first, left, inner), grouped(y, second, inner, right))
    else:
        result = ops.multiply(
            ops.expand_dims(grouped(x, first, left), -1), ops.expand_dims(grouped(y, second, right), -2)
        )
    labels = [*shared, *left, *right]
    if len(left) == 1 and len(right) == 1:
        return result, labels
    return ops.reshape(result, tuple(sizes[c] for c in labels)), labels


def _volume(labels: list[Label], sizes: dict[Label, Any]) -> Any:
    total: Any = 1
    for label in labels:
        total = total * sizes[label]
    return total


def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Any:
    """Einstein summation, as NumPy's.

    Args:
        subscripts: the labels of each operand's dimensions and, after ``->``, of the result's, e.g. ``"ij,jk->ik"``.
            ``...`` stands for dimensions that broadcast. A label that an operand has twice takes its diagonal. Without
            ``->`` the result has ``...`` and then the labels that occur once, in alphabetical order.
        operands: tensors, which meet in one dtype.
        kwargs: NumPy's `optimize` is accepted; the order of contraction is found either way.

    Raises:
        OpError: if the subscripts do not fit the operands.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.einsum("ij,j->i", [[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0])))
        [21. 43.]
    """
    require(set(kwargs) <= {"optimize"}, f"einsum: unknown arguments {sorted(set(kwargs) - {'optimize'})}.")
    return _einsum(subscripts, list(operands))


__all__ = ["einsum"]
