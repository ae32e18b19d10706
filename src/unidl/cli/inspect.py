"""``unidl inspect``: what is in a file of a model, without loading it: names, shapes, dtypes, sizes.

No engine is imported and nothing in the file is run. The exit status is 1 if it cannot be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unidl.saving.inspecting import Array, Contents

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE",
        help="a .keras, .onnx, .h5, .weights.h5, .weights.json, .safetensors, -symbol.json or .params file",
    )
    parser.add_argument("--depth", type=int, metavar="N", help="show N levels, and of what is below only the sum")
    parser.add_argument("--json", action="store_true", help="print the arrays as JSON, one object for each")


def run(arguments: argparse.Namespace) -> int:
    """Print the tree and its sums."""
    from unidl.saving.inspecting import contents

    try:
        found = contents(arguments.file)
    except (ValueError, OSError) as error:
        print(f"unidl: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        for name, array in found.arrays():
            print(json.dumps({"name": name, "shape": array.shape, "dtype": array.dtype, "bytes": array.nbytes}))
        return 0
    _show(found, arguments.file, arguments.depth)
    return 0


def _show(found: Contents, file: str, depth: int | None) -> None:
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    console = Console(highlight=False, soft_wrap=True)
    tree = Tree(Text(f"{file}: {found.kind}", style="bold"))
    _add(tree, found.tree, found.notes, "", depth)
    console.print(tree)
    for name, value in found.facts.items():
        console.print(Text(f"{name}: {value}"))
    arrays = [array for _, array in found.arrays()]
    kinds = Counter(array.dtype for array in arrays)
    by_kind = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    elements = sum(array.size for array in arrays)
    total = size_text(sum(array.nbytes for array in arrays))
    console.print(Text(f"{len(arrays)} arrays ({by_kind or 'none'}), {elements:,} elements, {total}", style="bold"))


def _add(tree: Any, level: dict[str, Any], notes: dict[str, str], path: str, depth: int | None) -> None:
    from rich.text import Text

    for name, value in level.items():
        if not isinstance(value, dict):
            tree.add(
                Text.assemble(
                    (_printable(name), "bold"), f"  {list(value.shape)} {value.dtype}  {size_text(value.nbytes)}"
                )
            )
            continue
        inside = _all(value)
        line = Text.assemble((_printable(name), "bold cyan"))
        note = notes.get(path + name)
        if note and note != name:
            line.append(f" ({_printable(note)})")
        line.append(
            f"  {sum(a.size for a in inside):,} elements, {size_text(sum(a.nbytes for a in inside))}", style="dim"
        )
        branch = tree.add(line)
        if depth is None or depth > 1:
            _add(branch, value, notes, f"{path}{name}/", None if depth is None else depth - 1)


def _all(level: dict[str, Any]) -> list[Array]:
    found: list[Array] = []
    for value in level.values():
        found += _all(value) if isinstance(value, dict) else [value]
    return found


def _printable(text: str) -> str:
    """A name from a file without what would move a terminal's cursor."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def size_text(count: int) -> str:
    """A number of bytes for people."""
    size, unit = float(count), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.4g} {_UNITS[unit]}" if unit else f"{count} B"
