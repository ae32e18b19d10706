"""PyTorch's modules as unidl's layers hold them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from unidl.backend.native import NativeModule
from unidl_torch.device import default_device


class TorchModule(NativeModule):
    """A `torch.nn.Module`: its parameters, and the buffers that it saves, are variables.

    Parameters stay the objects that they are, so that an optimizer which the module was given before still holds them.
    """

    def __init__(self, module: Any, adopt: Callable[[torch.Tensor, str, bool], Any]) -> None:
        if not isinstance(module, torch.nn.Module):
            raise TypeError(f"A torch.nn.Module is expected, not {module!r} of type {type(module)}.")
        lazy = [n for n, p in module.named_parameters() if isinstance(p, torch.nn.parameter.UninitializedParameter)]
        if lazy:
            raise ValueError(f"The module's parameters {lazy} are not initialized: call the module once before.")
        self.source = module.to(default_device())
        self._adopt = adopt

    def variables(self) -> list[Any]:
        module = self.source
        kept = set(module.state_dict(keep_vars=True))
        found = [self._adopt(p, name, p.requires_grad) for name, p in module.named_parameters()]
        return found + [self._adopt(b, name, False) for name, b in module.named_buffers() if name in kept]

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any], training: bool) -> Any:
        module = self.source
        if module.training != training:
            module.train(training)
        return module(*args, **kwargs)
