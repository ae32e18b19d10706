"""`DTypePolicy`: one dtype for weights, one for computing."""

from __future__ import annotations

from typing import Any

from unidl.dtypes import FLOATS, dtype_name

_MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


class DTypePolicy:
    """In which dtypes a layer computes and keeps its weights.

    Args:
        name: a dtype, for both; or "mixed_float16" or "mixed_bfloat16": 16 bits for computing, float32 for
            weights (Micikevicius et al., arXiv:1710.03740). None: the global policy's.

    Raises:
        ValueError: if it names no policy.
        TypeError: if it is no string.

    Example:
        >>> import unidl
        >>> policy = unidl.dtype_policies.DTypePolicy("mixed_bfloat16")
        >>> policy.compute_dtype, policy.variable_dtype
        ('bfloat16', 'float32')
    """

    def __init__(self, name: str | None = None) -> None:
        if name is None:
            from unidl.dtype_policies._global import dtype_policy

            name = dtype_policy().name
        self._name = name
        self._compute_dtype, self._variable_dtype = dtypes_of(name)
        self._quantization_mode: str | None = None

    @property
    def name(self) -> str:
        return self._name

    @property
    def compute_dtype(self) -> str:
        """The dtype of a layer's inputs and outputs, and of its weights as it reads them."""
        return self._compute_dtype

    @property
    def variable_dtype(self) -> str:
        """The dtype of a layer's weights."""
        return self._variable_dtype

    @property
    def quantization_mode(self) -> str | None:
        """How weights are quantized; None if they are not."""
        return self._quantization_mode

    def convert_input(self, x: Any, autocast: bool, dtype: Any) -> Any:
        """`x` as a tensor, floats in `dtype` if `autocast`; what is no array is returned as it is."""
        from unidl import ops
        from unidl.backend import active
        from unidl.graph.symbolic import SymbolicTensor
        from unidl.ops._bind import dtype_of

        if not (type(x) is SymbolicTensor or active.is_tensor(x)):
            if not hasattr(x, "__array__"):
                return x
            x = ops.convert_to_tensor(x)
        have, want = dtype_of(x), dtype_name(dtype)
        return ops.cast(x, want) if autocast and have in FLOATS and have != want else x

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The policy that `get_config` described."""
        return cls(**config)

    def _kind(self) -> type:
        """Policies are compared within their kind; the alias of this class is the same kind."""
        return DTypePolicy if type(self) is FloatDTypePolicy else type(self)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, DTypePolicy) and self._kind() is other._kind() and self.get_config() == other.get_config()
        )

    def __hash__(self) -> int:
        return hash((self._kind(), self.name))

    def __repr__(self) -> str:
        return f'<{self._kind().__name__} "{self.name}">'


class FloatDTypePolicy(DTypePolicy):
    """The same as `DTypePolicy`."""


def dtypes_of(name: Any) -> tuple[str, str]:
    """The dtypes for computing and for weights that a policy's name means."""
    if not isinstance(name, str):
        raise TypeError(f"A policy's 'name' must be a string like 'mixed_bfloat16', not {name!r} ({type(name)}).")
    if name in _MIXED:
        return _MIXED[name], "float32"
    try:
        dtype = dtype_name(name)
    except ValueError:
        raise ValueError(
            f"Cannot convert {name!r} to a dtype policy: give the name of a dtype, such as 'float32', or "
            "'mixed_float16' or 'mixed_bfloat16'."
        ) from None
    return dtype, dtype
