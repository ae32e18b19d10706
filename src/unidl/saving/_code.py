"""Python lambdas in configurations: the one place where a file may hold code, and only with ``safe_mode=False``."""

from __future__ import annotations

import base64
import builtins
import marshal
import types
from typing import Any


def dump(function: Any) -> list[Any]:
    """Code (marshalled, base64), default arguments and closed-over values of a lambda."""
    code = base64.b64encode(marshal.dumps(function.__code__)).decode("ascii")
    closure = None if function.__closure__ is None else [cell.cell_contents for cell in function.__closure__]
    return [code, None if function.__defaults__ is None else list(function.__defaults__), closure]


def load(value: Any) -> Any:
    """The function that `dump` wrote. Its globals are Python's builtins, ``unidl``, ``keras``, ``ops`` and ``np``.

    Never called unless the user has asked for it: running the function runs what the file says.
    """
    import numpy as np

    import unidl
    from unidl import ops

    if isinstance(value, dict):
        value = [value["code"], value.get("defaults"), value.get("closure")]
    code, defaults, closure = value
    names = {"__builtins__": builtins, "unidl": unidl, "keras": unidl, "ops": ops, "np": np}
    cells = None if closure is None else tuple(types.CellType(v) for v in closure)
    return types.FunctionType(
        marshal.loads(base64.b64decode(code)), names, "<lambda>", None if defaults is None else tuple(defaults), cells
    )
