"""Files of `torch.export` and TorchScript, made of the replayed graph as one module with plain parameters."""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from unidl import tree
from unidl.backend.contract import Backend
from unidl.export._endpoint import Endpoint, compare
from unidl.graph.replay import replay
from unidl.saving._writing import replacing


class Exported(torch.nn.Module):
    """An endpoint's replay, with the variables as parameters and buffers, so that no class of unidl is needed.

    Args:
        endpoint: what to run.
    """

    def __init__(self, endpoint: Endpoint, backend: Backend) -> None:
        super().__init__()
        self._run = replay(endpoint.graph, backend)
        self._endpoint = endpoint
        names: dict[int, str] = {}
        for index, variable in enumerate(endpoint.graph.variables()):
            name = f"{index}_{variable.path}".replace(".", "_").replace("/", "_")
            names[id(variable)] = name
            data = variable.detach().as_subclass(torch.Tensor)
            if variable.trainable and data.is_floating_point():
                self.register_parameter(name, torch.nn.Parameter(data, requires_grad=False))
            else:
                self.register_buffer(name, data)
        places = [(space, key, names[id(v)]) for space, key, v in _variables_in(self._run, backend.Variable)]

        def use_own_weights() -> None:
            for namespace, key, name in places:
                namespace[key] = getattr(self, name)

        self._use_own_weights = use_own_weights
        self.eval()

    def forward(self, *arguments: Any) -> Any:
        self._use_own_weights()
        results = self._run(*tree.flatten(arguments))
        return self._endpoint.graph.pack(results)


def _variables_in(function: Callable[..., Any], kind: type) -> Iterator[tuple[dict[str, Any], str, Any]]:
    """Where a replayed function, and those of its control flow, keep the variables that they read or write."""
    namespace = function.__globals__
    for key, value in list(namespace.items()):
        if isinstance(value, kind):
            yield namespace, key, value
        elif isinstance(value, types.FunctionType) and hasattr(value, "source") and value is not function:
            yield from _variables_in(value, kind)


def torch_export(backend: Any, path: Path, archive: Any, options: dict[str, Any]) -> list[Path]:
    """Write an ``ExportedProgram``; dimensions that are unknown in the endpoint stay so."""
    (endpoint,) = archive.endpoints.values()
    endpoint.check_nodes(_opaque, "a file of torch.export")
    module = Exported(endpoint, backend)
    arguments = tree.pack_sequence_as(endpoint.signature, endpoint.native_examples(3))
    if "dynamic_shapes" not in options:
        shapes = [
            {i: torch.export.Dim.AUTO for i, size in enumerate(t.shape) if size is None} for t in endpoint.graph.inputs
        ]
        options = {**options, "dynamic_shapes": {"arguments": tree.pack_sequence_as(endpoint.signature, shapes)}}
    try:
        with torch.no_grad():
            program = torch.export.export(module, arguments, **options)
    except Exception as error:
        raise _no_trace(endpoint, "a file of torch.export", error) from error
    with replacing(path) as temporary:
        with open(temporary, "wb") as file:
            torch.export.save(program, file)
        with open(temporary, "rb") as file:
            loaded = torch.export.load(file).module()
        compare(endpoint, _flat(endpoint, loaded), replay(endpoint.graph, backend), "a file of torch.export")
    return [path]


def torchscript(backend: Any, path: Path, archive: Any, options: dict[str, Any]) -> list[Path]:
    """Write a traced module."""
    (endpoint,) = archive.endpoints.values()
    endpoint.check_nodes(_refused, "TorchScript")
    module = Exported(endpoint, backend)
    arguments = tree.pack_sequence_as(endpoint.signature, endpoint.native_examples(3))
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what was frozen shows in the comparison
            traced = torch.jit.trace(module, arguments, check_trace=False, strict=False, **options)
    except Exception as error:
        raise _no_trace(endpoint, "TorchScript", error) from error
    with replacing(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is torch.export, too
        torch.jit.save(traced, temporary)
        loaded = torch.jit.load(temporary)
        compare(endpoint, _flat(endpoint, loaded), replay(endpoint.graph, backend), "TorchScript")
    return [path]


def _opaque(node: Any) -> str | None:
    if node.op.kind == "opaque":
        return "runs a module, or Python code that works on values, which is not in the graph"
    return None


def _refused(node: Any) -> str | None:
    if node.op.name in ("branch", "loop"):
        return "goes one way or the other by values, and a trace would keep one way"
    return _opaque(node)


def _flat(endpoint: Endpoint, call: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *values: call(*tree.pack_sequence_as(endpoint.signature, values))


def _no_trace(endpoint: Endpoint, what: str, error: Exception) -> ValueError:
    return ValueError(
        f"Endpoint {endpoint.name!r} cannot be exported to {what}: PyTorch cannot trace it. "
        f"{type(error).__name__}: {error}"
    )


WRITERS = {"torch": torch_export, "torchscript": torchscript}
