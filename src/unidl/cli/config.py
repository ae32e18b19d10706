"""``unidl config``: the user's settings, a JSON object in the user's config directory."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import tempfile
from typing import Any

from unidl._select import check_known, config_file, read_config

_SETTINGS = {"backend": "the backend to use where UNIDL_BACKEND is not set"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "setting", nargs="?", choices=_SETTINGS, help="; ".join(f"{k}: {v}" for k, v in _SETTINGS.items())
    )
    parser.add_argument("value", nargs="?", help="its new value; without one the present value is printed")
    parser.add_argument("--unset", action="store_true", help="remove the setting")


def run(arguments: argparse.Namespace) -> int:
    """Print or change the settings.

    Raises:
        BackendError: if the file is not a JSON object, or the backend is not installed.
    """
    config = read_config()
    setting, value = arguments.setting, arguments.value
    if setting is None:
        print(f"{config_file()}: {json.dumps(config)}")
    elif arguments.unset:
        config.pop(setting, None)
        write_config(config)
    elif value is None:
        print(config.get(setting, "not set"))
    else:
        check_known(value, "the command line")
        write_config({**config, setting: value})
        print(f"{config_file()}: {setting} = {value}")
        if os.environ.get("UNIDL_BACKEND"):
            print(f"UNIDL_BACKEND={os.environ['UNIDL_BACKEND']} is set and goes first.")
    return 0


def write_config(config: dict[str, Any]) -> None:
    """Replace the config file at once: a crash leaves the old one whole."""
    path = config_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    try:
        with open(handle, "w", encoding="utf-8") as file:
            json.dump(config, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
