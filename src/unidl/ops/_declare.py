"""Declaring ops: one Python function each, primitive or composite.

A **primitive**'s body is its shape and dtype rule: it receives symbolic tensors (`shape`, `dtype`)
for its tensor parameters and returns a :class:`TensorSpec`, or a tuple of them. Backends supply
the implementation. A **composite**'s body is its decomposition into other ops; a backend may have
a kernel for it in its table, and need not.

Which parameters are tensors is read off the annotations::

    x: Tensor            one tensor
    b: Tensor | None     one tensor or nothing
    xs: Tensors          a list or tuple of tensors

Everything else is an attribute, passed on as it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from unidl.backend.attributes import require
from unidl.dtypes import COMPLEX, FLOATS, INTEGERS, result_dtype, weak_kind
from unidl.errors import AxisError, OpError, describe
from unidl.graph.symbolic import SymbolicTensor, TensorSpec

Tensor = Any
Tensors = Sequence[Any]

_KINDS = {"Tensor": "one", "Tensor | None": "optional", "Tensors": "many"}

#: Every declared op by name: the table that backends, importers and the conformance kit read.
TABLE: dict[str, Op] = {}


@dataclass(eq=False)
class Op:
    """A declared op.

    Attributes:
        name: public name, unique in the table.
        kind: "primitive", "composite" or "opaque" (native code recorded as one node).
        rule: the declared body.
        parameters: names of all parameters in order.
        tensor_parameters: name to "one", "optional" or "many".
        promote: the tensor parameters that meet in one dtype.
        floating: whether integers among the promoted parameters (all tensor parameters if none
            are promoted) become the default float.
        scalars: whether backends accept a Python number for one of the promoted parameters.
        public: the function users call, bound to the backend.
        checked: whether the rule runs before the engine, once for each combination of shapes, dtypes and
            attributes, because some engine would accept in silence what the rule refuses.
        traceable: for native code: whether an engine's own tracer may run it. Python code of a layer
            that asks for values may not be.
        origin: for native code: the layer whose code it is, if that can be written in other ways too.
    """

    name: str
    kind: str
    rule: Callable[..., Any]
    parameters: tuple[str, ...]
    tensor_parameters: dict[str, str]
    promote: tuple[str, ...] = ()
    floating: bool = False
    scalars: bool = False
    checked: bool = False
    module: str = ""
    signature: inspect.Signature = field(default_factory=inspect.Signature)
    public: Callable[..., Any] = field(default=lambda: None)
    traceable: bool = True
    origin: Any = None

    def __repr__(self) -> str:
        return f"<{self.kind} op {self.name}>"

    def fail(self, message: str) -> OpError:
        return OpError(f"{self.name}: {message}")

    def __reduce__(self) -> Any:
        """Pickled by name: graphs in pickles are made of the ops that are there when they are read."""
        return (_declared, (self.name,)) if TABLE.get(self.name) is self else super().__reduce__()


def _declared(name: str) -> Op:
    return TABLE[name]


def _declare(kind: str, fn: Callable[..., Any], promote: str, name: str, **flags: Any) -> Callable[..., Any]:
    from unidl.ops._bind import bind

    signature = inspect.signature(fn)
    tensors = {n: _KINDS[p.annotation] for n, p in signature.parameters.items() if p.annotation in _KINDS}
    promoted = tuple(promote.split())
    if unknown := [n for n in promoted if n not in tensors]:
        raise TypeError(f"{fn.__name__}: promotes {unknown}, which are not tensor parameters.")
    op = Op(
        name or fn.__name__, kind, fn, tuple(signature.parameters), tensors, promoted, **flags,
        module=fn.__module__, signature=signature,
    )  # fmt: skip
    if op.name in TABLE:
        raise TypeError(f"op {op.name!r} is declared twice.")
    TABLE[op.name] = op
    op.public = bind(op)
    return op.public


def primitive(
    fn: Any = None,
    /,
    *,
    promote: str = "",
    floating: bool = False,
    scalars: bool = False,
    checked: bool = False,
    name: str = "",
) -> Any:
    """Declare a primitive; the body is its shape and dtype rule.

    Args:
        promote, floating, scalars, checked: see `Op`; `promote` as names with blanks between.
        name: the op's name, if the function has another because a wrapper with a friendlier signature has that.
    """
    flags = {"floating": floating, "scalars": scalars, "checked": checked}
    if fn is None:
        return lambda f: _declare("primitive", f, promote, name, **flags)
    return _declare("primitive", fn, promote, name, **flags)


def composite(
    fn: Any = None,
    /,
    *,
    promote: str = "",
    floating: bool = False,
    scalars: bool = False,
    checked: bool = False,
    name: str = "",
) -> Any:
    """Declare a composite; the body is its decomposition. The arguments are those of `primitive`."""
    flags = {"floating": floating, "scalars": scalars, "checked": checked}
    if fn is None:
        return lambda f: _declare("composite", f, promote, name, **flags)
    return _declare("composite", fn, promote, name, **flags)


# -- what shape rules are made of ------------------------------------------------------------------


def like(x: SymbolicTensor, dtype: str | None = None) -> TensorSpec:
    """The spec of an elementwise result of `x`."""
    return TensorSpec(x.shape, dtype or x.dtype)


def need_rank(x: Any, what: str, low: int, high: int | None = None) -> None:
    """Raise OpError unless `x` has `low` to `high` dimensions (None: any number from `low` on)."""
    rank = len(x.shape)
    if rank < low or (high is not None and rank > high):
        wanted = f"at least {low}" if high is None else str(low) if low == high else f"{low} to {high}"
        raise OpError(f"`{what}` has {rank} dimensions (shape {list(x.shape)}); {wanted} are expected.")


_DTYPE_KINDS: dict[str, Callable[[str], bool]] = {
    "integer": lambda d: d in INTEGERS,
    "integral": lambda d: d in INTEGERS or d == "bool",
    "floating": lambda d: d in FLOATS,
    "inexact": lambda d: d in FLOATS or d in COMPLEX,
    "real": lambda d: d not in COMPLEX,
    "numeric": lambda d: d != "bool",
    "bool": lambda d: d == "bool",
}


def need_dtype(x: Any, what: str, kind: str) -> None:
    """Raise OpError unless the dtype of `x` is of `kind`.

    Kinds: integer, integral (integer or bool), floating, inexact (floating or complex), real (not complex),
    numeric (not bool), bool.
    """
    if not _DTYPE_KINDS[kind](dtype := _dtype_of(x)):
        raise OpError(f"`{what}` is {dtype}; {_WANTED[kind]} is expected.")


_WANTED = {
    "integer": "an integer dtype", "integral": "an integer dtype or bool", "floating": "a float dtype",
    "inexact": "a float or complex dtype", "real": "a dtype that is not complex",
    "numeric": "a dtype other than bool",
    "bool": "bool",
}  # fmt: skip


def _dtype_of(x: Any) -> str:
    from unidl.ops._bind import dtype_of

    return dtype_of(x)


def axis_index(axis: Any, ndim: int, what: str = "axis") -> int:
    """`axis` as a number from 0 to ``ndim - 1``, or an error that says what would fit."""
    if isinstance(axis, bool) or not hasattr(axis, "__index__"):
        raise OpError(f"`{what}` must be an int, not {axis!r}.")
    axis = int(axis)
    if ndim == 0:
        raise AxisError(f"`{what}` is {axis}, but there are 0 dimensions.")
    if not -ndim <= axis < ndim:
        raise AxisError(f"`{what}` is {axis}, out of range for {ndim} dimensions (allowed: {-ndim} to {ndim - 1}).")
    return axis % ndim


def axes_tuple(axis: Any, ndim: int) -> tuple[int, ...]:
    """Reduction axes (None: all) as sorted non-negative numbers."""
    if axis is None:
        return tuple(range(ndim))
    axes = [axis_index(a, ndim) for a in (axis if isinstance(axis, (tuple, list)) else [axis])]
    if len(set(axes)) != len(axes):
        raise OpError(f"`axis` names a dimension twice: {axis}.")
    return tuple(sorted(axes))


def reduced_shape(shape: Sequence[int | None], axis: Any, keepdims: bool) -> tuple[int | None, ...]:
    axes = axes_tuple(axis, len(shape))
    if keepdims:
        return tuple(1 if i in axes else d for i, d in enumerate(shape))
    return tuple(d for i, d in enumerate(shape) if i not in axes)


def broadcast(*shapes: Sequence[int | None]) -> tuple[int | None, ...]:
    """NumPy's broadcasting of shapes with unknown dimensions.

    An unknown dimension against 1 (or another unknown one) stays unknown; against n > 1 it is n.
    """
    ndim = max((len(s) for s in shapes), default=0)
    result: list[int | None] = []
    for i in range(-ndim, 0):
        dims = [s[i] for s in shapes if len(s) >= -i]
        known = {d for d in dims if d is not None and d != 1}
        if len(known) > 1:
            raise OpError(f"shapes {', '.join(str(list(s)) for s in shapes)} do not broadcast (dimension {i}).")
        if known:
            result.append(known.pop())
        else:
            result.append(None if None in dims else 1)
    return tuple(result)


def pair(x1: Any, x2: Any, dtype: str | None = None) -> TensorSpec:
    """The spec of a broadcast result; one operand may be a Python number."""
    kinds = [weak_kind(x) or x.dtype for x in (x1, x2)]
    return TensorSpec(broadcast(getattr(x1, "shape", ()), getattr(x2, "shape", ())), dtype or result_dtype(*kinds))


def same_dim(a: int | None, b: int | None, what: str) -> int | None:
    """The common size of two dimensions that must be equal; None if both are unknown."""
    if a is not None and b is not None and a != b:
        raise OpError(f"{what}: {a} and {b} differ.")
    return b if a is None else a


__all__ = [
    "TABLE", "Op", "OpError", "Tensor", "TensorSpec", "Tensors", "axes_tuple", "axis_index", "broadcast",
    "composite", "describe", "like", "need_dtype", "need_rank", "pair", "primitive",
    "reduced_shape", "require", "same_dim",
]  # fmt: skip
