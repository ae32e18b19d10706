"""Whole models in ``.keras`` archives: configuration, weights, optimizer state, and files of layers.

The format is that of Keras 3 (https://keras.io/api/models/model_saving_apis): a zip of ``metadata.json``,
``config.json``, ``model.weights.h5`` and ``assets/``. Reading one builds unidl's own and registered classes only,
follows no links, unpacks nothing outside of a temporary folder, and runs no code.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from unidl.saving import hdf5
from unidl.saving._states import parts_of
from unidl.saving._writing import replacing
from unidl.saving.checkpoints import resolved
from unidl.saving.objects import deserialize_keras_object, serialize_keras_object

FORMAT_VERSION = 1
_CONFIG, _METADATA, _WEIGHTS, _ASSETS = "config.json", "metadata.json", "model.weights.h5", "assets/"
#: Greatest size of the JSON parts, and greatest ratio of unpacked to packed size.
_MOST_JSON, _MOST_RATIO = 256 * 2**20, 200


def save_model(model: Any, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
    """Write a model with weights, optimizer state and how it was compiled into a ``.keras`` archive.

    A crash leaves an old file whole: a temporary file beside it is renamed.

    Args:
        overwrite: replace a file that is there.

    Raises:
        ValueError: if the name does not end in ``.keras``, or the model is not built.
        FileExistsError: if the file is there and `overwrite` is False.
        TypeError: if the configuration of a layer has no plain form.

    Example:
        >>> import os, tempfile, unidl
        >>> model = unidl.Sequential([unidl.Input((3,)), unidl.layers.Dense(2)])
        >>> path = os.path.join(tempfile.mkdtemp(), "model.keras")
        >>> model.save(path)
        >>> unidl.saving.load_model(path).output_shape
        (None, 2)
    """
    if kwargs or zipped is False:
        raise TypeError(f"save() does not take {sorted(kwargs) or 'zipped=False'}: archives are zip files.")
    path = _checked(filepath)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; pass overwrite=True to replace it.")
    if not model.built:
        raise ValueError(f"Model {model.name!r} is not built: call it on data, or build(shape), before saving it.")
    metadata = {
        "keras_version": "3.15.0",
        "unidl_format_version": FORMAT_VERSION,
        "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
    }
    config = json.dumps(serialize_keras_object(model))
    optimizer = model.optimizer if model.compiled and getattr(model.optimizer, "built", False) else None
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr(_METADATA, json.dumps(metadata))
        archive.writestr(_CONFIG, config)
        weights = io.BytesIO()
        with hdf5.library().File(weights, "w") as file:
            hdf5.write(file, model, optimizer)
        archive.writestr(_WEIGHTS, weights.getvalue())
        _write_assets(archive, model)


def load_model(filepath: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True) -> Any:
    """Read a model that `save_model`, or Keras 3, wrote.

    Args:
        custom_objects: name to class or function, for what is neither unidl's nor registered.
        compile: whether to compile it as it was, with the optimizer's state.
        safe_mode: refuse lambdas, whose code is in the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no such archive, is damaged, or holds what a model file has no business to hold.
        TypeError: for classes that are not known.
    """
    path = _checked(resolved(filepath))
    if not path.is_file():
        raise FileNotFoundError(f"There is no model file {path}.")
    with _opened(path) as archive:
        config = _json(archive, _CONFIG, path)
        if not compile and isinstance(config, dict):
            config.pop("compile_config", None)
        model = deserialize_keras_object(config, custom_objects, safe_mode)
        optimizer = model.optimizer if compile and getattr(model, "compiled", False) else None
        _read_assets(archive, model)
    with weights_file(path) as file:
        hdf5.read(file, model, None, source=str(path))
        if optimizer is not None and "optimizer" in file:
            optimizer.build(model.trainable_variables)
            _read_optimizer(file, optimizer, path)
    return model


@contextlib.contextmanager
def weights_file(path: Path) -> Iterator[Any]:
    """The open HDF5 file at `path`, or the one in the archive there.

    Raises:
        ValueError: if it is none, or is damaged.
    """
    source: Any = path
    if path.suffix == ".keras":
        with _opened(path) as archive:
            source = io.BytesIO(archive.read(_WEIGHTS))
    try:
        file = hdf5.library().File(source, "r")
    except OSError as error:
        raise ValueError(f"The weights in {path} are damaged: {error}.") from None
    with file:
        yield file


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise ValueError(f"{path} is no .keras archive: {error}.") from None
    with archive:
        _inspect(archive, path)
        try:
            yield archive
        except zipfile.BadZipFile as error:
            raise ValueError(f"{path} is damaged: {error}.") from None


def _read_optimizer(file: Any, optimizer: Any, path: Path) -> None:
    try:
        hdf5.read(file, _Nothing(), optimizer, source=str(path))
    except ValueError as error:
        warnings.warn(f"The optimizer starts afresh: {error}", stacklevel=3)


class _Nothing:
    """A part without variables."""

    def save_own_variables(self, store: Any) -> None:
        return None

    def load_own_variables(self, store: Any) -> None:
        return None


def _checked(filepath: Any) -> Path:
    path = Path(filepath)
    if path.suffix != ".keras":
        raise ValueError(
            f"Whole models are kept in files that end in .keras, not {path.name!r}. For weights alone there are "
            "save_weights() and load_weights(), with .safetensors and .weights.h5."
        )
    return path


def _inspect(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse archives that hold anything but what a model consists of."""
    names: set[str] = set()
    for info in archive.infolist():
        name = info.filename
        parts = PurePosixPath(name).parts
        known = name in (_CONFIG, _METADATA, _WEIGHTS) or name.startswith(_ASSETS) or name == "model.weights.npz"
        is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
        if name in names or not known or ".." in parts or name.startswith("/") or "\\" in name or is_link:
            raise ValueError(f"{path} holds the entry {name!r}, which no model file has (or has once): refused.")
        names.add(name)
        if info.file_size > 2**20 and info.file_size > _MOST_RATIO * max(info.compress_size, 1):
            raise ValueError(f"{path}: {name!r} unpacks to {info.file_size} bytes from {info.compress_size}: refused.")
        if name.endswith(".json") and info.file_size > _MOST_JSON:
            raise ValueError(f"{path}: {name!r} has {info.file_size} bytes: refused.")
    if missing := {_CONFIG, _WEIGHTS} - names:
        raise ValueError(f"{path} is no whole .keras archive: it lacks {sorted(missing)}.")


