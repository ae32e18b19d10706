"""`InputSpec`: what a layer takes."""

from __future__ import annotations

from typing import Any

from unidl.dtypes import dtype_name

__all__ = ["InputSpec"]


class InputSpec:
    """What a built layer takes: checked when a call is recorded, and when one fails.

    Args:
        dtype: dtype name of the input; None for any.
        shape: sizes, None for any; sets the number of dimensions, too.
        ndim, max_ndim, min_ndim: exact, largest and least number of dimensions.
        axes: axis to size.
        allow_last_axis_squeeze: whether a last axis of size 1 may be there or not, on either side.
        name: the input's key, if inputs come as a dict.
        optional: whether None may come in place of the tensor.

    Example:
        >>> import unidl
        >>> spec = unidl.layers.InputSpec(min_ndim=2, axes={-1: 5})
        >>> spec.problem((None, 4))
        'expected 5 elements along axis -1'
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Any = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Any = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        self.dtype = None if dtype is None else dtype_name(dtype)
        self.shape: tuple[int | None, ...] | None = None if shape is None else tuple(shape)
        self.ndim = ndim if shape is None else len(self.shape or ())
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional
        try:
            self.axes: dict[int, int | None] = {int(axis): size for axis, size in dict(axes or {}).items()}
        except (TypeError, ValueError):
            raise TypeError(f"InputSpec: the keys of `axes` must be integers, not {axes!r}.") from None
        limit = self.ndim if self.ndim is not None else max_ndim
        largest = max(self.axes, default=None)
        if limit is not None and largest is not None and largest >= limit:
            raise ValueError(f"InputSpec: `axes` names axis {largest}, but inputs have at most {limit} dimensions.")

    def problem(self, shape: tuple[int | None, ...], dtype: str | None = None) -> str:
        """What is wrong with an input of `shape` and `dtype`; empty if nothing is."""
        rank = len(shape)
        if self.ndim is not None and rank != self.ndim and not self.allow_last_axis_squeeze:
            return f"expected ndim={self.ndim}, {self.ndim} dimensions"
        if self.min_ndim is not None and rank < self.min_ndim:
            return f"expected min_ndim={self.min_ndim}, at least {self.min_ndim} dimensions"
        if self.max_ndim is not None and rank > self.max_ndim:
            return f"expected max_ndim={self.max_ndim}, at most {self.max_ndim} dimensions"
        if self.dtype is not None and dtype is not None and dtype != self.dtype:
            return f"expected dtype={self.dtype}, not {dtype}"
        for axis, size in self.axes.items():
            if size is not None and -rank <= axis < rank and shape[axis] not in (None, size):
                return f"expected {size} elements along axis {axis}"
        if self.shape is not None:
            wanted, have = self.shape, shape
            if self.allow_last_axis_squeeze:
                wanted, have = (s[:-1] if s and s[-1] == 1 else s for s in (wanted, have))
                if len(wanted) != len(have):
                    return f"expected shape={self.shape}, with or without a last axis of 1"
            if any(w is not None and d is not None and w != d for w, d in zip(wanted, have, strict=True)):
                return f"expected shape={self.shape}"
        return ""

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data."""
        return {
            "dtype": self.dtype, "shape": self.shape, "ndim": self.ndim, "max_ndim": self.max_ndim,
            "min_ndim": self.min_ndim, "axes": self.axes, "allow_last_axis_squeeze": self.allow_last_axis_squeeze,
            "name": self.name, "optional": self.optional,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputSpec:
        """The spec that `get_config` described."""
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, InputSpec) and self.get_config() == other.get_config()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        said = {k: v for k, v in self.get_config().items() if v not in (None, False, {})}
        return f"InputSpec({', '.join(f'{k}={v!r}' for k, v in said.items())})"
