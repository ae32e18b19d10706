"""Decompositions and solutions of linear systems."""

from __future__ import annotations

__all__: list[str] = []
