"""Starting values of variables, drawn on the host: one seed gives the same weights on every backend."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl._objects import Registry
from unidl.backend import active
from unidl.initializers._base import Initializer, host_value
from unidl.initializers._constant import Constant, Identity, Ones, Zeros, given
from unidl.initializers._random import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    compute_fans,
)
from unidl.initializers._stft import STFT

_registry = Registry(
    "initializer",
    [
        Constant, GlorotNormal, GlorotUniform, HeNormal, HeUniform, Identity, LecunNormal, LecunUniform, Ones,
        Orthogonal, RandomNormal, RandomUniform, STFT, TruncatedNormal, VarianceScaling, Zeros,
    ],
    {
        "IdentityInitializer": Identity, "OrthogonalInitializer": Orthogonal, "STFTInitializer": STFT,
        "normal": RandomNormal, "uniform": RandomUniform,
    },
    base=Initializer,
)  # fmt: skip

STFTInitializer = stft = STFT
constant, identity, ones, zeros = Constant, Identity, Ones, Zeros
IdentityInitializer, OrthogonalInitializer, orthogonal = Identity, Orthogonal, Orthogonal
glorot_normal, glorot_uniform, he_normal, he_uniform = GlorotNormal, GlorotUniform, HeNormal, HeUniform
lecun_normal, lecun_uniform, variance_scaling = LecunNormal, LecunUniform, VarianceScaling
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal


def get(identifier: Any) -> Any:
    """The initializer for a name ("glorot_uniform"), class, object, configuration, array or function.

    Raises:
        ValueError: listing the names there are.
    """
    if active.is_tensor(identifier) or isinstance(identifier, np.ndarray):
        return given(identifier)
    return _registry.get(identifier)


def serialize(initializer: Any) -> Any:
    """`initializer` as plain data."""
    return _registry.serialize(initializer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The initializer that `serialize` described."""
    return _registry.deserialize(config, custom_objects)


__all__ = [
    "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "IdentityInitializer",
    "Initializer", "LecunNormal", "LecunUniform", "Ones", "Orthogonal", "OrthogonalInitializer", "RandomNormal",
    "RandomUniform", "STFT", "STFTInitializer", "TruncatedNormal", "VarianceScaling", "Zeros",
    "compute_fans", "constant", "deserialize", "get",
    "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "host_value", "identity", "lecun_normal",
    "lecun_uniform", "ones", "orthogonal", "random_normal", "random_uniform", "serialize", "stft", "truncated_normal",
    "variance_scaling", "zeros",
]  # fmt: skip
