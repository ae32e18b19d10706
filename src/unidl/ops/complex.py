"""Complex numbers. A tensor that is not complex counts as one whose imaginary part is 0."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.dtypes import COMPLEX
from unidl.ops._bind import dtype_of
from unidl.ops._declare import Tensor, TensorSpec, composite, need_dtype, primitive, require

_PARTS = {"complex64": "float32", "complex128": "float64"}
_WHOLE = {part: whole for whole, part in _PARTS.items()}


def _is_complex(x: Any) -> bool:
    return dtype_of(x) in COMPLEX


@primitive(checked=True)
def view_as_complex(x: Tensor) -> Tensor:
    """Complex numbers of pairs: `x` of float32 or float64 has a last dimension of size 2, real and imaginary part.

    Example:
        >>> from unidl import ops
        >>> from unidl.graph.symbolic import SymbolicTensor
        >>> ops.view_as_complex(SymbolicTensor((3, 2))).dtype
        'complex64'
    """
    require(x.dtype in _WHOLE, f"`x` is {x.dtype}; float32 or float64 is expected.")
    require(
        len(x.shape) > 0 and x.shape[-1] in (2, None),
        f"the last dimension of `x` must have size 2, for real and imaginary part (shape {list(x.shape)}).",
    )
    return TensorSpec(x.shape[:-1], _WHOLE[x.dtype])


@primitive(checked=True)
def view_as_real(x: Tensor) -> Tensor:
    """Real and imaginary part of complex `x` along a new last dimension of size 2.

    Example:
        >>> from unidl import ops
        >>> from unidl.graph.symbolic import SymbolicTensor
        >>> ops.view_as_real(SymbolicTensor((3,), "complex64")).shape
        (3, 2)
    """
    require(x.dtype in COMPLEX, f"`x` is {x.dtype}; a complex dtype is expected.")
    return TensorSpec((*x.shape, 2), _PARTS[x.dtype])


@composite
def real(x: Tensor) -> Tensor:
    """The real part.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.real([1.0, -2.0])))
        [ 1. -2.]
    """
    return ops.view_as_real(x)[..., 0] if _is_complex(x) else ops.copy(x)


@composite
def imag(x: Tensor) -> Tensor:
    """The imaginary part.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.imag([1.0, -2.0])))
        [0. 0.]
    """
    return ops.view_as_real(x)[..., 1] if _is_complex(x) else ops.zeros_like(x)


@composite
def conjugate(x: Tensor) -> Tensor:
    """The complex conjugate: the imaginary part negated.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.conjugate([1.0, -2.0])))
        [ 1. -2.]
    """
    if not _is_complex(x):
        return ops.copy(x)
    return ops.view_as_complex(ops.stack([ops.real(x), ops.negative(ops.imag(x))], -1))


@composite(floating=True)
def angle(x: Tensor) -> Tensor:
    """The angle of complex numbers in radians, from -pi to pi; of a negative real number it is pi.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.angle([1.0, 2.0])))
        [0. 0.]
    """
    return ops.arctan2(ops.imag(x), ops.real(x))


@composite(promote="abs_ angle", floating=True)
def polar(abs_: Tensor, angle: Tensor) -> Tensor:
    """Complex numbers with the given moduli and angles in radians; of float32 or float64 parts.

    Example:
        >>> from unidl import ops
        >>> from unidl.graph.symbolic import SymbolicTensor
        >>> ops.polar(SymbolicTensor((3,)), 0.0).dtype
        'complex64'
    """
    need_dtype(abs_, "abs_", "floating")
    if dtype_of(abs_) not in _WHOLE:
        abs_, angle = ops.cast(abs_, "float32"), ops.cast(angle, "float32")
    parts = [ops.multiply(abs_, ops.cos(angle)), ops.multiply(abs_, ops.sin(angle))]
    return ops.view_as_complex(ops.stack(parts, -1))


@composite
def isreal(x: Tensor) -> Tensor:
    """Where the imaginary part is 0.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.isreal([1.0, 2.0])))
        [ True  True]
    """
    return ops.equal(ops.imag(x), 0) if _is_complex(x) else ops.ones_like(x, "bool")


conj = conjugate


__all__ = ["angle", "conj", "conjugate", "imag", "isreal", "polar", "real", "view_as_complex", "view_as_real"]
