"""The command `unidl`: the table of backends, and the user's settings."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from typing import TYPE_CHECKING

import pytest

from unidl import __version__
from unidl.cli import config, main

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Isolated

pytestmark = pytest.mark.once


def columns(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_table_of_backends(isolated: Isolated) -> None:
    for name in ("numpy", "torch", "tensorflow", "other"):
        isolated.add_backend(name)
    isolated.add_engine("tensorflow", "print('hello'); raise OSError('first line\\nlibtensorflow.so: no such file')")
    done = isolated.run("-m", "unidl")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert columns(lines[0]) == ["backend", "version", "engine", "devices", "state"]
    assert columns(lines[1]) == ["torch", "1.2.3", "-", "-", 'no engine: pip install "unidl[torch]"']
    assert columns(lines[2]) == ["tensorflow", "1.2.3", "-", "-", "OSError: libtensorflow.so: no such file"]
    assert columns(lines[3]) == ["numpy", "1.2.3", "numpy 9.9", "cpu:0, fake:1", "ok"]
    assert columns(lines[4]) == ["other", "1.2.3", "other 9.9", "cpu:0, fake:1", "ok"]
    assert lines[5:] == [
        'Not installed: mxnet (pip install "unidl[mxnet]")',
        "import unidl would use tensorflow (from first installed of torch, tensorflow, mxnet, numpy)",
    ]


def test_engine_that_kills_its_process(isolated: Isolated) -> None:
    isolated.add_backend("torch")
    isolated.add_engine("torch", "import os; os.abort()")
    assert "its process ended with status -6" in isolated.run("-m", "unidl", "backends").stdout


def test_choice_that_would_fail_is_a_message(isolated: Isolated) -> None:
    isolated.add_backend("numpy")
    done = isolated.run("-m", "unidl", backend="teano")
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    assert columns(done.stdout.splitlines()[1])[-1] == "ok"
    assert done.stdout.splitlines()[-1].startswith("import unidl would fail: Unknown backend 'teano'")


def test_without_any_backend(isolated: Isolated) -> None:
    done = isolated.run("-m", "unidl")
    assert done.returncode == 1
    assert 'torch (pip install "unidl[torch]")' in done.stdout
    assert "import unidl would fail: No backend is installed" in done.stdout


def test_table_on_a_terminal(isolated: Isolated) -> None:
    isolated.add_backend("numpy")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "UNIDL_HOME": str(isolated.home), "TERM": "xterm", "COLUMNS": "100"}
    environment.pop("UNIDL_BACKEND", None)
    subprocess.run([isolated.python, "-m", "unidl"], stdout=theirs, stderr=theirs, env=environment, check=True)
    os.close(theirs)
    text = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert "│" in text and "numpy 9.9" in text and "\x1b[" in text


def test_command_line_imports_no_engine(isolated: Isolated) -> None:
    isolated.add_backend("torch")
    isolated.add_engine("torch")
    code = "import sys; sys.argv = ['unidl']; import unidl.cli; unidl.cli.main([]); print(*sys.modules)"
    done = isolated.run("-c", code)
    modules = set(done.stdout.splitlines()[-1].split())
    assert "ok" in done.stdout and "unidl.cli.backends" in modules
    assert not {"torch", "unidl_torch", "unidl.backend", "numpy"} & modules


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0 and capsys.readouterr().out == f"unidl {__version__}\n"


def test_config_sets_shows_and_unsets_the_backend(isolated: Isolated) -> None:
    isolated.add_backend("numpy")
    isolated.add_backend("other")
    command = ("-m", "unidl", "config", "backend")
    assert isolated.run(*command).stdout == "not set\n"
    file = isolated.home / "config.json"
    assert isolated.run(*command, "other").stdout == f"{file}: backend = other\n"
    assert json.loads(file.read_text()) == {"backend": "other"}
    assert isolated.run(*command).stdout == "other\n"
    assert f"import unidl would use other (from {file})" in isolated.run("-m", "unidl").stdout
    assert "goes first" in isolated.run(*command, "other", backend="numpy").stdout
    assert isolated.run(*command, "--unset").returncode == 0
    assert json.loads(file.read_text()) == {}


def test_config_refuses_a_backend_that_is_not_installed(isolated: Isolated) -> None:
    isolated.add_backend("numpy")
    done = isolated.run("-m", "unidl", "config", "backend", "torch")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("unidl: Unknown backend 'torch' (from the command line). Installed: numpy.")
    assert not (isolated.home / "config.json").exists()


def test_config_keeps_what_it_does_not_know_and_refuses_a_damaged_file(isolated: Isolated) -> None:
    isolated.add_backend("numpy")
    isolated.home.mkdir()
    file = isolated.home / "config.json"
    file.write_text('{"later": 1}')
    isolated.run("-m", "unidl", "config", "backend", "numpy")
    assert json.loads(file.read_text()) == {"later": 1, "backend": "numpy"}
    file.write_text('{"later"')
    done = isolated.run("-m", "unidl", "config", "backend", "numpy")
    assert done.returncode == 1 and "Repair or delete it" in done.stderr
    assert file.read_text() == '{"later"'


def test_config_is_replaced_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIDL_HOME", str(tmp_path))
    config.write_config({"backend": "numpy"})

    def crash(handle: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(OSError, match="disk full"):
        config.write_config({"backend": "torch"})
    assert [file.name for file in tmp_path.iterdir()] == ["config.json"]
    assert json.loads((tmp_path / "config.json").read_text()) == {"backend": "numpy"}
