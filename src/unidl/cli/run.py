"""``unidl run``: an ONNX model on arrays in files, on the active engine.

The exit status is 0 if the outputs are there, 1 if the model or the arrays cannot be read or do not fit.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

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
        results = prepared(_inputs(arguments.input, [v.name for v in prepared.inputs]))
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
    import numpy as np

    arrays: dict[str, np.ndarray] = {}
    left = [n for n in names if n not in {g.partition("=")[0] for g in given}]
    for entry in given:
        name, equals, file = entry.partition("=")
        if equals and name in names:
            arrays[name] = np.load(file, allow_pickle=False)
        elif entry.endswith(".npz"):
            with np.load(entry, allow_pickle=False) as several:
                arrays.update({key: several[key] for key in several.files})
        elif left:
            arrays[left.pop(0)] = np.load(entry, allow_pickle=False)
        else:
            raise ValueError(f"{entry} is one array too many: the model has the inputs {', '.join(names)}.")
    if missing := [n for n in names if n not in arrays]:
        raise ValueError(f"No --input for {', '.join(missing)}; the model has the inputs {', '.join(names)}.")
    return arrays


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
