"""Runs examples, each in a process of its own: for `test_examples.py`.

Imports unidl and the engine once, for that takes longest, and forks a child for each line of JSON on its standard
input, which runs the script as Python does (`__main__`, its folder first on the path) in the given folder. Answers with
the child's exit status.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import unidl  # noqa: F401


def child(script: str, folder: str) -> int:
    """Run the script, what it prints in ``stdout`` and ``stderr`` of the folder; its exit status."""
    os.chdir(folder)
    for stream, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(file, stream)
        os.close(file)
    sys.argv = [script]
    sys.path[0] = str(Path(script).parent)
    code: Any = 0
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return int(code or 0)


def run(script: str, folder: str, seconds: float) -> int:
    """The exit status of the script in a child, negative if a signal ended it; after so many seconds it is killed."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = child(script, folder)
        finally:
            os._exit(code)
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(pid, 9)
            end = float("inf")
        time.sleep(0.02)


if __name__ == "__main__":
    for line in sys.stdin:
        print(run(**json.loads(line)), flush=True)
