"""Curves of training and validation metrics over the epochs, drawn by matplotlib."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

# Two colours that differ in lightness as well, for readers who do not see hues and for grey prints.
_TRAINING, _VALIDATION = "#1f5fa8", "#e07b00"


def plot_history(
    history: Mapping[str, Sequence[float]],
    path: Any = None,
    *,
    epochs: Sequence[int] | None = None,
    title: str | None = None,
) -> Any:
    """One panel for each metric, with its training curve and (if there is one) its validation curve.

    Args:
        history: metric name to values; ``val_`` marks validation.
        path: file to write; its suffix says the format.
        epochs: the epochs of the values, counted from 0; 0, 1, … by default. Shown counted from 1.
        title: above all panels.

    Returns:
        A `matplotlib.figure.Figure`, made without pyplot: no window opens and no state is kept.

    Raises:
        ImportError: if matplotlib is not installed.
        ValueError: if there is nothing to draw.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError as error:
        raise ImportError(
            f"Drawing curves needs matplotlib: pip install matplotlib (or pip install 'unidl[plot]'). ({error})"
        ) from error
    names = [n for n in history if not n.startswith("val_")]
    names += [n for n in history if n.startswith("val_") and n[4:] not in history]
    if not any(len(history[n]) for n in names):
        raise ValueError("There is nothing to plot: no epoch has been finished.")
    columns = min(len(names), 3) if len(names) != 4 else 2
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(4.6 * columns, 3.3 * rows + 0.2), layout="constrained")
    for place, name in enumerate(names):
        axes = figure.add_subplot(rows, columns, place + 1)
        curves = [("training", name, _TRAINING, "-"), ("validation", f"val_{name}", _VALIDATION, "--")]
        if name.startswith("val_"):
            curves = [("validation", name, _VALIDATION, "--")]
        for label, key, colour, line in curves:
            if values := list(history.get(key, ())):
                x = _epochs(epochs, len(values), len(history[names[0]]))
                axes.plot(
                    x, values, line, color=colour, label=label, marker="o" if len(values) < 30 else None, markersize=3.5
                )
        axes.set_title(name.removeprefix("val_").replace("_", " "), fontsize=11)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(True, alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        positive = [v for v in history[name] if v > 0]
        if name == "learning_rate" and positive and max(positive) > 5 * min(positive):
            axes.set_yscale("log")
        if len(axes.lines) > 1 or name.startswith("val_"):
            axes.legend(frameon=False)
    if title:
        figure.suptitle(title)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def _epochs(epochs: Sequence[int] | None, count: int, total: int) -> list[float]:
    """The epochs of `count` values out of `total`; fewer values are spread evenly, the last at the end."""
    numbers = [e + 1 for e in (range(total) if epochs is None else epochs)]
    if count == len(numbers):
        return [float(n) for n in numbers]
    step = len(numbers) / count
    return [float(numbers[min(len(numbers), round((i + 1) * step)) - 1]) for i in range(count)]
