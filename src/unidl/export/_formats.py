"""The formats: who writes which, and `Model.export`."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unidl.backend import active

#: Format to the backend that writes it. A backend outside of unidl adds its own in `Backend.export_formats`.
OWNERS = {"tf_saved_model": "tensorflow", "torch": "torch", "torchscript": "torch", "mxnet": "mxnet"}
#: Formats that need no engine: a function of a model and a path, in a module that is loaded on use.
EVERYWHERE = {"onnx": ("unidl.onnx", "export")}
_ALIASES = {"saved_model": "tf_saved_model"}


def export_model(
    model: Any, filepath: Any, format: str = "tf_saved_model", verbose: Any = None, input_signature: Any = None,
    **kwargs: Any,
) -> None:  # fmt: skip
    """See `Model.export`."""
    if format in EVERYWHERE:
        module, name = EVERYWHERE[format]
        try:
            function = getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            raise ValueError(f"This version of unidl has no exporter to {format!r}. {_have()}") from None
        if input_signature is not None:
            kwargs["input_signature"] = input_signature
        function(model, filepath, **kwargs)
    else:
        from unidl.export._archive import ExportArchive

        archive = ExportArchive(format)
        archive.track_and_add_endpoint("serve", model, input_signature, **kwargs)
        archive.write_out(filepath, verbose=verbose is not False)


def checked_format(format: str) -> str:
    """The name of a format that the active backend writes.

    Raises:
        ValueError: if there is no such format, or another backend writes it.
    """
    format = _ALIASES.get(format, format)
    if format in active.export_formats:
        return format
    if format in OWNERS:
        raise ValueError(
            f"The format {format!r} is written by the {OWNERS[format]} backend, and the {active.name} backend is "
            f"running. Save the model, load it with UNIDL_BACKEND={OWNERS[format]} set before unidl is imported, and "
            f"export it there. {_have()}"
        )
    raise ValueError(f"There is no export format {format!r}. {_have()}")


def _have() -> str:
    own = sorted(active.export_formats)
    return f"The {active.name} backend writes {', '.join(map(repr, own)) if own else 'no format of its own'}."


@contextlib.contextmanager
def replacing_saved_model(path: Path) -> Iterator[str]:
    """A temporary folder beside `path`, which takes its place when the block ends without an error.

    Raises:
        FileExistsError: if something else than a SavedModel is there.
    """
    if path.exists() and not (path / "saved_model.pb").is_file() and not (path.is_dir() and not any(path.iterdir())):
        raise FileExistsError(f"{path} is no SavedModel that could be replaced by another. Choose a path of its own.")
    path.parent.mkdir(parents=True, exist_ok=True)
    work = tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        made = os.path.join(work, "new")
        yield made
        if path.exists() or path.is_symlink():
            os.replace(path, os.path.join(work, "old"))
        os.replace(made, path)
    finally:
        shutil.rmtree(work, ignore_errors=True)


__all__ = ["EVERYWHERE", "OWNERS", "checked_format", "export_model", "replacing_saved_model"]
