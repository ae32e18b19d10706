"""Models in the engines' own formats, which run where unidl is not installed."""

from __future__ import annotations

from unidl.export._archive import ExportArchive

__all__ = ["ExportArchive"]
