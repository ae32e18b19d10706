"""Writing into places of a tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: Ops on arrays only: a graph with one of them is replayed.
EAGER: dict[str, Callable[..., Any]] = {}
