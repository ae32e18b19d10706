"""Functions of single elements applied to whole tensors."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterable
from typing import Any

from unidl import ops
from unidl.errors import OpError
from unidl.ops._declare import broadcast, require

_DIMS = r"\(\s*(?:\w+(?:\s*,\s*\w+)*)?\s*\)"
_SIGNATURE = re.compile(rf"\s*{_DIMS}(?:\s*,\s*{_DIMS})*\s*->\s*{_DIMS}(?:\s*,\s*{_DIMS})*\s*")

Names = tuple[str, ...]


def vectorize(
    pyfunc: Callable[..., Any], *, excluded: Iterable[Any] | None = None, signature: str | None = None
) -> Any:
    """A function that calls `pyfunc` for each element of its arguments, which broadcast together.

    `pyfunc` is called in a Python loop, with tensors, and must use `unidl.ops`; while recording, the sizes of its
    arguments must be known.

    Args:
        pyfunc: takes and returns tensors without dimensions, or such as `signature` says; may return a tuple.
        excluded: positions and names of arguments that are passed on as they are.
        signature: the dimensions of what `pyfunc` takes and returns, e.g. ``"(m,n),(n)->(m)"``; it is called for each
            place in the dimensions before those.

    Example:
        >>> from unidl import ops
        >>> larger = ops.vectorize(lambda a, b: ops.maximum(a, b))
        >>> print(ops.convert_to_numpy(larger([1, 5, 3], 2)))
        [2 5 3]
        >>> inner = ops.vectorize(lambda a, b: ops.sum(a * b), signature="(n),(n)->()")
        >>> print(ops.convert_to_numpy(inner([[1, 2], [3, 4]], [1, 1])))
        [3 7]
    """
    require(callable(pyfunc), f"vectorize: `pyfunc` must be a function, not {pyfunc!r}.")
    apart = set(excluded or ())
    takes, gives = _signature(signature)

    @functools.wraps(pyfunc)
    def vectorized(*args: Any, **kwargs: Any) -> Any:
        places: list[Any] = [i for i in range(len(args)) if i not in apart]
        places += [name for name in kwargs if name not in apart]
        given = [ops.convert_to_tensor(args[p] if isinstance(p, int) else kwargs[p]) for p in places]

        def call(values: list[Any]) -> Any:
            positional, named = list(args), dict(kwargs)
            for place, value in zip(places, values, strict=True):
                if isinstance(place, int):
                    positional[place] = value
                else:
                    named[place] = value
            return pyfunc(*positional, **named)

        return _over_elements(call, given, takes, gives)

    return vectorized


def _signature(text: Any) -> tuple[list[Names] | None, list[Names] | None]:
    """The names of the dimensions of each argument and of each result; None without a signature."""
    if text is None:
        return None, None
    valid = isinstance(text, str) and _SIGNATURE.fullmatch(text)
    require(bool(valid), f"vectorize: {text!r} is no signature such as '(m,n),(n)->(m)'.")
    sides = [[tuple(re.findall(r"\w+", dims)) for dims in re.findall(_DIMS, side)] for side in text.split("->")]
    return sides[0], sides[1]


def _over_elements(
    call: Callable[[list[Any]], Any], given: list[Any], takes: list[Names] | None, gives: list[Names] | None
) -> Any:
    takes = [()] * len(given) if takes is None else takes
    require(len(takes) == len(given), f"vectorize: the signature has {len(takes)} arguments, {len(given)} came.")
    shapes = [tuple(x.shape) for x in given]
    known = all(d is not None for shape in shapes for d in shape)
    require(known, f"vectorize: the sizes of the arguments must be known, not {[list(s) for s in shapes]}.")
    sizes: dict[str, int] = {}
    outer: list[tuple[Any, ...]] = []
    for shape, names in zip(shapes, takes, strict=True):
        fits = len(shape) >= len(names)
        require(fits, f"vectorize: an argument of shape {list(shape)} has no dimensions {', '.join(names)}.")
        outer.append(shape[: len(shape) - len(names)])
        for name, size in zip(names, shape[len(shape) - len(names) :], strict=True):
            size = int(size)
            same = sizes.setdefault(name, size) == size
            require(same, f"vectorize: dimension {name} has sizes {sizes[name]} and {size}.")
    loop = tuple(int(d) for d in broadcast(*outer) if d is not None)
    require(0 not in loop, f"vectorize: there are no elements to call the function for (shape {list(loop)}).")
    found: list[list[Any]] = []
    several = False
    for place in itertools.product(*map(range, loop)):
        values = []
        for x, shape in zip(given, outer, strict=True):
            own = place[len(place) - len(shape) :]
            key = tuple(0 if d == 1 else i for i, d in zip(own, shape, strict=True))
            values.append(ops.getitem(x, key) if key else x)
        result = call(values)
        several = isinstance(result, (tuple, list))
        found.append(list(result) if several else [result])
    if gives is not None:
        _check_results(found[0], gives, sizes)
    stacked = [ops.stack(list(each), 0) for each in zip(*found, strict=True)]
    results = [ops.reshape(s, (*loop, *ops.shape(s)[1:])) for s in stacked]
    return tuple(results) if several else results[0]


def _check_results(results: list[Any], gives: list[Names], sizes: dict[str, int]) -> None:
    count = len(results)
    require(count == len(gives), f"vectorize: the function returned {count} results, the signature has {len(gives)}.")
    sizes = dict(sizes)
    for result, names in zip(results, gives, strict=True):
        shape = tuple(ops.shape(result))
        if len(shape) != len(names) or any(sizes.setdefault(n, d) != d for n, d in zip(names, shape, strict=True)):
            wanted = ", ".join(names)
            raise OpError(f"vectorize: the function returned shape {list(shape)}, the signature says ({wanted}).")


__all__ = ["vectorize"]
