"""Order statistics, histograms, and sums that skip NaN."""

from __future__ import annotations

__all__: list[str] = []
