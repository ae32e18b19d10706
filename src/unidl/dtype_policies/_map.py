"""`DTypePolicyMap`: policies by the layers' paths."""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping
from typing import Any

from unidl.dtype_policies._policy import DTypePolicy


class DTypePolicyMap(DTypePolicy, MutableMapping):  # type: ignore[type-arg]
    """Layer path, or regular expression that matches whole paths, to policy. It serves as a layer's `dtype`.

    Args:
        default_policy: for all other paths; None: the global policy.
        policy_map: what to start with.

    Example:
        >>> import unidl
        >>> policies = unidl.dtype_policies.DTypePolicyMap("float32", {"encoder/.*": "mixed_bfloat16"})
        >>> policies["encoder/dense"].name, policies["decoder"].name
        ('mixed_bfloat16', 'float32')
    """

    def __init__(self, default_policy: Any = None, policy_map: dict[str, Any] | None = None) -> None:
        from unidl.dtype_policies._global import get

        if isinstance(default_policy, DTypePolicyMap):
            raise ValueError("`default_policy` cannot be a `DTypePolicyMap`: give one policy.")
        if policy_map is not None and not isinstance(policy_map, dict):
            raise TypeError(f"`policy_map` must be a dict from paths to policies, or None; {policy_map!r} was given.")
        self._given_default = default_policy
        self._default = get(default_policy)
        self._policy_map = {path: get(policy) for path, policy in (policy_map or {}).items()}

    @property
    def default_policy(self) -> DTypePolicy:
        """The policy of the paths that nothing else matches: if none was given, the global one at that time."""
        return self._default

    @property
    def name(self) -> str:
        return f"map_{self.default_policy.name}"

    @property
    def compute_dtype(self) -> str:
        return self.default_policy.compute_dtype

    @property
    def variable_dtype(self) -> str:
        return self.default_policy.variable_dtype

    @property
    def quantization_mode(self) -> str | None:
        return self.default_policy.quantization_mode

    def __getitem__(self, path: str) -> DTypePolicy:
        """The policy for `path`.

        Raises:
            ValueError: if several regular expressions match.
        """
        if path in self._policy_map:
            return self._policy_map[path]
        matching = [key for key in self._policy_map if re.fullmatch(key, path)]
        if len(matching) > 1:
            raise ValueError(
                f"Path '{path}' matches multiple dtype policy keys, {matching}: make one of them narrower."
            )
        return self._policy_map[matching[0]] if matching else self.default_policy

    def __setitem__(self, path: str, policy: Any) -> None:
        from unidl.dtype_policies._global import get

        if path in self._policy_map:
            raise ValueError(f"{path} already exist in the DTypePolicyMap ({self._policy_map[path]}): delete it first.")
        try:
            self._policy_map[path] = get(policy)
        except (ValueError, TypeError) as error:
            raise ValueError(f"Cannot interpret the assigned value. For {path!r}: {error}") from None

    def __delitem__(self, path: str) -> None:
        del self._policy_map[path]

    def __contains__(self, path: object) -> bool:
        return path in self._policy_map

    def __len__(self) -> int:
        return len(self._policy_map)

    def __iter__(self) -> Iterator[str]:
        return iter(self._policy_map)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicyMap) and self.get_config() == other.get_config()

    __hash__ = DTypePolicy.__hash__

    def get_config(self) -> dict[str, Any]:
        from unidl.saving.objects import serialize_keras_object

        return {
            "default_policy": serialize_keras_object(self._given_default),
            "policy_map": serialize_keras_object(self._policy_map),
        }

    def __repr__(self) -> str:
        mapping = [(path, policy.name) for path, policy in self._policy_map.items()]
        return f"<DTypePolicyMap default_policy={self.default_policy.name}, mapping={mapping}>"
