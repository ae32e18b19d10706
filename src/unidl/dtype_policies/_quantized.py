"""Policies that also say how weights are quantized."""

from __future__ import annotations

from typing import Any

from unidl.dtype_policies._policy import DTypePolicy, dtypes_of

MODES = ("int8", "float8", "int4", "gptq", "awq")


class QuantizedDTypePolicy(DTypePolicy):
    """A policy for quantized weights.

    Args:
        mode: "int8", "float8", "int4", "gptq" or "awq".
        source_name: the policy that holds beside it, e.g. "mixed_bfloat16"; None: the global one's.

    Raises:
        ValueError: for another mode, or for int8 with float16, whose range is too small for the sums.
    """

    def __init__(self, mode: str, source_name: str | None = None) -> None:
        if source_name is None:
            from unidl.dtype_policies._global import dtype_policy

            source_name = dtype_policy().name
        self._compute_dtype, self._variable_dtype = dtypes_of(source_name)
        if mode not in MODES:
            raise ValueError(f"Invalid quantization mode. It must be one of {MODES}, not {mode!r}.")
        if mode == "int8" and self._compute_dtype == "float16":
            raise ValueError(
                f"Quantization mode {mode!r} doesn't work well with float16: sums of int8 products exceed its range. "
                "Use a policy that computes in bfloat16 or float32."
            )
        self._name = f"{mode}_from_{source_name}"
        self._source_name = source_name
        self._quantization_mode = mode

    def get_config(self) -> dict[str, Any]:
        return {"mode": self._quantization_mode, "source_name": self._source_name}


class QuantizedFloat8DTypePolicy(QuantizedDTypePolicy):
    """A policy for float8 (Micikevicius et al., arXiv:2209.05433).

    Args:
        amax_history_length: over how many steps the greatest absolute value is taken that decides the scale.
    """

    default_amax_history_length = 1024

    def __init__(self, mode: str, source_name: str | None = None, amax_history_length: int = 1024) -> None:
        super().__init__(mode, source_name)
        if not isinstance(amax_history_length, int):
            raise TypeError(f"`amax_history_length` must be an integer. {amax_history_length!r} was given.")
        self._amax_history_length = amax_history_length

    @property
    def amax_history_length(self) -> int:
        return self._amax_history_length

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "amax_history_length": self.amax_history_length}


class _StructuredPolicy(QuantizedDTypePolicy):
    """A policy whose mode carries numbers: ``"gptq/4/128"``."""

    _base = ""
    _fields: tuple[str, ...] = ()

    def __init__(self, mode: str, source_name: str | None = None) -> None:
        form = "/".join((self._base, *(f"<{f}>" for f in self._fields)))
        base, *numbers = mode.split("/")
        if base != self._base or len(numbers) != len(self._fields):
            raise ValueError(f"Invalid mode for {type(self).__name__}: {mode!r} is not of the form {form!r}.")
        try:
            values = [int(n) for n in numbers]
        except ValueError:
            raise ValueError(
                f"Invalid mode for {type(self).__name__}: the parts in <> of {form!r} must be integers; got {mode!r}."
            ) from None
        for field, value in zip(self._fields, values, strict=True):
            allowed, meaning = _ALLOWED[field]
            if not allowed(self._base, value):
                raise ValueError(f"Invalid {field} in mode {mode!r}: {meaning}, not {value}.")
            setattr(self, field, value)
        super().__init__(base, source_name)
        self.mode = base
        self._name = f"{mode}_from_{self._source_name}"

    def get_config(self) -> dict[str, Any]:
        mode = "/".join((self.mode, *(str(getattr(self, f)) for f in self._fields)))
        return {**super().get_config(), "mode": mode}


_ALLOWED: dict[str, tuple[Any, str]] = {
    "block_size": (lambda base, n: n == -1 or n > 0, "it must be positive, or -1 for whole channels"),
    "group_size": (lambda base, n: n == -1 or n > 0, "it must be positive, or -1 for the whole tensor"),
    "weight_bits": (
        lambda base, n: n == 4 if base == "awq" else n in (2, 3, 4, 8),
        "it must be 4 for awq, and 2, 3, 4 or 8 for gptq",
    ),
}


class Int4DTypePolicy(_StructuredPolicy):
    """A policy for 4-bit weights with one scale for each block: ``"int4/<block_size>"``."""

    _base, _fields = "int4", ("block_size",)


class GPTQDTypePolicy(_StructuredPolicy):
    """A policy for GPTQ (Frantar et al., arXiv:2210.17323): ``"gptq/<weight_bits>/<group_size>"``."""

    _base, _fields = "gptq", ("weight_bits", "group_size")


class AWQDTypePolicy(_StructuredPolicy):
    """A policy for AWQ (Lin et al., arXiv:2306.00978): ``"awq/<weight_bits>/<group_size>"``."""

    _base, _fields = "awq", ("weight_bits", "group_size")


def quantized_policy(name: str) -> QuantizedDTypePolicy:
    """The policy called ``<mode>_from_<source>``.

    Raises:
        ValueError: if the name is not of that form.
    """
    mode, found, source = name.partition("_from_")
    if not found:
        raise ValueError(
            f"Cannot convert {name!r} to a dtype policy: quantized ones are called '<mode>_from_<policy>'."
        )
    kinds: dict[str, type[QuantizedDTypePolicy]] = {
        "float8": QuantizedFloat8DTypePolicy,
        "gptq": GPTQDTypePolicy,
        "awq": AWQDTypePolicy,
    }
    if "/" in mode:
        kinds["int4"] = Int4DTypePolicy
    return kinds.get(mode.partition("/")[0], QuantizedDTypePolicy)(mode, source)
