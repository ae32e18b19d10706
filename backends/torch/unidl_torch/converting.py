"""Programs of `torch.export` and TorchScript as ONNX files, by torch's own exporters."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from unidl.backend.contract import ProgramInputs

#: The opset that torch's exporter of TorchScript is documented for in full.
_OPSET = 17
#: What stands for sizes that may vary while a TorchScript file is converted: no size that layers are likely to divide
#: away, and not 1, which torch would take for a broadcast.
_BATCH, _SIZE = 2, 64


def write_onnx(source: Path, target: Path, inputs: ProgramInputs) -> None:
    """Write the program in a ``.pt2``, ``.pt`` or ``.pth`` file as ONNX; inputs whose dtype is not said are float32."""
    if importlib.util.find_spec("onnxscript") is None:
        raise ImportError(f"torch converts {source.name} to ONNX by the package onnxscript: pip install onnxscript.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if source.suffix == ".pt2":
                written = torch.onnx.export(torch.export.load(source), dynamo=True, verbose=False)
                written.save(target)  # type: ignore[union-attr]
            else:
                _write_script(source, target, inputs)
    except (OSError, _Unclear):
        raise
    except Exception as error:
        raise ValueError(f"torch cannot make an ONNX model of {source}: {_gist(error)}") from error


class _Unclear(ValueError):
    """What the user must say so that a file can be converted."""


def _write_script(source: Path, target: Path, inputs: ProgramInputs) -> None:
    try:
        module = torch.jit.load(source, map_location="cpu").eval()
    except RuntimeError as error:
        raise _Unclear(
            f"{source} is no TorchScript file ({_gist(error)}). If it is a state_dict, say with --model of which model."
        ) from error
    declared = {argument.name: argument for argument in module.forward.schema.arguments[1:]}
    _check(source, declared, inputs)
    given = {name: inputs[name] for name in declared}
    examples = tuple(_example(name, *said) for name, said in given.items())
    with torch.no_grad(), _silent():
        outputs = torch.utils._pytree.tree_leaves(module(*examples))
        torch.onnx.export(
            module,
            examples,
            target,
            dynamo=False,
            input_names=list(given),
            output_names=[f"output_{i}" for i in range(len(outputs))],
            dynamic_axes={name: [i for i, n in enumerate(shape) if n is None] for name, (shape, _) in given.items()},
            opset_version=_OPSET,
        )


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without standard output, to which the exporter's C++ prints whole graphs when it fails."""
    sys.stdout.flush()
    kept = os.dup(1)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _check(source: Path, declared: dict[str, Any], inputs: ProgramInputs) -> None:
    """
    Raises:
        _Unclear: if `inputs` does not say what the program takes, or it takes what torch's exporter cannot write.
    """
    takes = ", ".join(f"{name}: {argument.type}" for name, argument in declared.items())
    if any(str(argument.type) != "Tensor" for argument in declared.values()):
        raise _Unclear(
            f"{source} takes ({takes}). torch makes an ONNX model only of programs whose inputs are all tensors, "
            "none of them optional: save a module that calls this one with the others fixed."
        )
    if set(inputs) != set(declared):
        examples = " ".join(f"{name}=None,3,224,224" for name in declared)
        raise _Unclear(
            f"A TorchScript file does not say the shapes of its inputs, and {source} takes ({takes}): give all of "
            f"them, such as --shapes {examples}."
        )


def _example(name: str, shape: tuple[int | None, ...], dtype: str) -> torch.Tensor:
    """Zeros, which are good as indices too.

    Raises:
        _Unclear: if torch has no such dtype.
    """
    kind = getattr(torch, dtype or "float32", None)
    if not isinstance(kind, torch.dtype):
        raise _Unclear(f"torch has no dtype {dtype!r}, which --shapes gives for {name}.")
    return torch.zeros([(_SIZE if i else _BATCH) if n is None else n for i, n in enumerate(shape)], dtype=kind)


def _gist(error: Exception) -> str:
    """One line of a message; TorchScript's interpreter says what went wrong in the last one."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1] if "TorchScript interpreter" in lines[0] else lines[0]
