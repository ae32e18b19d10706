"""A picture of a model, drawn with matplotlib alone."""

from __future__ import annotations

import os
from typing import Any

from unidl.viz.layout import Layout, layered
from unidl.viz.structure import Item, is_model, items, parameter_count, shape_text

_FONT = 8.0
_CHARACTER = 0.6021 * _FONT / 72  # width of a character of DejaVu Sans Mono, in inches
_LINE = 1.35 * _FONT / 72
_PADDING = 0.09
_GAP = 0.35  # between rows and between neighbours, in inches
_MOST_PIXELS = 30_000  # along one side: image writers stop at 65,535
_FILL = {"input": "#dbe9f6", "weights": "#e6f2df", "plain": "#f4f4f4", "model": "#fdebd0"}


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] | None = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Any:
    """Draw the layers of `model` as boxes, with arrows from each to those it feeds.

    Args:
        to_file: where to write the picture; the ending says the format (png, svg, pdf). None: nowhere.
        show_shapes: the outputs' shapes.
        show_dtype: their dtypes.
        show_layer_names: names besides classes.
        rankdir: "TB": inputs at the top, "LR": on the left.
        expand_nested: draw the layers of models inside the model, too.
        dpi: pixels an inch; lowered for pictures that would be too large.
        show_layer_activations: the names of activations that layers hold.
        show_trainable: which layers training changes.
        splines: "ortho": arrows with right angles; "line": straight ones.

    Returns:
        The matplotlib figure, which a notebook shows.

    Raises:
        ImportError: without matplotlib.
        ValueError: for a model without layers, or an unknown `rankdir` or `splines`.
    """
    if kwargs:
        raise ValueError(f"plot_model does not take {sorted(kwargs)}.")
    if rankdir not in ("TB", "LR") or splines not in ("ortho", "line"):
        raise ValueError(f"`rankdir` is 'TB' or 'LR' and `splines` 'ortho' or 'line', not {rankdir!r} and {splines!r}.")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("plot_model needs matplotlib: pip install 'unidl[plot]'") from None
    found = _linked(items(model, expand_nested))
    if not found:
        raise ValueError(f"Model {model.name!r} has no layers to draw.")
    texts = [_text(i, show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable) for i in found]
    sizes = [_size(text) for text in texts]
    down = rankdir == "TB"
    layout = layered([i.parents for i in found], [w if down else h for w, h in sizes], _GAP)
    centres, rows, total = _rows(layout, [h if down else w for w, h in sizes])
    across = layout.extent[1] - layout.extent[0] + 2 * _GAP
    width, height = (across, total) if down else (total, across)
    figure = Figure(figsize=(width, height), dpi=min(dpi, _MOST_PIXELS / max(width, height)))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)  # downwards, as ranks go
    axes.axis("off")

    def point(along: float, place: float) -> tuple[float, float]:
        shifted = along - layout.extent[0] + _GAP
        return (shifted, place) if down else (place, shifted)

    lanes = _lanes(layout)
    for parent, child, between in layout.edges:
        half = [(sizes[i][1] if down else sizes[i][0]) / 2 for i in (parent, child)]
        path = [(layout.across[parent], centres[parent] + half[0])]
        # Through each row an arrow runs straight; it turns between the rows.
        for along, rank in [*between, (layout.across[child], layout.rank[child])]:
            start, end = rows[rank]
            if splines == "ortho" and abs(along - path[-1][0]) > 1e-6:
                turn = start - _GAP * (1 - lanes[rank, parent])
                path += [(path[-1][0], turn), (along, turn)]
            path.append((along, end if rank != layout.rank[child] else centres[child] - half[1]))
        _arrow(axes, [point(*p) for p in path])
    for index, (item, text, size) in enumerate(zip(found, texts, sizes, strict=True)):
        _box(axes, point(layout.across[index], centres[index]), size, text, _FILL[_family(item)])
    if to_file is not None:
        figure.savefig(to_file)
    return figure


