"""The policy of layers that are given none, and finding policies by name."""

from __future__ import annotations

from typing import Any

from unidl.dtype_policies import _quantized
from unidl.dtype_policies._policy import DTypePolicy
from unidl.dtypes import dtype_name, floatx

_settings: dict[str, DTypePolicy] = {}


def dtype_policy() -> DTypePolicy:
    """The policy of layers that are given no `dtype`: that of `set_dtype_policy`, else ``floatx()``."""
    return _settings.get("policy") or DTypePolicy(floatx())


def set_dtype_policy(policy: Any) -> None:
    """Set the policy of layers that will be made without a `dtype`.

    Args:
        policy: a policy, its name or its configuration.

    Raises:
        ValueError: for anything else.
    """
    if not isinstance(policy, (str, dict, DTypePolicy)):
        raise ValueError(
            f"Invalid `policy` argument. It takes a policy, its name or its configuration, not {policy!r}."
        )
    _settings["policy"] = get(policy)


def get(identifier: Any) -> DTypePolicy:
    """The policy for a name, dtype, configuration or policy; the global one for None.

    Raises:
        ValueError: if it is none of these.
    """
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        if identifier.startswith(_quantized.MODES) and identifier not in _PLAIN:
            return _quantized.quantized_policy(identifier)
        return DTypePolicy(identifier)
    try:
        return DTypePolicy(dtype_name(identifier))
    except (ValueError, TypeError):
        raise ValueError(
            f"Cannot interpret `dtype` argument. A dtype, a policy or its name is taken, not {identifier!r}."
        ) from None


#: Names that are dtypes as well as the beginning of quantized policies' names.
_PLAIN = ("int8",)


def serialize(dtype_policy: DTypePolicy) -> dict[str, Any]:
    """The policy's configuration, for `deserialize`."""
    from unidl.saving.objects import serialize_keras_object

    return serialize_keras_object(dtype_policy)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> DTypePolicy:
    """The policy that `serialize` described."""
    from unidl.saving.objects import deserialize_keras_object

    return deserialize_keras_object(config, custom_objects)
