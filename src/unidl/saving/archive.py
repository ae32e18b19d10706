"""Whole models in ``.keras`` archives: configuration, weights, optimizer state, and files of layers.

The format is that of Keras 3 (https://keras.io/api/models/model_saving_apis): a zip of ``metadata.json``,
``config.json``, ``model.weights.h5`` and ``assets/``, or a folder of these. Reading one builds unidl's own and
registered classes only, follows no links, unpacks nothing outside of a temporary folder, and runs no code.
"""

from __future__ import annotations

import datetime
import json
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unidl.saving import hdf5
from unidl.saving._allowance import Allowance
from unidl.saving._containers import ASSETS, CONFIG, METADATA, WEIGHTS, container
from unidl.saving._states import parts_of
from unidl.saving._writing import replacing
from unidl.saving.checkpoints import resolved
from unidl.saving.objects import deserialize_keras_object, serialize_keras_object

_LEGACY = (".h5", ".hdf5")


def save_model(model: Any, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
    """Write a model with weights, optimizer state and how it was compiled.

    A crash leaves an old file whole: a temporary file beside it is renamed.

    Args:
        filepath: a name that ends in ``.keras``; in ``.h5`` or ``.hdf5`` for the older format of Keras, which keeps
            less; or, with ``zipped=False``, the name of a folder.
        overwrite: replace a file that is there.
        zipped: False writes a folder with the files that are in an archive.
        include_optimizer: False leaves out the optimizer's state.

    Raises:
        ValueError: if the name does not end so, or the model is not built.
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
    with_optimizer = kwargs.pop("include_optimizer", True)
    if kwargs:
        raise TypeError(f"save() does not take {sorted(kwargs)}: the end of the name says which format is written.")
    path = Path(filepath)
    if zipped is False and path.suffix == ".keras":
        raise ValueError(f"zipped=False writes a folder, whose name must not end in .keras: {path.name!r}.")
    if zipped is not False and not path.name.endswith((".keras", *_LEGACY)):
        raise _not_a_model(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; pass overwrite=True to replace it.")
    if not model.built:
        raise ValueError(f"Model {model.name!r} is not built: call it on data, or build(shape), before saving it.")
    if zipped is not False and path.name.endswith(_LEGACY):
        from unidl.saving import legacy

        legacy.save_model(model, path, with_optimizer)
        return
    optimizer = model.optimizer if model.compiled and getattr(model.optimizer, "built", False) else None
    metadata = {
        "keras_version": "3.15.0",
        "unidl_format_version": hdf5.FORMAT_VERSION,
        "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
    }
    texts = {METADATA: json.dumps(metadata), CONFIG: json.dumps(serialize_keras_object(model))}
    write = _write_folder if zipped is False else _write_archive
    write(path, model, optimizer if with_optimizer else None, texts)


def _write_archive(path: Path, model: Any, optimizer: Any, texts: dict[str, str]) -> None:
    # HDF5 is not written from front to end, so it is made in a file of its own, and not in memory, before it goes in.
    with replacing(path) as temporary, tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as work:
        weights = Path(work, WEIGHTS)
        with hdf5.library().File(weights, "w") as file:
            hdf5.write(file, model, optimizer)
        with zipfile.ZipFile(temporary, "w") as archive:
            for name, text in texts.items():
                archive.writestr(name, text)
            archive.write(weights, WEIGHTS)
            _save_assets(model, lambda part, folder: _add_all(archive, part, folder))


def _write_folder(path: Path, model: Any, optimizer: Any, texts: dict[str, str]) -> None:
    if path.exists() and not (path.is_dir() and ((path / CONFIG).is_file() or not any(path.iterdir()))):
        raise FileExistsError(f"{path} is there and is no folder of a model: it is left as it is.")
    work = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        work.chmod(0o755)
        for name, text in texts.items():
            (work / name).write_text(text, encoding="utf-8")
        with hdf5.library().File(work / WEIGHTS, "w") as file:
            hdf5.write(file, model, optimizer)
        _save_assets(model, lambda part, folder: shutil.copytree(folder, work / ASSETS / part, dirs_exist_ok=True))
        if path.exists():
            old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
            path.replace(old)
            work.replace(path)
            shutil.rmtree(old)
        else:
            work.replace(path)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _save_assets(model: Any, keep: Callable[[str, Path], Any]) -> None:
    """Let each part that has files write them to a temporary folder, and `keep` what is in it, by the part's path."""
    for path, part in parts_of(model):
        if hasattr(part, "save_assets"):
            with tempfile.TemporaryDirectory() as folder:
                part.save_assets(folder)
                keep(path, Path(folder))


def _add_all(archive: zipfile.ZipFile, part: str, folder: Path) -> None:
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            archive.write(file, f"{ASSETS}{part}/{file.relative_to(folder).as_posix()}")


def load_model(filepath: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True) -> Any:
    """Read a model that `save_model`, or Keras, wrote: ``.keras`` archives, folders, and ``.h5`` files of Keras 1 to 3.

    Nothing in the file is run, no module is imported for it, and it cannot make unidl take much more memory than it is
    large itself.

    Args:
        custom_objects: name to class or function, for what is neither unidl's nor registered.
        compile: whether to compile it as it was, with the optimizer's state.
        safe_mode: refuse lambdas, whose code is in the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no such file, is damaged, or holds what a model file has no business to hold.
        TypeError: for classes that are not known.
    """
    path = Path(resolved(filepath))
    is_folder = path.is_dir() and (path / CONFIG).exists()
    if not is_folder and not path.name.endswith((".keras", *_LEGACY)):
        raise _not_a_model(path)
    if not is_folder and not path.is_file():
        raise FileNotFoundError(f"There is no model file {path}.")
    if path.name.endswith(_LEGACY) and not is_folder:
        from unidl.saving import legacy

        return legacy.load_model(path, custom_objects, compile, safe_mode)
    with container(path) as archive:
        config, metadata = archive.json(CONFIG), archive.json(METADATA)
        version = _format_version(metadata, path)
        weights = archive.weights()
        with hdf5.opened(weights, f"{WEIGHTS} in {path}") as file:
            how = config.pop("compile_config", None) if isinstance(config, dict) else None
            with Allowance(hdf5.size_of(weights), path):
                model = built_model(lambda: _model(config, custom_objects, safe_mode, version), path)
                hdf5.read(file, model, None, source=str(path))
                _load_assets(archive, model)
                if compile and how:
                    built_model(lambda: _compile(model, how, custom_objects, safe_mode), path)
                    if getattr(model, "compiled", False) and model.optimizer is not None and "optimizer" in file:
                        model.optimizer.build(model.trainable_variables)
                        _read_optimizer(file, model.optimizer, path)
    return model


def _load_assets(archive: Any, model: Any) -> None:
    """Let each part that has files read them."""
    for path, part in parts_of(model):
        if hasattr(part, "load_assets"):
            with archive.assets(path) as folder:
                if folder is not None:
                    part.load_assets(str(folder))


def built_model(make: Callable[[], Any], path: Path) -> Any:
    """What `make` makes of a configuration; whatever goes wrong with it is an error that names the file.

    Raises:
        ValueError, TypeError: if it does not describe a model.
    """
    try:
        return make()
    except (ValueError, TypeError, ImportError, NotImplementedError):
        raise  # they say what is wrong
    except (Exception, RecursionError) as error:
        raise ValueError(
            f"The configuration in {path} does not describe a model: {type(error).__name__}: {error}."
        ) from error


def _model(config: Any, custom_objects: Any, safe_mode: bool, version: int) -> Any:
    if version < 3:  # Keras 2.12 to 2.15 wrote archives, too
        from unidl.saving.legacy import current_config

        config = current_config(config)
    model = deserialize_keras_object(config, custom_objects, safe_mode)
    if not hasattr(model, "load_own_variables") and not hasattr(model, "load_assets"):
        raise ValueError(f"The configuration describes {str(model)[:100]!r}, which is no model.")
    return model


def _compile(model: Any, how: Any, custom_objects: Any, safe_mode: bool) -> None:
    from unidl.saving.objects import SafeModeScope, in_safe_mode
    from unidl.saving.registration import CustomObjectScope

    with CustomObjectScope(custom_objects), SafeModeScope(in_safe_mode(safe_mode)):
        model.compile_from_config(how)


def _format_version(metadata: Any, path: Path) -> int:
    """The major version of Keras that wrote an archive.

    Raises:
        ValueError: if a later release of unidl wrote it in a form that this one does not know.
    """
    metadata = metadata if isinstance(metadata, dict) else {}
    hdf5.check_version(metadata.get("unidl_format_version", hdf5.FORMAT_VERSION), path)
    major = str(metadata.get("keras_version", "3")).partition(".")[0]
    return int(major) if major.isdecimal() else 3


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


def _not_a_model(path: Path) -> ValueError:
    return ValueError(
        f"Whole models are kept in files that end in .keras (or, in the older format, .h5), not {path.name!r}. For "
        "weights alone there are save_weights() and load_weights(), with .safetensors and .weights.h5."
    )
