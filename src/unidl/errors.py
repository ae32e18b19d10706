"""The exceptions that unidl raises about its own contract."""

from __future__ import annotations

from typing import Any


class OpError(ValueError, RuntimeError):
    """An op was given arguments that do not fit: names the op, what came and what is expected.

    It is a `ValueError`, so code written for Keras catches it, and a `RuntimeError`, as PyTorch's own complaints are.

    Attributes:
        op: the op that was called, "" as long as nobody has said.
        message: the complaint without the op's name and arguments.
    """

    op = ""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class AxisError(OpError, IndexError):
    """An axis that the tensor does not have: an `IndexError`, too, as in NumPy."""


class UntraceableError(RuntimeError):
    """Python code asked a symbolic tensor for a value (or left unidl's ops) while being traced."""


class BackendError(ImportError):
    """A backend is unknown, missing its engine, or its engine fails to load."""


class GraphError(ValueError):
    """A graph cannot be built or run as asked."""


def describe(value: Any) -> str:
    """`value` as messages show it: dtype and shape of tensors, the repr of small things."""
    shape = getattr(value, "shape", None)
    dtype = getattr(value, "dtype", None)
    if shape is not None and dtype is not None:
        from unidl.dtypes import dtype_name

        try:
            return f"{dtype_name(dtype)}{list(shape)}"
        except ValueError:  # strings, objects
            return f"{dtype}{list(shape)}"
    if isinstance(value, (list, tuple)):
        text = ", ".join(describe(v) for v in value[:6]) + (", …" if len(value) > 6 else "")
        return f"[{text}]" if isinstance(value, list) else f"({text})"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
