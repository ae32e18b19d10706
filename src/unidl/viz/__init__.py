"""Looking at models: summaries and pictures.

Nothing here is loaded before it is used; the pictures need matplotlib (``pip install unidl[plot]``).
"""

from __future__ import annotations

from unidl.viz.graph import plot_model
from unidl.viz.summary import print_summary

__all__ = ["plot_model", "print_summary"]
