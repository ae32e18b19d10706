"""``unidl convert``: a model or its weights from one format to another.

The exit status is 0 if the new file is there, 1 if it cannot be written; what was there before is then as it was.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unidl.cli._shapes import add_shapes

if TYPE_CHECKING:
    from unidl.backend.contract import ProgramInputs

_WEIGHTS = (".safetensors", ".weights.h5", ".weights.json")
#: A `state_dict` of PyTorch; without --model such a name means TorchScript.
_STATES = (".pt", ".pth")
_SYMBOL = "-symbol.json"
#: What engines read, and unidl does not.
_PROGRAMS = (".pb",)
#: End of a file's name to the format of `Model.export`.
_FORMATS = {".pt2": "torch", ".pt": "torchscript", _SYMBOL: "mxnet"}

_KINDS = {"keras": "a model of Keras", "weights": "weights alone"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="A",
        help="a .keras or .onnx file, a Python file SCRIPT.py[:NAME] that makes the model, a -symbol.json file of "
        "MXNet, a .pt2 file, a TorchScript file or a SavedModel (on their engines), or a file of weights (then --model "
        "says of what)",
    )
    parser.add_argument(
        "target",
        metavar="B",
        help="a .onnx, .keras, .safetensors or .weights.h5 file, or a file or folder in the engine's own --format",
    )
    parser.add_argument("--model", metavar="M", help="the model whose weights are in A: a .keras file or a Python file")
    parser.add_argument("--params", metavar="P", help="MXNet: the file of arrays, if it is not A's newest -NNNN.params")
    add_shapes(parser)
    parser.add_argument("--format", metavar="F", help="of B, if its name does not say it (see Model.export)")
    parser.add_argument("--opset", type=int, metavar="N", help="ONNX: the version of its operators")
    parser.add_argument("--external-data", action="store_true", help="ONNX: put the weights into a file beside B")
    parser.add_argument("--fold-batch-norm", action="store_true", help="ONNX: put batch normalization into weights")
    parser.add_argument("--verify", action="store_true", help="ONNX: compare with what onnxruntime computes")


def run(arguments: argparse.Namespace) -> int:
    """Read A, write B."""
    try:
        if arguments.source.endswith(_SYMBOL) and arguments.model is None:
            model = _mxnet(arguments.source, arguments.params, dict(arguments.shapes))
        elif arguments.params:
            raise ValueError(f"--params is for {_SYMBOL} files of MXNet, and {arguments.source} is none.")
        else:
            model = _read(arguments.source, arguments.model, dict(arguments.shapes))
        print(_write(model, arguments.target, arguments))
    except (ValueError, TypeError, AttributeError, OSError, ImportError) as error:
        print(f"unidl: {error}", file=sys.stderr)
        return 1
    return 0


def _read(source: str, of: str | None, inputs: ProgramInputs) -> Any:
    """The model in a file, or the model `of` with the weights in the file.

    Args:
        source: the file's name, which says what it is.
        of: None, or the file of the model whose weights are in `source`.
        inputs: shape and dtype of inputs by name, as far as the user says them.

    Raises:
        ValueError: if the file's name does not say what it is, or an option does not go with it.
    """
    if source.endswith(".onnx"):
        return _onnx(Path(source), inputs)
    if of is None and (engine := _engine_of(source)):
        return _program(source, engine, inputs)
    if inputs:
        raise ValueError(f"--shapes is for ONNX files and programs of engines; {source} says the shapes of its inputs.")
    if source.endswith(_WEIGHTS if of is None else (*_WEIGHTS, *_STATES)):
        if of is None:
            raise ValueError(f"{source} holds weights only: say with --model of which model they are.")
        model = _read(of, None, {})
        model.load_weights(source)
        return model
    if of is not None:
        known = ", ".join((*_WEIGHTS, *_STATES))
        raise ValueError(f"--model is for files of weights ({known}), and {source} is none.")
    if source.endswith((".keras", ".h5")):
        from unidl.saving import load_model

        return load_model(source)
    script, _, name = source.partition(":")
    if script.endswith(".py"):
        return _script(script, name)
    if source.endswith(".params"):
        raise ValueError(f"{source} holds MXNet's arrays: name the {_SYMBOL} file that they belong to (and --params).")
    if source.endswith(_PROGRAMS):
        raise ValueError(
            f"{source} is an engine's own format, of which unidl makes no model: convert the .keras or .onnx file "
            "that it came from."
        )
    raise ValueError(f"{source} is no .keras, .h5, .onnx or .py file, nor a file of weights ({', '.join(_WEIGHTS)}).")


def _script(script: str, name: str) -> Any:
    """The model that a Python file makes.

    Raises:
        ValueError: if the file's own code fails; it says at which line.
    """
    from unidl.testing.compare_worker import load

    try:
        return load(script, name)[0]
    except Exception as error:
        file = Path(script).resolve()
        own = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).resolve() == file]
        line = getattr(error, "lineno", None) or (own[-1] if own else None)
        place = script if line is None else f"{script}, line {line}"
        raise ValueError(f"{place}: {type(error).__name__}: {getattr(error, 'msg', error)}") from error


def _engine_of(source: str) -> str:
    """The engine whose program a file or folder holds; "" if it is none that can be read."""
    if source.endswith((".pt2", *_STATES)):
        return "torch"
    return "tensorflow" if Path(source, "saved_model.pb").exists() else ""


def _onnx(path: Path, inputs: ProgramInputs) -> Any:
    load = importlib.import_module("unidl.onnx").load
    return load(path, shapes={name: shape for name, (shape, _) in inputs.items()})


def _mxnet(symbol: str, params: str | None, inputs: ProgramInputs) -> Any:
    """The model of MXNet's two files."""
    from unidl.layers import InputSpec
    from unidl.mxnet import load

    said = {n: InputSpec(shape=shape, dtype=dtype) if dtype else shape for n, (shape, dtype) in inputs.items()}
    return load(symbol, params, shapes=said)


