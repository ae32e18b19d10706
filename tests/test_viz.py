"""Summaries, and pictures of models."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import unidl
from unidl import ops
from unidl.backend import active
from unidl.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten
from unidl.utils import model_to_dot
from unidl.viz import plot_model, print_summary
from unidl.viz.layout import layered


def summary(model: Any, **kwargs: Any) -> str:
    texts: list[str] = []
    print_summary(model, print_fn=texts.append, **kwargs)
    assert len(texts) == 1
    return texts[0]


def stack() -> Any:
    layers = [
        unidl.Input((8, 8, 1)),
        Conv2D(4, 3, name="filters"),
        BatchNormalization(name="norm"),
        Flatten(name="flat"),
    ]
    return unidl.Sequential([*layers, Dropout(0.5, name="drop"), Dense(10, name="classes")], name="net")


def residual() -> Any:
    x = unidl.Input((6,), name="features")
    h = Dense(6, name="first")(x)
    return unidl.Model(x, Dense(2, name="last")(h + x), name="skip")


class Subclassed(unidl.Model):
    """A model whose layers are only known by name before it has seen data."""

    def __init__(self) -> None:
        super().__init__(name="own")
        self.hidden = Dense(4, name="hidden")
        self.out = Dense(2, name="out")

    def call(self, x: Any) -> Any:
        return self.out(ops.relu(self.hidden(x)))


# -- summaries -------------------------------------------------------------------------------------


def test_a_sequential_is_a_table_of_its_layers() -> None:
    model = stack()
    text = summary(model)
    rows = {line.split()[0]: line for line in text.splitlines() if line.split()[:1]}
    assert text.startswith("Model: net (Sequential)")
    assert "(None, 6, 6, 4)" in rows["filters"] and rows["filters"].split()[-1] == "40"
    assert "(None, 144)" in rows["flat"] and rows["flat"].split()[-1] == "0"
    assert "(Dense)" in rows["classes"] and rows["classes"].split()[-1] == "1,450"
    assert "Connected to" not in text
    assert f"Total params: {model.count_params():,} (6.0 kB)" in text
    assert "Trainable params: 1,498" in text and "Non-trainable params: 8 " in text


def test_branches_say_what_feeds_them() -> None:
    lines = summary(residual()).splitlines()
    assert "Connected to" in lines[2]
    row = {line.split()[0]: line for line in lines}
    assert row["add"].endswith("first, features")
    assert row["last"].endswith("add")


def test_trainable_column() -> None:
    model = stack()
    model.get_layer("classes").trainable = False
    rows = {line.split()[0]: line.split() for line in summary(model, show_trainable=True).splitlines()}
    assert (rows["filters"][-1], rows["classes"][-1], rows["flat"][-1]) == ("yes", "no", "-")
    assert "Trainable params: 48 " in summary(model)


def test_nested_models_are_shown_on_request() -> None:
    x = unidl.Input((8, 8, 1))
    model = unidl.Model(x, Dense(3, name="outer")(stack()(x)))
    assert "classes" not in summary(model)
    nested = summary(model, expand_nested=True)
    assert "  classes (Dense)" in nested
    assert nested.splitlines()[-3:] == summary(model).splitlines()[-3:]


def test_what_is_not_known_yet_is_said() -> None:
    model = Subclassed()
    assert "Not built yet" in summary(model) and "?" in summary(model) and "not built" in summary(model)
    model(np.zeros((1, 3), "float32"))
    assert "Total params: 26 (104 B)" in summary(model)
    assert "Not built yet" in summary(unidl.Sequential([Dense(2)]))


def test_lines_fit_in_the_length_that_was_asked_for() -> None:
    text = summary(stack(), line_length=40)
    table = [line for line in text.splitlines()[1:] if not line.startswith(("Total", "Trainable", "Non"))]
    assert max(len(line) for line in table) == 40 and any("…" in line for line in table)


def test_summary_prints_plain_text_into_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    stack().summary()
    printed = capsys.readouterr().out
    assert "classes (Dense)" in printed and "\x1b" not in printed


def test_summary_is_a_rich_table_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    stack().summary(line_length=90)
    printed = capsys.readouterr().out
    assert "classes (Dense)" in printed and "┃" in printed and "Total params: 1,506" in printed


# -- pictures --------------------------------------------------------------------------------------


def test_layout_keeps_boxes_apart_and_arrows_downward() -> None:
    parents = [[], [0], [0], [0], [1, 2], [3, 4], [0, 5]]
    widths = [1.0, 2.0, 1.0, 1.5, 1.0, 1.0, 3.0]
    layout = layered(parents, widths, gap=0.5)
    assert layout.rank == [0, 1, 1, 1, 2, 3, 4]
    for a in range(len(parents)):
        for b in range(a):
            if layout.rank[a] == layout.rank[b]:
                assert abs(layout.across[a] - layout.across[b]) >= (widths[a] + widths[b]) / 2 + 0.5 - 1e-9
    points = {(a, b): [r for _, r in between] for a, b, between in layout.edges}
    assert points[0, 6] == [1, 2, 3] and points[0, 1] == []
    assert layout.extent[0] <= min(x - w / 2 for x, w in zip(layout.across, widths, strict=True))


def test_a_chain_is_a_straight_line() -> None:
    layout = layered([[], [0], [1], [2]], [1.0, 3.0, 2.0, 1.0], gap=0.5)
    assert max(layout.across) - min(layout.across) < 1e-9


def labels(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_the_picture_shows_layers_shapes_and_arrows(tmp_path: Path) -> None:
    from matplotlib.patches import FancyArrowPatch

    path = tmp_path / "model.png"
    figure = plot_model(
        residual(), path, show_shapes=True, show_layer_names=True, show_dtype=True, show_trainable=True, dpi=60
    )
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    shown = labels(figure)
    assert len(shown) == 4
    assert "last (Dense)\n(None, 2)\nfloat32\n14 parameters, trainable" in shown
    arrows = [p for p in figure.axes[0].patches if isinstance(p, FancyArrowPatch)]
    assert len(arrows) == 4


def test_boxes_do_not_overlap_and_hold_their_text(tmp_path: Path) -> None:
    figure = plot_model(residual(), None, dpi=60, show_shapes=True, show_layer_names=True)
    figure.canvas.draw()
    boxes = [p.get_window_extent() for p in figure.axes[0].patches if type(p).__name__ == "FancyBboxPatch"]
    for i, a in enumerate(boxes):
        assert not any(a.overlaps(b) for b in boxes[:i])
    for text, box in zip(figure.axes[0].texts, boxes, strict=True):
        extent = text.get_window_extent()
        assert box.x0 <= extent.x0 and extent.x1 <= box.x1 and box.y0 <= extent.y0 and extent.y1 <= box.y1
    width, height = figure.canvas.get_width_height()
    assert all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= width and b.y1 <= height for b in boxes)


def test_a_picture_from_left_to_right_is_wider_than_high() -> None:
    wide, high = (plot_model(stack(), None, rankdir=d).get_size_inches() for d in ("LR", "TB"))
    assert wide[0] > wide[1] and high[1] > high[0]


def test_nested_models_are_drawn_on_request() -> None:
    x = unidl.Input((8, 8, 1))
    model = unidl.Model(x, Dense(3, name="outer")(stack()(x)))
    assert len(labels(plot_model(model, None))) == 3
    shown = labels(plot_model(model, None, expand_nested=True, show_layer_names=True))
    assert sum("classes" in text for text in shown) == 1 and len(shown) == 3 + 6


def test_pictures_of_very_deep_models_stay_within_what_files_hold(tmp_path: Path) -> None:
    x = inputs = unidl.Input((2,))
    for _ in range(300):
        x = ops.relu(x)
    figure = plot_model(unidl.Model(inputs, x), tmp_path / "deep.png", show_shapes=False)
    assert max(figure.get_size_inches()) * figure.dpi <= 30_001


def test_pictures_of_nothing_and_unknown_options_are_refused() -> None:
    with pytest.raises(ValueError, match="no layers to draw"):
        plot_model(unidl.Sequential(name="empty"), None)
    with pytest.raises(ValueError, match="'TB' or 'LR'"):
        plot_model(stack(), None, rankdir="up")
    with pytest.raises(ValueError, match="does not take"):
        plot_model(stack(), None, colour="red")


def test_graphs_for_graphviz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dot = model_to_dot(residual(), show_shapes=True)
    text = dot.to_string()
    assert text.startswith("digraph") and text.count("->") == 4 and "last (Dense)\\n(None, 2)" in text
    named = unidl.Sequential([unidl.Input((2,)), Dense(1, name='a "b" \\ c')])
    assert r"a \"b\" \\ c (Dense)" in str(model_to_dot(named))
    assert str(model_to_dot(named, subgraph=True)).startswith('subgraph "cluster_')
    dot.write(tmp_path / "model.dot")
    assert (tmp_path / "model.dot").read_text() == text
    with pytest.raises(ValueError, match="does not take"):
        model_to_dot(named, colour="red")
    with pytest.raises(ValueError, match="no layers to draw"):
        model_to_dot(unidl.Sequential(name="empty"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="not installed"):
        dot.create()
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\nread -r line; echo $1 $line")
    program.chmod(0o755)
    assert dot.create(format="png").startswith(b"-Tpng digraph")


def test_a_part_of_the_summary() -> None:
    model = unidl.Sequential([unidl.Input((2,)), *(Dense(2, name=f"part_{i}") for i in range(5))])
    lines: list[str] = []
    model.summary(print_fn=lines.append, layer_range=["part_1", "part_[23]"])
    assert [f"part_{i}" in lines[0] for i in range(5)] == [False, True, True, True, False]
    with pytest.raises(ValueError, match="no layer is named 'other'"):
        model.summary(layer_range=["other", "part_1"])
    with pytest.raises(ValueError, match="two names"):
        model.summary(layer_range="part_1")


def test_positions_of_the_columns() -> None:
    model = unidl.Sequential([unidl.Input((2,)), Dense(2, name="one")])
    lines: list[str] = []
    model.summary(print_fn=lines.append, positions=[20, 50, 60])
    model.summary(print_fn=lines.append, line_length=60, positions=[1 / 3, 5 / 6, 1.0])
    assert lines[0] == lines[1]
    row = next(line for line in lines[0].splitlines() if line.startswith("one"))
    assert row.index("(None, 2)") == 20 and len(row) == 58
    with pytest.raises(ValueError, match="must rise"):
        model.summary(positions=[20, 10, 30])


@pytest.mark.skipif(not active.trains, reason="the NumPy backend does not train")
def test_an_optimizer_that_was_used_is_counted() -> None:
    model = unidl.Sequential([unidl.Input((3,)), Dense(2)])
    model.compile("adam", "mse")
    assert "Optimizer params" not in summary(model)
    model.fit(np.zeros((4, 3), "float32"), np.zeros((4, 2), "float32"), verbose=0)
    line = next(line for line in summary(model).splitlines() if line.startswith("Optimizer params"))
    assert int(line.split()[2].replace(",", "")) >= 2 * 8  # two moments for each weight
