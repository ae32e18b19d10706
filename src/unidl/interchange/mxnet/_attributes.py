"""Attributes of MXNet's nodes: text such as ``(3, 3)``, ``True``, ``None``, ``1e-05``, as Python's values."""

from __future__ import annotations

import re
from typing import Any

_TOKEN = re.compile(r"\s*([()\[\],]|[^()\[\],]+)")
_WORDS = {"true": True, "false": False, "none": None, "inf": float("inf"), "-inf": float("-inf"), "nan": float("nan")}
_INTEGER = re.compile(r"[+-]?\d+L?$")
_MOST_DEPTH = 4


def parse(text: Any) -> Any:
    """The value that `text` spells: a number, bool, None, or tuples of them; what is none of these is text.

    Old files have integers of Python 2 (``3L``), and lists in the place of tuples.
    """
    if not isinstance(text, str):
        return text
    if text.lstrip()[:1] not in ("(", "["):
        return _word(text.strip())
    stack: list[list[Any]] = [[]]
    for token in _TOKEN.findall(text.strip()):
        if token in "([":
            stack.append([])
            if len(stack) > _MOST_DEPTH + 1:
                return text
        elif token in ")]":
            if len(stack) == 1:
                return text
            closed = tuple(stack.pop())
            stack[-1].append(closed)
        elif token != "," and token.strip():
            stack[-1].append(_word(token.strip()))
    return stack[0][0] if len(stack) == 1 and len(stack[0]) == 1 else text


def _word(word: str) -> Any:
    if word.lower() in _WORDS:
        return _WORDS[word.lower()]
    if _INTEGER.match(word) and len(word) < 20:
        return int(word.rstrip("L"))
    try:
        return float(word)
    except ValueError:
        return word
