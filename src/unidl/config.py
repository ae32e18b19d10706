"""Settings: default dtype, image layout, fuzz factor."""

from __future__ import annotations

from unidl.dtypes import floatx, set_floatx

_settings: dict[str, object] = {"image_data_format": "channels_last", "epsilon": 1e-7, "flash_attention": True}


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


__all__ = [
    "checked_data_format", "disable_flash_attention", "enable_flash_attention", "epsilon", "floatx",
    "image_data_format", "is_flash_attention_enabled", "set_epsilon", "set_floatx", "set_image_data_format",
]  # fmt: skip
