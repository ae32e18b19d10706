"""The progress bar: rare drawings, plain lines in files, a live line in terminals, an output in notebooks."""

from __future__ import annotations

import io
import math
import subprocess
import sys
import textwrap
import types

import pytest

from unidl.training import progress
from unidl.training.progress import ProgressBar, clock, duration, number, pace, style_of_output
from unidl.utils import Progbar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clocked(monkeypatch):
    """Time stands still unless the test moves it."""
    now = types.SimpleNamespace(time=100.0)
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now.time)
    return now


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


# -- where it is shown -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verbose", "stream", "style"),
    [
        (0, Terminal(), "none"),
        (False, Terminal(), "none"),
        (1, Terminal(), "live"),
        (True, Terminal(), "live"),
        ("auto", Terminal(), "live"),
        (2, Terminal(), "plain"),
        (1, io.StringIO(), "plain"),
        ("auto", io.StringIO(), "plain"),
        ("auto", object(), "plain"),
    ],
)
def test_style(verbose, stream, style, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    assert style_of_output(verbose, stream) == style


def test_dumb_terminals_and_closed_streams_get_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert style_of_output(1, Terminal()) == "plain"
    closed = io.StringIO()
    closed.close()
    assert style_of_output(1, closed) == "plain"


@pytest.mark.parametrize("verbose", [3, -1, "yes", None])
def test_bad_verbose(verbose):
    with pytest.raises(ValueError, match=r"`verbose` must be 0.*1.*2.*'auto'"):
        style_of_output(verbose)


# -- log files -------------------------------------------------------------------------------------


def test_a_log_file_gets_one_plain_line(clocked):
    stream = io.StringIO()
    bar = ProgressBar(500, "Epoch 2/10", "plain", stream=stream)
    for step in range(1, 501):
        clocked.time += 0.5
        bar.update(step, lambda: pytest.fail("nothing is drawn, so no value is asked for"))
    bar.draw({"loss": 1.0})
    bar.finish({"loss": 0.25, "val_loss": 1e-7})
    assert stream.getvalue() == ("Epoch 2/10 - 500/500 - 4:10 - 500 ms/step - loss: 0.2500 - val_loss: 1.0000e-07\n")


def test_no_bar_writes_nothing():
    stream = io.StringIO()
    bar = ProgressBar(5, "Epoch", "none", stream=stream)
    bar.update(1)
    bar.finish()
    assert stream.getvalue() == ""


# -- terminals -------------------------------------------------------------------------------------


def test_a_terminal_is_drawn_at_most_ten_times_a_second_and_values_only_then(clocked, terminal):
    asked = []

    def logs():
        asked.append(clocked.time)
        return {"loss": 0.5, "accuracy": 0.875}

    bar = ProgressBar(1000, "Epoch 1/3", "live", stream=terminal)
    for step in range(1, 1001):
        clocked.time += 0.001
        bar.update(step, logs)
    assert 5 <= len(asked) <= 10
    bar.finish(logs)
    text = terminal.getvalue()
    assert "ETA 0:01" in text and "━" in text and "accuracy" in text and "0.8750" in text
    last = text.rstrip("\n").rsplit("\n", 1)[-1]
    assert "1000/1000" in last and "ETA" not in last


def test_a_short_epoch_shows_its_last_line_only(clocked, terminal):
    bar = ProgressBar(3, "Epoch 1/3", "live", stream=terminal)
    for step in range(1, 4):
        bar.update(step, lambda: pytest.fail("too early"))
    bar.finish({"loss": 0.5})
    assert terminal.getvalue().count("\n") == 1 and "\x1b[?25l" not in terminal.getvalue()


def test_slow_drawing_makes_drawings_rarer(clocked, terminal):
    bar = ProgressBar(1000, "", "live", stream=terminal)
    drawn = []

    def slow():
        drawn.append(clocked.time)
        clocked.time += 0.1  # fetching the metrics takes as long as the usual interval
        return {}

    for step in range(1, 401):
        clocked.time += 0.05
        bar.update(step, slow)
    bar.close()
    assert len(drawn) == math.ceil(20 / 5.1)


def test_the_cursor_comes_back_and_closing_twice_is_fine(clocked, terminal):
    bar = ProgressBar(10, "", "live", stream=terminal)
    clocked.time += 1
    bar.update(1, {})
    assert "\x1b[?25l" in terminal.getvalue() and "\x1b[?25h" not in terminal.getvalue()
    bar.close()
    bar.close()
    assert "\x1b[?25h" in terminal.getvalue()
    length = len(terminal.getvalue())
    clocked.time += 1
    bar.update(2, {})
    assert len(terminal.getvalue()) == length


def test_unknown_lengths_have_no_bar_but_a_guess_from_the_epoch_before(clocked, terminal):
    bar = ProgressBar(None, "Epoch 2", "live", stream=terminal, guess=100)
    clocked.time += 1
    bar.update(10, {})
    bar.draw(note="validating")
    bar.finish()
    text = terminal.getvalue()
    assert "10 steps" in text and "ETA ≈ 0:09" in text and "━" not in text and "validating" in text


# -- notebooks -------------------------------------------------------------------------------------


def test_a_notebook_gets_one_output_that_is_replaced(clocked, monkeypatch):
    shown = []
    handle = types.SimpleNamespace(update=lambda data, raw: shown.append(("update", data)))

    def display(data, raw, display_id):
        assert raw and display_id
        shown.append(("display", data))
        return handle

    shell = types.SimpleNamespace(kernel=object())
    ipython = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    assert style_of_output("auto") == "notebook" and style_of_output(2) == "plain"
    bar = ProgressBar(4, "Epoch <1>", "notebook")
    for step in range(1, 4):
        clocked.time += 1
        bar.update(step, {"loss": 0.5})
    bar.finish({"loss": 0.25})
    assert [kind for kind, _ in shown] == ["display", "update", "update", "update"]
    assert "<progress" in shown[0][1]["text/html"] and "Epoch &lt;1&gt;" in shown[0][1]["text/html"]
    assert shown[-1][1]["text/plain"].endswith("loss: 0.2500") and "<progress" not in shown[-1][1]["text/html"]


# -- words -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (pace, 1.23e-5, "12 µs"),
        (pace, 0.0012, "1.2 ms"),
        (pace, 0.25, "250 ms"),
        (pace, 0.9996, "1.0 s"),
        (pace, 2, "2.0 s"),
        (duration, 0.04, "0.0 s"),
        (duration, 12.3, "12 s"),
        (duration, 59.6, "1:00"),
        (duration, 3700, "1:01:40"),
        (clock, 6.6, "0:07"),
        (number, 0.5, "0.5000"),
        (number, 0, "0.0000"),
        (number, 1e-9, "1.0000e-09"),
        (number, 123456.0, "1.2346e+05"),
        (number, float("nan"), "nan"),
        (number, "text", "text"),
        (number, [1], "[1]"),
    ],
)
def test_words(function, value, text):
    assert function(value) == text


