"""Decompositions and solutions of linear systems."""

from __future__ import annotations

from typing import Any

TABLE: dict[str, Any] = {}
