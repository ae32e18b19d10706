"""Settings: default dtype, image layout, fuzz factor, limits of training loops, how progress and errors are shown."""

from __future__ import annotations

import os
import warnings

from unidl.dtype_policies import dtype_policy, set_dtype_policy
from unidl.dtypes import floatx, set_floatx

_settings: dict[str, object] = {
    "image_data_format": "channels_last", "epsilon": 1e-7, "flash_attention": True,
    "interactive_logging": True, "traceback_filtering": True,
}  # fmt: skip


def image_data_format() -> str:
    """The default layout of images, "channels_last" or "channels_first"."""
    return str(_settings["image_data_format"])


def set_image_data_format(data_format: str) -> None:
    """Set the default layout of images."""
    _settings["image_data_format"] = checked_data_format(data_format)


def checked_data_format(value: str | None) -> str:
    """`value` in lower case, the default for None.

    Raises:
        ValueError: if it is neither "channels_last" nor "channels_first".
    """
    if value is None:
        return image_data_format()
    name = str(value).lower()
    if name not in ("channels_last", "channels_first"):
        raise ValueError(f"`data_format` must be 'channels_last' or 'channels_first', not {value!r}.")
    return name


def epsilon() -> float:
    """The small number that keeps divisions and logarithms finite (1e-7)."""
    return float(str(_settings["epsilon"]))


def set_epsilon(value: float) -> None:
    """Set the fuzz factor."""
    _settings["epsilon"] = float(value)


def enable_flash_attention() -> None:
    """Let attention layers built from now on use the engine's kernel for attention. They do so by default."""
    _settings["flash_attention"] = True


def disable_flash_attention() -> None:
    """Have attention layers built from now on compute scores, weights and their product one after the other."""
    _settings["flash_attention"] = False


def is_flash_attention_enabled() -> bool:
    """Whether attention layers use the engine's kernel for attention.

    Example:
        >>> import unidl
        >>> unidl.config.is_flash_attention_enabled()
        True
    """
    return bool(_settings["flash_attention"])


def backend() -> str:
    """The name of the active backend.

    Example:
        >>> import unidl
        >>> unidl.config.backend() == unidl.backend.backend()
        True
    """
    from unidl.backend import active

    return active.name


def set_backend(backend: str) -> None:
    """Confirm the backend: it is chosen when unidl is imported, and stays.

    Raises:
        RuntimeError: if `backend` is not the active one.
    """
    from unidl.backend import active

    if backend != active.name:
        raise RuntimeError(
            f"set_backend({backend!r}): this process runs on {active.name!r}, chosen when unidl was imported. "
            f"Start Python anew with UNIDL_BACKEND={backend}."
        )


# -- training loops --------------------------------------------------------------------------------


def _limit(name: str) -> int | None:
    if name not in _settings:
        given = os.environ.get(f"UNIDL_{name.upper()}")
        _settings[name] = None if not given else _checked_limit(name, int(given))
    value = _settings[name]
    return value if isinstance(value, int) else None


def _checked_limit(name: str, value: int | None) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError(f"`{name}` must be None or a positive int, not {value!r}.")
    return value


def max_epochs() -> int | None:
    """How many epochs `fit` runs at most; None: as many as it is told.

    The environment variable ``UNIDL_MAX_EPOCHS`` sets it for a whole process: a script can be tried without editing.
    """
    return _limit("max_epochs")


def set_max_epochs(max_epochs: int | None) -> None:
    """Set the limit that `max_epochs` gives.

    Example:
        >>> import unidl
        >>> unidl.config.set_max_epochs(2)
        >>> unidl.config.max_epochs()
        2
        >>> unidl.config.set_max_epochs(None)
    """
    _settings["max_epochs"] = _checked_limit("max_epochs", max_epochs)


def max_steps_per_epoch() -> int | None:
    """How many batches an epoch, an evaluation or a prediction has at most; None: all.

    The environment variable ``UNIDL_MAX_STEPS_PER_EPOCH`` sets it for a whole process.
    """
    return _limit("max_steps_per_epoch")


def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    """Set the limit that `max_steps_per_epoch` gives."""
    _settings["max_steps_per_epoch"] = _checked_limit("max_steps_per_epoch", max_steps_per_epoch)


def limited_epochs(epochs: int) -> int:
    """`epochs`, or the limit if that is less: then with a warning."""
    limit = max_epochs()
    if limit is None or epochs <= limit:
        return epochs
    warnings.warn(f"Training is limited to {limit} of {epochs} epochs by config.max_epochs.", stacklevel=3)
    return limit


def limited_steps(steps: int | None, available: int | None) -> int | None:
    """How many batches to take where `steps` were asked for (None: all) and `available` are known of."""
    limit = max_steps_per_epoch()
    if limit is None:
        return steps
    known = available if steps is None else steps
    return limit if known is None else min(known, limit)


# -- what is shown ---------------------------------------------------------------------------------


def enable_interactive_logging() -> None:
    """Show progress on the standard output, as bars where it can. This is the default."""
    _settings["interactive_logging"] = True


def disable_interactive_logging() -> None:
    """Send progress to the logger "unidl" of `logging` (level INFO), one line an epoch, and not to the output."""
    _settings["interactive_logging"] = False


def is_interactive_logging_enabled() -> bool:
    """Whether progress is shown on the standard output."""
    return bool(_settings["interactive_logging"])


def enable_traceback_filtering() -> None:
    """Have layers show the errors of their ops without what happened inside of unidl. This is the default."""
    _settings["traceback_filtering"] = True


def disable_traceback_filtering() -> None:
    """Have layers show as its cause where inside of unidl an error came from."""
    _settings["traceback_filtering"] = False


def is_traceback_filtering_enabled() -> bool:
    """Whether errors of layers leave out what happened inside of unidl."""
    return bool(_settings["traceback_filtering"])


def shown_cause(error: BaseException) -> BaseException | None:
    """What is shown as the cause of the error that a layer raises in place of `error`."""
    return error.__cause__ if _settings["traceback_filtering"] else error


# -- other settings --------------------------------------------------------------------------------


def enable_unsafe_deserialization() -> None:
    """Let configurations hold code (lambdas) from now on, in all of this process: as if `safe_mode=False` were passed.

    Do this only if you trust every file that is read.
    """
    from unidl._state import state

    type(state).safe_mode = state.safe_mode = False


def is_nnx_enabled() -> bool:
    """Whether layers are modules of Flax NNX: never, since unidl has no JAX backend."""
    return False


__all__ = [
    "backend", "checked_data_format", "disable_flash_attention", "disable_interactive_logging",
    "disable_traceback_filtering", "dtype_policy", "enable_flash_attention", "enable_interactive_logging",
    "enable_traceback_filtering", "enable_unsafe_deserialization", "epsilon", "floatx", "image_data_format",
    "is_flash_attention_enabled", "is_interactive_logging_enabled", "is_nnx_enabled", "is_traceback_filtering_enabled",
    "max_epochs", "max_steps_per_epoch", "set_backend", "set_dtype_policy", "set_epsilon", "set_floatx",
    "set_image_data_format", "set_max_epochs", "set_max_steps_per_epoch",
]  # fmt: skip
