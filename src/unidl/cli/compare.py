"""``unidl compare``: one model on several engines, and the first node at which they differ.

The exit status is 0 if they agree, 1 if they differ, 2 if they cannot be compared.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from unidl.cli._table import print_table
from unidl.errors import BackendError

if TYPE_CHECKING:
    from unidl.testing.comparing import Difference

_HEADINGS = ("node", "layer", "op", "tensor", "engines", "error", "of tolerance")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "script",
        metavar="SCRIPT[:NAME]",
        help="a Python file, and the model (or function that returns one, or (model, inputs)) in it; without a name "
        "its only model, or its function `model` or `build`",
    )
    parser.add_argument("--backends", metavar="A,B", help="two or more, the reference first (default: all installed)")
    parser.add_argument("--weights", metavar="FILE", help="a .safetensors file to load; else weights are drawn")
    parser.add_argument("--batch", type=int, default=4, metavar="N", help="batch size of inputs drawn (%(default)s)")
    parser.add_argument("--unknown", type=int, default=16, metavar="N", help="other unknown dimensions (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of weights, inputs, dropout (%(default)s)")
    parser.add_argument("--training", action="store_true", help="run the model as in training")
    parser.add_argument("--rtol", type=float, metavar="X", help="relative tolerance (default: by dtype)")
    parser.add_argument("--atol", type=float, metavar="X", help="absolute tolerance (default: by dtype)")
    parser.add_argument("--all", action="store_true", help="also show every tensor, the worst first")
    parser.add_argument("--timeout", type=float, default=600, metavar="S", help="seconds for each engine (%(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Compare, and print what was found."""
    from unidl.testing.comparing import CompareError, compare

    backends = arguments.backends
    try:
        result = compare(
            arguments.script,
            None if backends is None else [name.strip() for name in backends.split(",") if name.strip()],
            weights=arguments.weights,
            batch=arguments.batch,
            unknown=arguments.unknown,
            seed=arguments.seed,
            training=arguments.training,
            rtol=arguments.rtol,
            atol=arguments.atol,
            timeout=arguments.timeout,
        )
    except (BackendError, CompareError) as error:
        print(f"unidl: {error}", file=sys.stderr)
        return 2
    if arguments.all:
        worst = result.worst
        print_table(_HEADINGS, [_row(d) for d in worst], [d.measured.excess > 1 for d in worst])
    print(result)
    return 0 if result.agrees else 1


def _row(d: Difference) -> tuple[str, ...]:
    tensor = f"{d.kind} {d.dtype}{list(d.shape)}"
    op = d.op or d.tensor
    return d.key, d.path, op, tensor, "/".join(d.engines), f"{d.measured.error:.3g}", f"{d.measured.excess:.3g}"
