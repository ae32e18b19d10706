"""``unidl run``: an ONNX model on arrays in files, on the active engine.

The exit status is 0 if the outputs are there, 1 if the model or the arrays cannot be read or do not fit.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a .onnx file")
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="[NAME=]FILE",
        help="a .npy file for each input, in order or by name; or one .npz file with all by name",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="where to write: .npy for a single output, .npz for all by name; without it shapes and ranges are printed",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the model once."""
    import numpy as np

    try:
        prepared = importlib.import_module("unidl.onnx").prepare(arguments.model)
        given = _inputs(arguments.input, [v.name for v in prepared.inputs])
        kinds = {v.name: v.dtype for v in prepared.inputs}
        results = prepared({name: _as(array, kinds.get(name, "")) for name, array in given.items()})
        found = {v.name: np.asarray(r) for v, r in zip(prepared.outputs, results, strict=True)}
        if arguments.output:
            _write(Path(arguments.output), found)
    except (ValueError, TypeError, OSError, ImportError) as error:
        print(f"unidl: {error}", file=sys.stderr)
        return 1
    for name, array in found.items():
        numbers = array.dtype.kind in "biuf" and array.size
        extent = f" from {array.min():.6g} to {array.max():.6g}" if numbers else ""
        print(f"{name}: {array.dtype}{list(array.shape)}{extent}")
    return 0


def _inputs(given: list[str], names: list[str]) -> dict[str, np.ndarray]:
    """The arrays by the names of the model's inputs.

    Raises:
        ValueError: if their number is not that of the inputs.
    """
    arrays: dict[str, np.ndarray] = {}
    left = [n for n in names if n not in {g.partition("=")[0] for g in given}]
    for entry in given:
        name, equals, file = entry.partition("=")
        if equals and name in names:
            arrays[name] = _read(file)
        elif equals and not Path(entry).exists():
            raise ValueError(f"--input {entry}: the model has no input {name!r}; its inputs are {', '.join(names)}.")
        elif entry.endswith(".npz"):
            arrays.update(_read(entry))
        elif left:
            arrays[left.pop(0)] = _read(entry)
        else:
            raise ValueError(f"{entry} is one array too many: the model has the inputs {', '.join(names)}.")
    if missing := [n for n in names if n not in arrays]:
        raise ValueError(f"No --input for {', '.join(missing)}; the model has the inputs {', '.join(names)}.")
    return arrays


def _read(file: str) -> Any:
    """The array in a .npy file, or those in a .npz file by name.

    Raises:
        ValueError: naming the file, if it is neither, or holds Python objects.
    """
    import numpy as np

    try:
        found = np.load(file, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            return {key: found[key] for key in found.files}
    except (ValueError, EOFError) as error:
        raise ValueError(f"{file} is no .npy or .npz file of numbers: {error}") from None


def _as(array: Any, dtype: str) -> Any:
    """Floats as the float that the model takes, integers as the integer if it holds them: NumPy writes the widest."""
    import numpy as np

    try:
        wanted = np.dtype(dtype)
    except TypeError:
        return array
    if not isinstance(array, np.ndarray) or not {wanted.kind, array.dtype.kind} <= set("iuf"):
        return array
    cast = array.astype(wanted)
    same_kind = array.dtype.kind == "f" if wanted.kind == "f" else array.dtype.kind in "iu"
    return cast if same_kind and (wanted.kind == "f" or np.array_equal(cast, array)) else array


def _write(path: Path, found: dict[str, np.ndarray]) -> None:
    """Write the outputs, in one go.

    Raises:
        ValueError: if a file of one array is asked for and there are several.
    """
    import numpy as np

    from unidl.saving._writing import replacing

    if path.suffix not in (".npy", ".npz"):
        raise ValueError(f"--output must be a .npy or .npz file, not {path.name!r}.")
    if path.suffix == ".npy" and len(found) != 1:
        raise ValueError(f"The model has {len(found)} outputs ({', '.join(found)}): write them to a .npz file.")
    with replacing(path) as temporary, open(temporary, "wb") as file:
        if path.suffix == ".npy":
            np.save(file, next(iter(found.values())))
        else:
            np.savez(file, **found)  # type: ignore[arg-type]
