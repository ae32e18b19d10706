"""Ops on the bits of integers."""

from __future__ import annotations

from typing import Any

TABLE: dict[str, Any] = {}
