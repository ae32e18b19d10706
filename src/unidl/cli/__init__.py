"""The command ``unidl``: one module for each subcommand; without one, the table of backends.

A subcommand is a module in `_COMMANDS` with ``configure(parser)``, which adds its arguments, and
``run(arguments) -> int``, which returns the exit status. No engine is imported unless a subcommand
itself needs one. A :class:`~unidl.errors.BackendError` becomes a message and exit status 1.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from unidl import __version__
from unidl.errors import BackendError

#: Subcommand to (module, one line of help).
_COMMANDS = {
    "backends": ("unidl.cli.backends", "show the backends found and which one would be used (the default)"),
    "compare": ("unidl.cli.compare", "run one model on several engines and show where they first differ"),
    "convert": ("unidl.cli.convert", "write a model, or its weights, in another format"),
    "run": ("unidl.cli.run", "run an ONNX model on arrays in files"),
    "inspect": ("unidl.cli.inspect", "show what is in a file of a model: names, shapes, dtypes and sizes"),
    "config": ("unidl.cli.config", "show or change the user's settings"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (by default that of this process); returns the exit status."""
    parser = argparse.ArgumentParser(
        "unidl", description="One Keras-shaped API for deep learning over several engines."
    )
    parser.add_argument("--version", action="version", version=f"unidl {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (module, summary) in _COMMANDS.items():
        importlib.import_module(module).configure(commands.add_parser(name, help=summary, description=summary))
    arguments = parser.parse_args(argv)
    try:
        return importlib.import_module(_COMMANDS[arguments.command or "backends"][0]).run(arguments)
    except BackendError as error:
        print(f"unidl: {error}", file=sys.stderr)
        return 1
