"""What a case is: a layer, its arguments and the tensors of a call; and how arrays are made for it.

Shapes are words: letters are sizes that may be unknown (b batch, t time, …), numbers are fixed sizes.
After a colon comes what the tensor holds: ``int6`` integers below 6, ``pad`` a mask that is True up to
some length, ``holes`` any mask; without it floats.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SIZES = {"b": 2, "t": 5, "s": 4, "h": 7, "w": 6, "d": 4}
OTHER_SIZES = {"b": 3, "t": 4, "s": 6, "h": 9, "w": 8, "d": 5}


@dataclass(frozen=True)
class Case:
    """A layer class, its arguments, and the tensors of a call.

    Attributes:
        name: the test's id.
        layer: class name; arguments that are a [class name, arguments] pair are layers.
        inputs: a shape, or a list of them for a layer that takes a list.
        tensors: further tensor arguments of the call.
        flags: further plain arguments of the call.
        random: whether the outputs in training are random.
        keras: whether Keras gives the same outputs (with the reason where it does not).
        masks: masks for `compute_mask`, compared with Keras; None: no comparison.
        tolerance: absolute, for values of about 1.
    """

    name: str
    layer: str
    arguments: dict[str, Any]
    inputs: Any
    tensors: dict[str, Any] = field(default_factory=dict)
    flags: dict[str, Any] = field(default_factory=dict)
    random: bool = False
    keras: bool = True
    masks: Any = None
    tolerance: float = 2e-5


def dims(shape: str, sizes: dict[str, int] | None) -> tuple[int | None, ...]:
    """The words of a shape as sizes; letters become None without `sizes`."""
    words = shape.partition(":")[0].split()
    return tuple(int(v) if v.isdigit() else None if sizes is None else sizes[v] for v in words)


def dtype(shape: str) -> str:
    kind = shape.partition(":")[2]
    return "int32" if kind.startswith("int") else "bool" if kind else "float32"


def array(shape: str, sizes: dict[str, int], rng: np.random.Generator) -> np.ndarray:
    size, kind = dims(shape, sizes), shape.partition(":")[2]
    if kind.startswith("int"):
        return rng.integers(0, int(kind[3:]), size).astype("int32")
    if kind == "pad":
        lengths = rng.integers(1, size[-1] + 1, (*size[:-1], 1))
        return np.arange(size[-1]) < lengths
    if kind == "holes":
        mask = rng.random(size) < 0.6
        mask[..., 0] = True
        return mask
    return rng.standard_normal(size).astype("float32")


def structure(value: Any, function: Any) -> Any:
    """`function` of each shape in a shape, list of shapes, or dict of them."""
    if isinstance(value, dict):
        return {k: structure(v, function) for k, v in value.items()}
    return [structure(v, function) for v in value] if isinstance(value, list) else function(value)


def data(case: Case, sizes: dict[str, int] | None = None) -> tuple[Any, dict[str, Any]]:
    """Arrays for the inputs and the further tensors, the same in every process."""
    rng = np.random.default_rng(zlib.crc32(case.name.encode()))
    made = structure({"inputs": case.inputs, **case.tensors}, lambda s: array(s, sizes or SIZES, rng))
    return made.pop("inputs"), made


def make(case: Case, layers: Any, **more: Any) -> Any:
    """The layer, from a module of layer classes; `more` goes to it, and to the layers among its arguments."""

    def argument(value: Any) -> Any:
        if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], dict):
            return getattr(layers, value[0])(**{k: argument(v) for k, v in value[1].items()}, **more)
        if isinstance(value, list) and value and isinstance(value[0], list):
            return [argument(v) for v in value]
        return value

    return getattr(layers, case.layer)(**{k: argument(v) for k, v in case.arguments.items()}, **more)


def weight_value(name: str, shape: tuple[int, ...], seed: str) -> np.ndarray:
    """A value for a weight: positive for variances."""
    rng = np.random.default_rng(zlib.crc32(seed.encode()))
    value = 0.5 * rng.standard_normal(shape)
    return (np.abs(value) + 0.3 if "variance" in name else value).astype("float32")
