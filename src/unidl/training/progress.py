"""The progress bar: a live line in a terminal and in a notebook, plain lines in a log file.

Drawing is rare (at most ten times a second) and is the only thing that asks for the metrics' values;
between two drawings a step costs one look at the clock. `rich` is imported by the first drawing.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from unidl.config import is_interactive_logging_enabled

Logs = Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None

#: A drawing takes at most this part of the time between two of them.
_SHARE = 0.02


def style_of_output(verbose: Any = "auto", stream: Any = None) -> str:
    """How progress is shown: "none", "plain" (a line an epoch), "live" (terminal) or "notebook".

    Args:
        verbose: 0 shows nothing, 2 plain lines, 1 and "auto" the best that the output can show: files and
            pipes get plain lines too.
        stream: a text stream, `sys.stdout` by default.

    Raises:
        ValueError: for any other `verbose`.
    """
    if isinstance(verbose, str):
        if verbose != "auto":
            raise ValueError(f"`verbose` must be 0, 1, 2 or 'auto', not {verbose!r}.")
    elif verbose not in (0, 1, 2):
        raise ValueError(f"`verbose` must be 0 (silent), 1 (bar), 2 (one line per epoch) or 'auto', not {verbose!r}.")
    if verbose == 0:
        return "none"
    if verbose == 2 or (stream is None and not is_interactive_logging_enabled()):
        return "plain"
    if stream is None and _in_notebook():
        return "notebook"
    stream = sys.stdout if stream is None else stream
    try:
        interactive = stream.isatty()
    except (AttributeError, ValueError):  # closed, or no real stream
        interactive = False
    return "live" if interactive and os.environ.get("TERM", "") != "dumb" else "plain"


def _in_notebook() -> bool:
    """Whether this code runs in a Jupyter kernel; IPython is not imported to find out."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None and hasattr(module, "get_ipython") else None
    return shell is not None and hasattr(shell, "kernel")


class ProgressBar:
    """Progress through one pass over data.

    Args:
        target: number of steps, None if it is not known.
        title: what stands before the bar, e.g. ``"Epoch 1/10"``.
        style: as `style_of_output` returns it.
        stream: where to write, `sys.stdout` (at the time of drawing) by default.
        interval: seconds between two drawings at least.
        guess: a likely number of steps (that of the epoch before), used for the time left if `target` is None.
        width: of the bar, in characters.

    Attributes:
        step: steps done when last told.
    """

    def __init__(
        self,
        target: int | None,
        title: str = "",
        style: str = "live",
        *,
        stream: Any = None,
        interval: float = 0.1,
        guess: int | None = None,
        width: int = 24,
        unit: str = "step",
    ) -> None:
        self.target, self.title, self.style, self.stream = target, title, style, stream
        self.interval, self.guess, self.width, self.unit = interval, guess, width, unit
        self.step = 0
        self._start = time.perf_counter()
        self._drawn: _Display | None = None
        # Short passes show only their last line: a bar that appears and vanishes is noise.
        self._next = self._start + interval if style in ("live", "notebook") else math.inf

    def update(self, step: int, logs: Logs = None) -> None:
        """Say that `step` steps are done. `logs`, a dict or a function that returns one, is read only to draw."""
        self.step = step
        if time.perf_counter() >= self._next:
            self.draw(logs)

    def draw(self, logs: Logs = None, note: str = "") -> None:
        """Draw now, if the output can show intermediate states."""
        if self.style not in ("live", "notebook"):
            return
        before = time.perf_counter()
        display = self._display()
        display.show(self._line(_values(logs), before, note))
        after = time.perf_counter()
        self._next = after + max(self.interval, (after - before) / _SHARE)

    def finish(self, logs: Logs = None) -> None:
        """Draw the last state, which stays, and end."""
        if self.style == "none":
            return
        line = self._line(_values(logs), time.perf_counter(), "", final=True)
        if self.style == "plain":
            if self.stream is None and not is_interactive_logging_enabled():
                logging.getLogger("unidl").info(line.plain())
            else:
                stream = sys.stdout if self.stream is None else self.stream
                stream.write(line.plain() + "\n")
                stream.flush()
        else:
            self._display().show(line, last=True)
        self.close()

    def close(self) -> None:
        """Give the terminal back. Safe to call at any time, more than once."""
        self._next = math.inf
        if self._drawn is not None:
            self._drawn.close()
            self._drawn = None

    def _display(self) -> _Display:
        if self._drawn is None:
            self._drawn = _Notebook() if self.style == "notebook" else _Terminal(self.stream)
        return self._drawn

    def _line(self, values: list[tuple[str, str]], now: float, note: str, final: bool = False) -> Line:
        elapsed = now - self._start
        per_step = elapsed / self.step if self.step else None
        steps = str(self.step) if self.target is None else f"{self.step}/{self.target}"
        if self.target is None:
            steps += f" {self.unit}" if self.step == 1 else f" {self.unit}s"
        times = [duration(elapsed)] if final else []
        if per_step is not None:
            times.append(f"{pace(per_step)}/{self.unit}")
            total = self.target or self.guess
            if not final and not note and total and total > self.step:
                times.append(f"{'ETA' if self.target else 'ETA ≈'} {clock(per_step * (total - self.step))}")
        if note:
            times.append(note)
        done = self.step / self.target if self.target else None
        return Line(self.title, steps, times, values, None if final or done is None else min(1.0, done), self.width)