def _program(source: str, engine: str, inputs: ProgramInputs) -> Any:
    """The model of an engine's program, by way of ONNX.

    Raises:
        ValueError: on another engine, or if the program cannot be converted.
    """
    from unidl.backend import active

    if active.name != engine:
        raise ValueError(
            f"{source} is a program of {engine}, which makes an ONNX model of it: run this with UNIDL_BACKEND={engine}."
        )
    if not Path(source).exists():
        raise FileNotFoundError(f"There is no file {source}.")
    with tempfile.TemporaryDirectory() as folder:
        active.write_onnx(Path(source), written := Path(folder) / "program.onnx", inputs)
        return _onnx(written, inputs)


def _write(model: Any, target: str, arguments: argparse.Namespace) -> str:
    """Write `model`; what to say about it.

    Raises:
        ValueError: if the name does not say which format is meant, or options of ONNX are given for another.
    """
    format = arguments.format or _format_of(target)
    if format == "onnx":
        from unidl.onnx import export

        written = export(
            model, target, opset=arguments.opset, external_data=arguments.external_data or None,
            fold_batch_norm=arguments.fold_batch_norm, verify=arguments.verify,
        )  # fmt: skip
        return str(written)
    if arguments.opset or arguments.external_data or arguments.fold_batch_norm or arguments.verify:
        raise ValueError(f"--opset, --external-data, --fold-batch-norm and --verify are for ONNX, not for {target}.")
    if format == "keras":
        model.save(target)
    elif format == "weights":
        model.save_weights(target)
    else:
        # MXNet names two files by a prefix.
        model.export(target.removesuffix(_SYMBOL) if format == "mxnet" else target, format=format, verbose=False)
    return f"{target}: {_KINDS.get(format, format)}"


def _format_of(target: str) -> str:
    if target.endswith(".onnx"):
        return "onnx"
    if target.endswith((".keras", ".h5")) and not target.endswith(_WEIGHTS):
        return "keras"
    if target.endswith(_WEIGHTS):
        return "weights"
    for end, format in _FORMATS.items():
        if target.endswith(end):
            return format
    raise ValueError(f"The name {target} does not say in which format it is to be: give --format.")
