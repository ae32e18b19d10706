"""Sorting, searching, and what depends on values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: Ops on arrays only: a graph with one of them is replayed.
EAGER: dict[str, Callable[..., Any]] = {}
