"""Layers around an engine's own modules, on the engines that have none."""

from __future__ import annotations

from typing import Any

import pytest

from unidl import layers
from unidl.backend import active

CASES: list[tuple[str, Any, str]] = [
    ("torch", lambda: layers.TorchModuleWrapper(object()), "UNIDL_BACKEND=torch"),
    ("mxnet", lambda: layers.GluonBlockWrapper(object()), "UNIDL_BACKEND=mxnet"),
    ("tensorflow", lambda: layers.TFSMLayer("folder"), "UNIDL_BACKEND=tensorflow"),
    ("jax", lambda: layers.JaxLayer(lambda params, x: x), "no jax backend"),
    ("jax", lambda: layers.FlaxLayer(object()), "no jax backend"),
]


@pytest.mark.parametrize(("owner", "make", "words"), CASES)
def test_another_engines_module_is_refused_with_the_remedy(owner: str, make: Any, words: str) -> None:
    if active.name == owner:
        pytest.skip("this engine runs it")
    with pytest.raises(NotImplementedError, match=words):
        make()