class Line:
    """What one line of progress says.

    Attributes:
        title, steps, times: words of the line.
        values: metrics as (name, text).
        done: part of the work done, 0 to 1; None for a line without a bar.
        width: of the bar.
    """

    def __init__(
        self, title: str, steps: str, times: list[str], values: list[tuple[str, str]], done: float | None, width: int
    ) -> None:
        self.title, self.steps, self.times = title, steps, times
        self.values, self.done, self.width = values, done, width

    def plain(self) -> str:
        """As text without any control characters."""
        parts = [self.title, self.steps, *self.times, *(f"{k}: {v}" for k, v in self.values)]
        return " - ".join(p for p in parts if p)

    def styled(self) -> Any:
        """As a `rich.text.Text`."""
        from rich.text import Text

        text = Text(no_wrap=True, overflow="ellipsis", end="")
        if self.title:
            text.append(self.title, style="bold")
            text.append("  ")
        if self.done is not None:
            filled = round(self.done * self.width)
            text.append("━" * filled, style="green")
            text.append("━" * (self.width - filled), style="bright_black")
            text.append("  ")
        text.append(self.steps)
        for item in self.times:
            text.append("  " + item, style="cyan")
        for name, value in self.values:
            text.append(f"  {name} ", style="bright_black")
            text.append(value, style="bold")
        return text

    def html(self) -> str:
        """For a notebook."""
        from html import escape

        head = f"<b>{escape(self.title)}</b> " if self.title else ""
        if self.done is not None:
            style = "width: 12em; vertical-align: middle"
            head += f'<progress value="{self.done:.4f}" max="1" style="{style}"></progress> '
        words = " &nbsp; ".join(escape(w) for w in [self.steps, *self.times])
        values = "".join(f" &nbsp; {escape(k)} <b>{escape(v)}</b>" for k, v in self.values)
        return f'<div style="font-family: monospace">{head}{words}{values}</div>'


class _Display:
    """Something a line can be shown on again and again."""

    def show(self, line: Line, last: bool = False) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class _Terminal(_Display):
    """A line that is drawn over; what others print meanwhile appears above it."""

    def __init__(self, stream: Any) -> None:
        from rich.console import Console

        self.console = Console(file=stream, highlight=False)
        self.live: Any = None

    def show(self, line: Line, last: bool = False) -> None:
        if last:
            if self.live is not None:
                self.live.transient = True  # the bar goes; the whole line, however long, is printed instead
                self.close()
            self.console.print(line.styled(), soft_wrap=True, end="\n")
            return
        text = line.styled()
        if (excess := text.cell_len - self.console.width) > 0:
            line.width = max(6, line.width - excess)
            text = line.styled()
        if self.live is None:
            from rich.live import Live

            # No thread draws: `update` does, so that the training thread is never held up by another.
            self.live = Live(text, console=self.console, auto_refresh=False)
            self.live.start(refresh=True)
        else:
            self.live.update(text, refresh=True)

    def close(self) -> None:
        if self.live is not None:
            self.live.stop()
            self.live = None


class _Notebook(_Display):
    """An output of the notebook's cell that is replaced."""

    def __init__(self) -> None:
        self.handle: Any = None

    def show(self, line: Line, last: bool = False) -> None:
        from IPython.display import display

        data = {"text/plain": line.plain(), "text/html": line.html()}
        if self.handle is None:
            self.handle = display(data, raw=True, display_id=True)
        else:
            self.handle.update(data, raw=True)

    def close(self) -> None:
        self.handle = None


def tell(text: str) -> None:
    """Print a line, or send it to the logger "unidl" if interactive logging is disabled."""
    if is_interactive_logging_enabled():
        print(text)
    else:
        logging.getLogger("unidl").info(text)


# -- words -----------------------------------------------------------------------------------------


def _values(logs: Logs) -> list[tuple[str, str]]:
    given = logs() if callable(logs) else logs
    return [(str(name), number(value)) for name, value in (given or {}).items()]


def number(value: Any) -> str:
    """A metric's value in few characters: four decimals, or an exponent for the very small and large."""
    if isinstance(value, (str, bool)):
        return str(value)
    with contextlib.suppress(TypeError, ValueError):
        value = float(value)
        if value == 0 or not math.isfinite(value):
            return "0.0000" if value == 0 else str(value)
        return f"{value:.4f}" if 1e-3 <= abs(value) < 1e5 else f"{value:.4e}"
    return str(value)


def pace(seconds: float) -> str:
    """Time for one step: "12 µs", "3.4 ms", "1.2 s"."""
    for factor, name in ((1e6, "µs"), (1e3, "ms")):
        if seconds * factor < 999.5:
            scaled = seconds * factor
            return f"{scaled:.0f} {name}" if scaled >= 10 or name == "µs" else f"{scaled:.1f} {name}"
    return f"{seconds:.1f} s"


def duration(seconds: float) -> str:
    """Time passed: "0.4 s", "12 s", "3:05", "1:02:03"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 59.5 else clock(seconds)


def clock(seconds: float) -> str:
    """Time left: "0:07", "12:34", "1:02:03"."""
    whole = int(seconds + 0.5)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
