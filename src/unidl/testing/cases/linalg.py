"""Cases of products."""

from __future__ import annotations

import string
from typing import Any

from unidl.testing.draw import FLOAT, Draw, Tolerance, add

_SUM = Tolerance(4, True)
_EINSUMS = (
    ("ij,jk->ik", 2), ("bij,bjk->bik", 2), ("i,i->", 2), ("i,j->ij", 2), ("ij->ji", 1), ("ij->j", 1), ("ij,jk", 2),
    ("bhqd,bhkd->bhqk", 2), ("aecd,abcd->acbe", 2), ("abc,cd,de->abe", 3), ("...ij,...jk->...ik", 2), ("...i->...", 1),
    ("ii->i", 1), ("ba,cb", 2), ("bqe,ehd->bqhd", 2),
)  # fmt: skip


def _matmul(r: Draw) -> tuple[Any, ...]:
    rows, inner, columns = r.side(), r.side(), r.side()
    batch = r.shape(0, 2)
    kind = r.integer(0, 5)
    if kind == 0:
        return r.array((inner,)), r.array((inner,))
    if kind == 1:
        return r.array((inner,)), r.array((*batch, inner, columns))
    if kind == 2:
        return r.array((*batch, rows, inner)), r.array((inner,))
    if kind == 3:
        return r.array((*r.broadcasting(batch), rows, inner)), r.array((*batch, inner, columns))
    return r.array((*batch, rows, inner)), r.array((*r.broadcasting(batch), inner, columns))


def _dot(r: Draw) -> tuple[Any, ...]:
    inner = r.side()
    kind = r.integer(0, 3)
    if kind == 0:
        return r.array(()), r.tensor(0, 2)
    if kind == 1:
        return r.array((*r.shape(0, 2), inner)), r.array((inner,))
    return r.array((*r.shape(0, 2), inner)), r.array((*r.shape(0, 1), inner, r.side()))


def _tensordot(r: Draw) -> tuple[Any, ...]:
    a, b, c, d = (r.side() for _ in range(4))
    return r.choice(
        (r.array((a, b)), r.array((b, c)), 1),
        (r.array((a, b, c)), r.array((b, c, d))),
        (r.array((a, b)), r.array((c,)), 0),
        (r.array((a, b, c)), r.array((c, d, a)), ([0, -1], [2, 0])),
        (r.array((a, b)), r.array((b, d)), (1, 0)),
    )


def _einsum(r: Draw) -> tuple[Any, ...]:
    subscripts, count = r.choice(*_EINSUMS)
    sizes = {letter: r.side(1) for letter in string.ascii_lowercase[:18]}
    middle = r.shape(0, 2, 1)
    shapes = []
    for term in subscripts.split("->")[0].split(","):
        before, dots, after = term.partition("...")
        shapes.append((*(sizes[c] for c in before), *(middle if dots else ()), *(sizes[c] for c in after)))
    return subscripts, [r.array(s) for s in shapes[:count]]


add("matmul", _matmul, (*FLOAT, "int32"), gradient="x1 x2", tolerance=_SUM)
add("dot", _dot, (*FLOAT, "int32"), gradient="x1 x2", tolerance=_SUM)
add("tensordot", _tensordot, gradient="x1 x2", tolerance=_SUM)
add("outer", lambda r: (r.tensor(0, 2), r.tensor(0, 2)), (*FLOAT, "int32"), gradient="x1 x2")
add("einsum", _einsum, gradient="operands", tolerance=_SUM)
