"""Cases of products."""

from __future__ import annotations

import string
from typing import Any

from unidl.testing.draw import COMPLEX, FLOAT, SMALL, Draw, Tolerance, add

_SUM = Tolerance(4, True)
_DTYPES = (*FLOAT, "int32", "int64", "uint8", "bool", *SMALL, *COMPLEX)
_EINSUMS = (
    "ij,jk->ik", "bij,bjk->bik", "i,i->", "i,j->ij", "ij->ji", "ij->j", "ij,jk", "bhqd,bhkd->bhqk", "aecd,abcd->acbe",
    "abc,cd,de->abe", "...ij,...jk->...ik", "...i->...", "ii->i", "ba,cb", "bqe,ehd->bqhd", "ii", "iij->j", "iji->ij",
    "ii,i...->i...", "i...,i...", " i j , j -> i ", "B...a,aB", "ij,jk,kl,lm->im", "ij,ij,ij->", ",i->i", "ij,kl->jl",
    "abba->ba", "i...k,k...->...i", "...,...->...", "->",
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


def _inner(r: Draw) -> tuple[Any, ...]:
    inner = r.side()
    if r.integer(0, 3) == 0:
        return r.tensor(0, 2), r.array(())
    return r.array((*r.shape(0, 2), inner)), r.array((*r.shape(0, 2), inner))


def _vdot(r: Draw) -> tuple[Any, ...]:
    shape = r.shape(0, 3)
    return r.array(shape), r.array(shape[::-1])


def _tensordot(r: Draw) -> tuple[Any, ...]:
    a, b, c, d = (r.side() for _ in range(4))
    return r.choice(
        (r.array((a, b)), r.array((b, c)), 1),
        (r.array((a, b, c)), r.array((b, c, d))),
        (r.array((a, b)), r.array((c,)), 0),
        (r.array((a, b, c)), r.array((c, d, a)), ([0, -1], [2, 0])),
        (r.array((a, b)), r.array((b, d)), (1, 0)),
        (r.array((a, b)), r.array((b, a)), ((0, 1), (1, 0))),
    )


def _einsum(r: Draw) -> tuple[Any, ...]:
    subscripts = r.choice(*_EINSUMS)
    sizes = {letter: r.side(0 if r.die(8) == 0 else 1) for letter in string.ascii_letters}
    middle = r.shape(0, 2, 1)
    shapes = []
    for term in subscripts.replace(" ", "").split("->")[0].split(","):
        before, dots, after = term.partition("...")
        between = r.broadcasting(middle) if dots else ()
        shapes.append((*(sizes[c] for c in before), *between, *(sizes[c] for c in after)))
    return subscripts, [r.array(s, low=-2, high=2) for s in shapes]


def _kron(r: Draw) -> tuple[Any, ...]:
    return r.tensor(0, 3), r.tensor(0, 3)


def _cross(r: Draw) -> tuple[Any, ...]:
    shape = r.shape(0, 2)
    a, b = r.choice((3, 3), (2, 3), (3, 2), (2, 2))
    other = r.broadcasting(shape)
    kind = r.integer(0, 2)
    if kind == 0:
        return r.array((*shape, a)), r.array((*other, b))
    if kind == 1:
        return r.array((a, *shape)), r.array((*other, b)), 0, -1, r.choice(0, -1)
    return r.array((a, *shape)), r.array((b, *shape)), -1, -1, -1, 0


def _cdist(r: Draw) -> tuple[Any, ...]:
    batch, d = r.shape(0, 2), r.side(1)
    x = r.array((*batch, r.side(1), d))
    return x, r.array((*r.broadcasting(batch), r.side(1), d), low=5, high=7) if r.smooth else x[..., ::-1, :]


def _correlate(r: Draw) -> tuple[Any, ...]:
    return r.array((r.side(1),)), r.array((r.side(1),)), r.choice("valid", "same", "full")


add("matmul", _matmul, _DTYPES, gradient="x1 x2", tolerance=_SUM)
add("dot", _dot, _DTYPES, gradient="x1 x2", tolerance=_SUM)
add("inner", _inner, _DTYPES, gradient="x1 x2", tolerance=_SUM)
add("vdot", _vdot, _DTYPES, gradient="x1 x2", tolerance=_SUM)
add("tensordot", _tensordot, _DTYPES, gradient="x1 x2", tolerance=_SUM)
add("outer", lambda r: (r.tensor(0, 2), r.tensor(0, 2)), _DTYPES, gradient="x1 x2")
add("kron", _kron, _DTYPES, gradient="x1 x2")
add("cross", _cross, (*FLOAT, "int32", "int64", *COMPLEX), gradient="x1 x2", refuses=True, tolerance=_SUM)
add("cdist", _cdist, (*FLOAT, "int32"), gradient="x y", tolerance=_SUM)
add("correlate", _correlate, (*FLOAT, "int32", "int64", *COMPLEX), gradient="x1 x2", refuses=True, tolerance=_SUM)
add("einsum", _einsum, _DTYPES, gradient="operands", tolerance=_SUM)
