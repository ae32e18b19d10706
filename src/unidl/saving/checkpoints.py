"""Folders of numbered checkpoints, ``step-3.keras`` or ``step-3.safetensors``, as `OrbaxCheckpoint` writes them."""

from __future__ import annotations

import os
import re
from typing import Any

_NAME = re.compile(r"step-(\d+)\.(?:safetensors|keras)")


def numbered_checkpoints(folder: Any) -> list[tuple[int, str]]:
    """Numbers and paths of the checkpoints in a folder, oldest first."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted((int(match[1]), os.path.join(folder, name)) for name in names if (match := _NAME.fullmatch(name)))


def latest_checkpoint(folder: Any) -> str | None:
    """The path of the newest checkpoint; None if there is none."""
    found = numbered_checkpoints(folder)
    return found[-1][1] if found else None


def resolved(path: Any) -> Any:
    """The newest checkpoint of a folder of checkpoints; any other path as it is."""
    if not isinstance(path, (str, os.PathLike)) or not os.path.isdir(path):
        return path
    return latest_checkpoint(path) or path
