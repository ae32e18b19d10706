"""`load`: MXNet's files as a model."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from unidl.interchange.mxnet._errors import MxnetError
from unidl.interchange.mxnet._params import read_params
from unidl.interchange.mxnet._symbol import read_symbol

SYMBOL = "-symbol.json"


def load(source: Any, params: Any = None, *, epoch: int | None = None, shapes: dict[str, Any] | None = None) -> Any:
    """Read a network of MXNet as a `Model`, without MXNet: to predict, fine-tune, save and export on any engine.

    The files are those of `Module.save_checkpoint`, `HybridBlock.export` and `Model.export(format="mxnet")`:
    ``NAME-symbol.json`` and ``NAME-0000.params``, of MXNet 0.8 to 1.9. What the graph says in MXNet's operators is said
    in ONNX's, of which `unidl.onnx.load` makes layers named after the nodes. Outputs are called as in MXNet
    (``softmax_output``), labels of losses are no inputs. Data stay in the layout that they have in MXNet. No code of a
    file is run.

    Args:
        source: ``NAME`` or ``NAME-symbol.json``.
        params: the file of arrays, or the arrays by name; by default ``NAME-0000.params`` of the highest epoch.
        epoch: the number in the name of the file of arrays, if there are several.
        shapes: shapes of inputs by name, None for sizes that may vary: for inputs of which nothing in the files says
        the
            rank. The first convolution or dense layer says it of what it reads. An `InputSpec` says the dtype, too.

    Raises:
        FileNotFoundError: if a file is missing.
        ImportError: if the package onnx is missing; it says what to install.
        MxnetError: if a file is damaged, or the graph cannot be a model; it names the node.
        MissingOperatorError: if it needs operators that are not known; `register_op` supplies them.
    """
    from unidl import onnx
    from unidl.interchange.mxnet._convert import convert

    path = symbol_path(source)
    symbol = read_symbol(path)
    arrays = plain_names(params if isinstance(params, dict) else read_params(params or params_path(path, epoch)))
    name = path.name.removesuffix(SYMBOL).removesuffix(".json")
    proto = convert(symbol, arrays, shapes or {}, name)
    try:
        return onnx.load(proto)
    except ValueError as error:
        raise MxnetError(f"{path} cannot be a model: {error}") from error


def symbol_path(source: Any) -> Path:
    """The path of the symbol that a prefix or a path means.

    Raises:
        FileNotFoundError: if there is none.
    """
    path = Path(os.fspath(source))
    if path.suffix == ".json":
        found = path
    else:
        found = path.with_name(f"{path.name}{SYMBOL}")
    if not found.is_file():
        raise FileNotFoundError(f"There is no file {found}.")
    return found


def params_path(symbol: Path, epoch: int | None = None) -> Path:
    """The file of arrays beside a symbol: of an epoch, or of the highest one that is there.

    Raises:
        FileNotFoundError: if there is none.
    """
    name = symbol.name.removesuffix(SYMBOL).removesuffix(".json")
    pattern = re.compile(re.escape(name) + r"-(\d+)\.params")
    found = {int(m[1]): p for p in symbol.parent.iterdir() if (m := pattern.fullmatch(p.name))}
    if epoch is not None and epoch in found:
        return found[epoch]
    if epoch is None and found:
        return found[max(found)]
    if epoch is None and (plain := symbol.with_name(f"{name}.params")).is_file():
        return plain
    wanted = "NNNN" if epoch is None else f"{epoch:04d}"
    raise FileNotFoundError(
        f"There is no file {symbol.with_name(f'{name}-{wanted}.params')}: say with `params` (on the command line "
        "--params) where the arrays of this symbol are."
    )


def plain_names(arrays: dict[str, Any]) -> dict[str, np.ndarray]:
    """Arrays by the names of the variables: without ``arg:`` and ``aux:``."""
    return {re.sub(r"^(arg|aux):", "", name): np.asarray(array) for name, array in arrays.items()}
