"""Fourier transforms and windows over sequences."""

from __future__ import annotations

__all__: list[str] = []