def _linked(found: list[Item]) -> list[Item]:
    """Arrows lead into an expanded model's first layers and out of its last ones."""
    for index, item in enumerate(found):
        inner = []
        for place in range(index + 1, len(found)):
            if found[place].depth <= item.depth:
                break
            inner.append(place)
        if not inner:
            continue
        feeding = {p for place in inner for p in found[place].parents}
        ends = [p for p in inner if p not in feeding and found[p].depth == item.depth + 1]
        for place in inner:
            if not found[place].parents and found[place].depth == item.depth + 1:
                found[place].parents = [index]
        for later in found[inner[-1] + 1 :]:
            if index in later.parents:
                later.parents = [p for p in later.parents if p != index] + ends
    return found


def _text(item: Item, shapes: bool, dtype: bool, names: bool, activations: bool, trainable: bool) -> list[str]:
    lines = [f"{item.name} ({item.kind})" if names and item.name != item.kind else item.kind]
    if shapes:
        lines.append(shape_text(item.shape))
    if dtype and item.dtype is not None:
        lines.append(item.dtype if isinstance(item.dtype, str) else ", ".join(item.dtype))
    activation = getattr(item.layer, "activation", None)
    if activations and activation is not None:
        lines.append(f"activation {getattr(activation, '__name__', type(activation).__name__)}")
    if count := parameter_count(item.layer):
        lines.append(f"{count:,} parameters")
        if trainable:
            lines[-1] += ", trainable" if item.layer.trainable else ", fixed"
    return lines


def _size(text: list[str]) -> tuple[float, float]:
    return max(len(line) for line in text) * _CHARACTER + 2 * _PADDING, len(text) * _LINE + 2 * _PADDING


def _family(item: Item) -> str:
    if item.kind == "InputLayer":
        return "input"
    if is_model(item.layer):
        return "model"
    return "weights" if parameter_count(item.layer) else "plain"


def _rows(layout: Layout, depths: list[float]) -> tuple[list[float], dict[int, tuple[float, float]], float]:
    """Centres of the items, start and end of each rank in the direction of flow, and the length of it all."""
    tallest: dict[int, float] = {}
    for rank, depth in zip(layout.rank, depths, strict=True):
        tallest[rank] = max(tallest.get(rank, 0.0), depth)
    place, rows = _GAP / 2, {}
    for rank in sorted(tallest):
        rows[rank] = (place, place + tallest[rank])
        place += tallest[rank] + _GAP
    return [sum(rows[rank]) / 2 for rank in layout.rank], rows, place - _GAP / 2


def _lanes(layout: Layout) -> dict[tuple[int, int], float]:
    """Where in the gap before a rank the arrows from an item turn, 0 to 1: each item has a lane of its own."""
    users: dict[int, dict[int, None]] = {}
    for parent, child, between in layout.edges:
        for _, rank in [*between, (0.0, layout.rank[child])]:
            users.setdefault(rank, {})[parent] = None
    return {
        (rank, parent): (place + 1) / (len(parents) + 1)
        for rank, parents in users.items()
        for place, parent in enumerate(sorted(parents, key=lambda p: -layout.across[p]))
    }


def _arrow(axes: Any, points: list[tuple[float, float]]) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    codes = [Path.MOVETO] + [Path.LINETO] * (len(points) - 1)
    style = "-|>,head_length=3,head_width=1.6"
    axes.add_patch(
        FancyArrowPatch(path=Path(points, codes), arrowstyle=style, color="#555555", linewidth=0.8, joinstyle="round")
    )


def _box(axes: Any, centre: tuple[float, float], size: tuple[float, float], text: list[str], fill: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    corner = centre[0] - size[0] / 2, centre[1] - size[1] / 2
    style = "round,pad=0,rounding_size=0.05"
    axes.add_patch(
        FancyBboxPatch(corner, *size, boxstyle=style, facecolor=fill, edgecolor="#555555", linewidth=0.8, zorder=2)
    )
    axes.text(
        *centre,
        "\n".join(text),
        ha="center",
        va="center",
        fontsize=_FONT,
        family="DejaVu Sans Mono",
        linespacing=1.15,
        parse_math=False,
        zorder=3,
    )
