"""What every test run shares: no influence from the user's settings, Hypothesis that repeats itself."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import hypothesis
import pytest

# Before unidl is imported, which reads the user's config file.
_home = tempfile.mkdtemp(prefix="unidl-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["UNIDL_HOME"] = _home

hypothesis.settings.register_profile(
    "unidl",
    derandomize=True,
    deadline=None,
    database=None,
    print_blob=False,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large],
)
hypothesis.settings.load_profile("unidl")


def pytest_report_header() -> str:
    try:
        from unidl.backend import active, choice
    except Exception as error:
        raise pytest.UsageError(f"The backend does not load. {type(error).__name__}: {error}") from error
    return f"unidl backend: {active.name} {active.engine_version} ({choice.reason})"


def pytest_collection_finish() -> None:
    """Engines and collected tests, a million objects, stay to the end: the garbage collector need not visit them."""
    gc.collect()
    gc.freeze()


_BACKEND = """
{engine}
from unidl.backend.contract import Backend

class Fake(Backend):
    name = engine = {name!r}
    engine_version = "9.9"

    def devices(self):
        return ["cpu:0", "fake:1"]

Fake.__abstractmethods__ = frozenset()
backend = Fake()
"""


class Isolated:
    """A virtual environment with the core and its requirements, and what a test puts into it: no real backend.

    Attributes:
        home: what UNIDL_HOME is for its processes.
    """

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        venv.create(folder / "venv", symlinks=True)
        self.python = folder / "venv" / "bin" / "python"
        (self._site,) = (folder / "venv").glob("lib/python*/site-packages")
        core = Path(__file__).resolve().parent.parent / "src"
        (self._site / "unidl.pth").write_text(f"{core}\n")
        for name in ("numpy", "platformdirs", "rich", "markdown-it-py", "mdurl", "Pygments"):
            distribution = metadata.distribution(name)
            for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
                (self._site / top).symlink_to(str(distribution.locate_file(top)))

    def add_engine(self, name: str, source: str = "") -> None:
        """Put in a module that a backend's engine is called like."""
        (self._site / name).mkdir()
        (self._site / name / "__init__.py").write_text(source)

    def add_backend(self, name: str, version: str = "1.2.3", source: str | None = None) -> None:
        """Put in a distribution with an entry point; its module imports the engine if unidl knows one of that name."""
        from unidl._select import PREFERENCE

        engine = f"import {name}" if name in PREFERENCE else ""
        module = self._site / f"unidl_{name}.py"
        module.write_text(_BACKEND.format(name=name, engine=engine) if source is None else source)
        info = self._site / f"unidl_{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: unidl-{name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[unidl.backends]\n{name} = unidl_{name}:backend\n")

    def run(self, *arguments: str, backend: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run its Python with `arguments`, and with UNIDL_BACKEND set to `backend`."""
        environment = {k: v for k, v in os.environ.items() if k not in ("UNIDL_BACKEND", "PYTHONPATH")}
        environment["UNIDL_HOME"] = str(self.home)
        if backend is not None:
            environment["UNIDL_BACKEND"] = backend
        return subprocess.run(
            [str(self.python), *arguments], env=environment, cwd=self.python.parent, capture_output=True, text=True
        )


@pytest.fixture
def isolated(tmp_path: Path) -> Isolated:
    """An environment of its own, in which a test decides what is installed."""
    return Isolated(tmp_path)


@pytest.fixture
def fresh_python() -> Callable[..., str]:
    """Run code in a new process of this environment with the active backend; returns what it prints."""
    from unidl.backend import active

    def run(code: str) -> str:
        environment = {**os.environ, "UNIDL_BACKEND": active.name}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
