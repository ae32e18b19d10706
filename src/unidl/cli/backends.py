"""``unidl backends``: what is installed, whether it works, and which one `import unidl` would use.

Each backend is loaded in a process of its own, so that a broken engine breaks nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from typing import NamedTuple

from unidl._select import PREFERENCE, choose, found, has_engine, pip_line
from unidl.cli._table import print_table
from unidl.errors import BackendError

_HEADINGS = ("backend", "version", "engine", "devices", "state")
_MARK = "unidl-probe:"
_SECONDS = 120
# The exception is reported by the last line of its message: a broken engine's own words. What engines print is ignored.
_PROBE = f"""
import json
try:
    from unidl.backend import active
    found = dict(engine=f"{{active.engine}} {{active.engine_version}}", devices=list(active.devices()))
except BaseException as error:
    words = [type(error).__name__, *str(error).strip().splitlines()[-1:]]
    found = dict(error=": ".join(words))
print("\\n{_MARK}" + json.dumps(found), flush=True)
"""


class Probe(NamedTuple):
    """One line of the table; `error` is empty if the backend loads."""

    name: str
    version: str
    engine: str = "-"
    devices: str = "-"
    error: str = ""

    @property
    def row(self) -> tuple[str, str, str, str, str]:
        return self.name, self.version, self.engine, self.devices, self.error or "ok"


def configure(parser: argparse.ArgumentParser) -> None:
    """This command has no arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Print the table and the choice; the exit status is 1 if there is nothing to choose."""
    entries = found()
    with ThreadPoolExecutor(max_workers=2) as pool:
        probes = list(pool.map(probe, sorted(entries, key=_order)))
    if probes:
        print_table(_HEADINGS, [one.row for one in probes], [bool(one.error) for one in probes])
    absent = [name for name in PREFERENCE if name not in entries]
    if absent:
        print("Not installed: " + "; ".join(f"{name} ({pip_line(name)})" for name in absent))
    try:
        choice = choose()
    except BackendError as error:
        print(f"import unidl would fail: {error}")
        return 1
    print(f"import unidl would use {choice.name} (from {choice.reason})")
    return 0


def _order(name: str) -> tuple[int, str]:
    return (PREFERENCE.index(name) if name in PREFERENCE else len(PREFERENCE)), name


def probe(name: str) -> Probe:
    """Load a backend in another process and ask it about its engine."""
    distribution = found()[name].dist
    version = distribution.version if distribution else "-"
    if not has_engine(name):
        return Probe(name, version, error=f"no engine: {pip_line(name)}")
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE],
            env={**os.environ, "UNIDL_BACKEND": name},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return Probe(name, version, error=f"did not load within {_SECONDS} s")
    marked = [line for line in done.stdout.splitlines() if line.startswith(_MARK)]
    if not marked:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        return Probe(name, version, error=f"its process ended with status {done.returncode}: {last}".rstrip(": "))
    answer = json.loads(marked[-1][len(_MARK) :])
    if "error" in answer:
        return Probe(name, version, engine=_engine_version(name), error=answer["error"])
    return Probe(name, version, answer["engine"], ", ".join(answer["devices"]))


def _engine_version(name: str) -> str:
    """What the metadata of a broken engine say: one of the distributions that bring its module."""
    owners = metadata.packages_distributions().get(name, [])
    return f"{name} {metadata.version(owners[0])}" if owners else "-"