@pytest.mark.once
def test_rich_is_imported_only_to_draw():
    code = """
        import sys, unidl.utils, unidl.callbacks
        from unidl.training.progress import ProgressBar
        bar = ProgressBar(3, "Epoch 1", "plain")
        bar.update(3); bar.finish({"loss": 1})
        assert not any(m in sys.modules for m in ("rich", "IPython", "matplotlib")), "imported too early"
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Epoch 1 - 3/3 - ")


# -- Progbar ---------------------------------------------------------------------------------------


def test_progbar_averages_over_steps_and_ends_at_its_target(capsys):
    bar = Progbar(4, verbose=2, stateful_metrics=["rate"])
    bar.update(1, [("loss", 4.0), ("rate", 1.0)])
    bar.add(2, [("loss", 1.0), ("rate", 0.5)])
    assert capsys.readouterr().out == ""
    bar.add(1, [("loss", 2.0)])
    bar.update(4)
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and out.startswith("4/4 - ") and out.endswith("loss: 2.0000 - rate: 0.5000\n")


def test_progbar_of_unknown_length_ends_when_told(capsys):
    bar = Progbar(None, verbose=1, unit_name="file")
    bar.add(3)
    assert capsys.readouterr().out == ""
    bar.update(3, finalize=True)
    assert "3 files" in capsys.readouterr().out
