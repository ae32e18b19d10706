"""The option ``--shapes``: what a model's inputs are, where its file does not say it or is to be overruled."""

from __future__ import annotations

import argparse
import re

_FORM = re.compile(r"(?P<name>[^=]+)=(?:(?P<dtype>[a-z]\w*):)?(?P<sizes>[^:]*)")


def add_shapes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--shapes",
        nargs="+",
        type=_parsed,
        default=[],
        metavar="NAME=[DTYPE:]SIZES",
        help="what the inputs of A are, such as data=None,3,224,224 or words=int64:None,20; None is a size that may "
        "vary. TorchScript files must be told, and MXNet's if their weights do not say it",
    )


def _parsed(text: str) -> tuple[str, tuple[tuple[int | None, ...], str]]:
    """Name, sizes and dtype ("" if it is not said).

    Raises:
        argparse.ArgumentTypeError: if `text` is of another form.
    """
    found = _FORM.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        sizes = [None if s.strip() in ("None", "?") else int(s) for s in found["sizes"].split(",") if s.strip()]
        if any(size is not None and size < 0 for size in sizes):
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not of the form NAME=[DTYPE:]SIZES, such as data=None,3,224,224 or words=int64:None,20"
        ) from None
    return found["name"], (tuple(sizes), found["dtype"] or "")
