"""What pytest says of a long run, of tests in every folder."""

from __future__ import annotations

from collections import Counter

import pytest

_seconds: Counter[str] = Counter()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seconds[report.location[0]] += report.duration


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Of a long run, the files that took the most time: where to look if the suite grows slow."""
    if sum(_seconds.values()) > 60:
        terminalreporter.write_sep("=", "slowest files")
        for file, seconds in _seconds.most_common(25):
            terminalreporter.write_line(f"{seconds:6.1f}s {file}")
