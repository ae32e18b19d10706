"""Which backend to use: discovery by entry points, choice, and errors that say what to do.

It stands outside `unidl.backend`, whose import binds a backend, so that the command line can list
and choose backends without an engine.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from unidl.errors import BackendError

if TYPE_CHECKING:
    from unidl.backend.contract import Backend

GROUP = "unidl.backends"
PREFERENCE = ("torch", "tensorflow", "mxnet", "numpy")


class Choice(NamedTuple):
    """A backend's name and where it was chosen."""

    name: str
    reason: str


def found() -> dict[str, metadata.EntryPoint]:
    """The installed backends by name."""
    return {entry.name: entry for entry in metadata.entry_points(group=GROUP)}


def pip_line(name: str) -> str:
    """What to type to get a backend and its engine."""
    if name in PREFERENCE:
        return f'pip install "unidl[{name}]"'
    return "pip install the distribution that brings it"


def config_file() -> Path:
    """Where the user's choice is kept: ``config.json`` in the user's config directory.

    ``UNIDL_HOME`` names another directory.
    """
    home = os.environ.get("UNIDL_HOME")
    if home:
        return Path(home) / "config.json"
    from platformdirs import user_config_dir

    return Path(user_config_dir("unidl", appauthor=False)) / "config.json"


def read_config() -> dict[str, Any]:
    """The user's config file; empty if there is none or it cannot be read.

    Raises:
        BackendError: if the file is not a JSON object.
    """
    path = config_file()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return {}
    except UnicodeDecodeError as error:
        raise BackendError(f"{path} is not a JSON object ({error}). Repair or delete it.") from None
    import json

    try:
        config = json.loads(text)
    except ValueError as error:
        raise BackendError(f"{path} is not a JSON object ({error}). Repair or delete it.") from None
    if not isinstance(config, dict):
        raise BackendError(f"{path} is not a JSON object, but {type(config).__name__}. Repair or delete it.")
    return config


def _configured() -> str:
    name = read_config().get("backend") or ""
    if not isinstance(name, str):
        raise BackendError(f"{config_file()}: 'backend' must be the name of a backend, not {name!r}.")
    return name.strip()


def has_engine(name: str) -> bool:
    """Whether the engine of one of unidl's own backends can be found, without importing it.

    Each is called like its engine's module; other people's backends are taken to be complete.
    """
    if name not in PREFERENCE:
        return True
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # a module without a spec has been put into sys.modules by hand: it is there
        return True
    # A folder of that name in the working directory is a namespace package, and no engine.
    return spec is not None and spec.origin is not None


def check_known(name: str, reason: str) -> None:
    """Raise a BackendError that lists what is installed if there is no backend `name`."""
    backends = found()
    if name not in backends:
        installed = ", ".join(sorted(backends)) or "none"
        raise BackendError(
            f"Unknown backend {name!r} (from {reason}). Installed: {installed}. To add it: {pip_line(name)}"
        )


def choose() -> Choice:
    """The backend to use and why; nothing is imported.

    Raises:
        BackendError: if there is none, or a name was asked for that is not installed.
    """
    asked, reason = os.environ.get("UNIDL_BACKEND", "").strip(), "UNIDL_BACKEND"
    if not asked:
        asked, reason = _configured(), str(config_file())
    if asked:
        check_known(asked, reason)
        return Choice(asked, reason)
    backends = found()
    for name in PREFERENCE:
        if name in backends and has_engine(name):
            return Choice(name, f"first installed of {', '.join(PREFERENCE)}")
    others = [n for n in sorted(backends) if n not in PREFERENCE]
    if others:
        return Choice(others[0], f"none of {', '.join(PREFERENCE)} is installed")
    without = f" ({', '.join(sorted(backends))} installed, but no engine)" if backends else ""
    raise BackendError(f"No backend is installed{without}. To get one: {pip_line('torch')}")


def load(name: str) -> Backend:
    """Import a backend by name.

    Raises:
        BackendError: if its engine is missing, or the backend itself is importing unidl; the error of a broken engine
            passes through.
    """
    from unidl.backend.contract import Backend

    entry = found()[name]
    if not has_engine(name):
        raise BackendError(f"Backend {name!r} is installed, but its engine is not: {pip_line(name)}")
    spec = getattr(sys.modules.get(entry.module), "__spec__", None)
    if getattr(spec, "_initializing", False):
        raise BackendError(f"{entry.module} was imported before unidl: write `import unidl` first, which loads it.")
    backend = entry.load()
    if not isinstance(backend, Backend):
        raise BackendError(f"Entry point {entry.value} of backend {name!r} is no unidl.backend.contract.Backend.")
    return backend


def select() -> tuple[Backend, Choice]:
    """Choose and import the backend of this process."""
    choice = choose()
    return load(choice.name), choice
