"""Rearranging the axes of a tensor by a pattern of names."""

from __future__ import annotations

import re
from typing import Any

from unidl import ops
from unidl.graph.symbolic import Dim
from unidl.ops._declare import OpError, Tensor, composite, require

_TOKEN = re.compile(r"\s*(\.\.\.|…|[()]|\w+|\S)")
_DOTS, _MERGED = "...", "(...)"

#: One side of a pattern: for each dimension of the tensor the names of the axes in it.
Side = list[list[str]]


def rearrange(tensor: Any, pattern: str, **axes_lengths: Any) -> Any:
    """`tensor` with axes split, moved and merged as `pattern` says, in the notation of einops.

    Args:
        pattern: ``"left -> right"``. Each name stands for an axis; names in parentheses share a dimension, the last
            one varying fastest; ``1`` is an axis of size 1, and ``...`` stands for any dimensions.
        axes_lengths: sizes of axes, for all but one of those in one pair of parentheses on the left.

    Raises:
        OpError: if the pattern is malformed, its two sides name different axes, or sizes do not fit.

    Example:
        >>> from unidl import ops
        >>> x = ops.reshape(ops.arange(6), (2, 3))
        >>> print(ops.convert_to_numpy(ops.rearrange(x, "a b -> b a")))
        [[0 3]
         [1 4]
         [2 5]]
        >>> print(ops.convert_to_numpy(ops.rearrange(x, "a (b c) -> (b a) c", c=1)))
        [[0]
         [3]
         [1]
         [4]
         [2]
         [5]]
    """
    return _rearrange(tensor, pattern, tuple(sorted(axes_lengths.items())))


@composite(name="rearrange")
def _rearrange(tensor: Tensor, pattern: str, axes_lengths: Any) -> Tensor:
    """`tensor` rearranged by `pattern`; `axes_lengths` are pairs of a name and a size."""
    have = ops.shape(tensor)
    left, right = _parsed(pattern, len(have))
    names = [n for group in left for n in group]
    lengths = dict(axes_lengths)
    if unknown := sorted(set(lengths) - set(names)):
        raise OpError(f"the pattern {pattern!r} has no axis {', '.join(unknown)}.")
    for name, size in lengths.items():
        valid = isinstance(size, Dim) or (hasattr(size, "__index__") and not isinstance(size, bool) and size >= 0)
        require(valid, f"the length of axis {name} must be an int of at least 0, not {size!r}.")
    for place, (group, size) in enumerate(zip(left, have, strict=True)):
        _solve(group, size, lengths, f"dimension {place} of shape {list(tensor.shape)} in {pattern!r}")
    result = tensor
    if any(len(group) != 1 for group in left):
        result = ops.reshape(result, tuple(lengths[n] for n in names))
    order = tuple(names.index(n) for group in right for n in group)
    if order != tuple(range(len(order))):
        result = ops.transpose(result, order)
    if any(len(group) != 1 for group in right):
        result = ops.reshape(result, tuple(_product(lengths[n] for n in group) for group in right))
    return result


def _product(sizes: Any) -> Any:
    total: Any = 1
    for size in sizes:
        total = total * size if isinstance(total, Dim) or total != 1 else size
    return total


def _solve(group: list[str], size: Any, lengths: dict[str, Any], where: str) -> None:
    """Fill in the one length of a group that was not given, and check the others."""
    open_names = [n for n in group if n not in lengths]
    require(len(open_names) <= 1, f"{where}: the lengths of {', '.join(open_names)} are not known; give all but one.")
    known = _product(lengths[n] for n in group if n in lengths)
    fixed = not isinstance(size, Dim) and not isinstance(known, Dim)
    if not open_names:
        require(not fixed or known == size, f"{where}: the size is {size}, the pattern says {known}.")
    elif len(group) == 1:
        lengths[open_names[0]] = size
    else:
        fits = not fixed or (known != 0 and size % known == 0)
        require(fits, f"{where}: size {size} cannot be divided by {known}.")
        lengths[open_names[0]] = size // known


def _parsed(pattern: Any, rank: int) -> tuple[Side, Side]:
    """Both sides of a pattern for a tensor of `rank` dimensions, ``...`` written out, checked."""
    valid = isinstance(pattern, str) and pattern.count("->") == 1
    require(valid, f"`pattern` must be 'left -> right', not {pattern!r}.")
    sides = [_side(text, pattern) for text in pattern.split("->")]
    before, after = ([n for group in side for n in group] for side in sides)
    require(_MERGED not in before, f"{pattern!r} has `...` in parentheses on the left.")
    after = [_DOTS if n == _MERGED else n for n in after]
    for names in (before, after):
        if double := sorted({n for n in names if names.count(n) > 1}):
            raise OpError(f"{pattern!r} names {', '.join(double)} twice on one side.")
    if lonely := sorted(set(before) ^ set(after)):
        raise OpError(f"{pattern!r} has {', '.join(lonely)} on one side only.")
    named = len(sides[0]) - (_DOTS in before)
    fits = rank >= named if _DOTS in before else rank == named
    require(fits, f"{pattern!r} does not fit a tensor of {rank} dimensions.")
    dots = [f"{_DOTS}{i}" for i in range(rank - named)]
    return _written_out(sides[0], dots), _written_out(sides[1], dots)


def _side(text: str, pattern: str) -> Side:
    """The groups of one side; ``...`` in parentheses, where its dimensions are merged, has a name of its own."""
    side: Side = []
    inside: list[str] | None = None
    for token in _TOKEN.findall(text):
        if token == "(":
            require(inside is None, f"{pattern!r} has parentheses inside parentheses.")
            inside = []
        elif token == ")":
            require(inside is not None, f"{pattern!r} has a `)` without a `(`.")
            side.append(inside or [])
            inside = None
        else:
            token = _DOTS if token == "…" else token
            valid = token in (_DOTS, "1") or token.isidentifier()
            require(valid, f"{pattern!r} holds {token!r}; names, 1, `...` and parentheses are allowed.")
            names = [] if token == "1" else [token]
            if inside is None:
                side.append(names)
            else:
                inside += [_MERGED if n == _DOTS else n for n in names]
    require(inside is None, f"{pattern!r} has a `(` without a `)`.")
    return side


def _written_out(side: Side, dots: list[str]) -> Side:
    """`side` with the names `dots` in place of ``...``."""
    result: Side = []
    for group in side:
        if group == [_DOTS]:
            result += [[d] for d in dots]
        else:
            result.append([n for name in group for n in (dots if name == _MERGED else [name])])
    return result


__all__ = ["rearrange"]