def _json(archive: zipfile.ZipFile, name: str, path: Path) -> Any:
    try:
        return json.loads(archive.read(name))
    except (ValueError, RecursionError, zipfile.BadZipFile) as error:
        raise ValueError(f"{name} in {path} is damaged: {error}.") from None


def _write_assets(archive: zipfile.ZipFile, model: Any) -> None:
    for path, part in parts_of(model):
        if hasattr(part, "save_assets"):
            with tempfile.TemporaryDirectory() as folder:
                part.save_assets(folder)
                for file in sorted(Path(folder).rglob("*")):
                    if file.is_file():
                        archive.write(file, f"{_ASSETS}{path}/{file.relative_to(folder).as_posix()}")


def _read_assets(archive: zipfile.ZipFile, model: Any) -> None:
    names = [n for n in archive.namelist() if n.startswith(_ASSETS) and not n.endswith("/")]
    for path, part in parts_of(model):
        prefix = f"{_ASSETS}{path}/"
        own = [n for n in names if n.startswith(prefix)]
        if own and hasattr(part, "load_assets"):
            with tempfile.TemporaryDirectory() as folder:
                for name in own:
                    target = Path(folder, *PurePosixPath(name.removeprefix(prefix)).parts)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(archive.read(name))
                part.load_assets(folder)
