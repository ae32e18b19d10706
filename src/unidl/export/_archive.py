"""`ExportArchive`: functions of a model, gathered and written for an engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from unidl.backend import active
from unidl.export._endpoint import Endpoint, model_signature
from unidl.export._formats import checked_format


class ExportArchive:
    """What an exported file will offer: endpoints, and the variables that belong to them.

    Endpoints are recorded as graphs for inference when they are added: what only training needs (dropout, updates of
    moving averages) is not in them. Each format is written by the backend of its engine.

    Args:
        format: "saved_model" (or "tf_saved_model"): a folder that ``tf.saved_model.load`` reads, with any number of
            endpoints. With one endpoint: "torch", a file for ``torch.export.load``; "torchscript", a file for
            ``torch.jit.load``; "mxnet", the files ``<path>-symbol.json`` and ``<path>-0000.params``.

    Raises:
        ValueError: if the active backend does not write the format.

    Example:
        >>> import os, tempfile, unidl
        >>> model = unidl.Sequential([unidl.Input((3,)), unidl.layers.Dense(2)])
        >>> formats = {"torch": "torchscript", "tensorflow": "saved_model", "mxnet": "mxnet"}
        >>> if unidl.config.backend() in formats:
        ...     archive = unidl.export.ExportArchive(formats[unidl.config.backend()])
        ...     archive.track_and_add_endpoint("serve", model, [unidl.InputSpec(shape=(None, 3))])
        ...     archive.write_out(os.path.join(tempfile.mkdtemp(), "model.pt"), verbose=False)

    Attributes:
        endpoints: name to endpoint, in the order in which they were added.
        collections: name to list of variables.
        tracked: models and layers.
    """

    def __init__(self, format: str = "saved_model", **kwargs: Any) -> None:
        if kwargs:
            raise TypeError(f"ExportArchive does not take {sorted(kwargs)}.")
        self.format = checked_format(format)
        self.endpoints: dict[str, Endpoint] = {}
        self.collections: dict[str, list[Any]] = {}
        self.tracked: list[Any] = []
        self._options: dict[str, Any] = {}

    # -- what is in it ----------------------------------------------------------------------

    def track(self, resource: Any) -> None:
        """Count the variables of a layer or model as those of the archive.

        Raises:
            ValueError: if it is neither, or is not built.
        """
        from unidl.layers import Layer

        if not isinstance(resource, Layer):
            raise ValueError(f"ExportArchive.track: a layer or model is expected, not {resource!r}.")
        if not resource.built:
            raise ValueError(f"{resource.name!r} is not built: call it on data before it is exported.")
        if not any(r is resource for r in self.tracked):
            self.tracked.append(resource)

    def add_endpoint(self, name: str, fn: Callable[..., Any], input_signature: Any = None, **kwargs: Any) -> Any:
        """Record ``fn(*arguments)`` as the endpoint `name`.

        Args:
            name: what it is called in the file: a word, and no other endpoint's name.
            fn: code of unidl's ops and layers; bound methods of tracked models, for example.
            input_signature: list of the arguments, each an `InputSpec`, a symbolic tensor, a tensor to take as a
                pattern, or a structure of those. None in a shape is a dimension that may vary.
            kwargs: options of the format.

        Raises:
            ValueError: for other names, no signature, or code that no file of the format can hold.
        """
        self._add(name, fn, input_signature, getattr(fn, "__self__", fn), kwargs)
        return fn

    def _add(self, name: str, fn: Callable[..., Any], signature: Any, owner: Any, options: dict[str, Any]) -> None:
        if not name.isidentifier() or name.startswith("_") or name in ("variables", "trainable_variables"):
            raise ValueError(f"An endpoint's name is a word that the format leaves free, not {name!r}.")
        if name in self.endpoints:
            raise ValueError(f"There is an endpoint {name!r} already.")
        if signature is None:
            raise ValueError(f"Endpoint {name!r}: give its `input_signature`, e.g. [InputSpec(shape=(None, 3))].")
        self._options.update(options)
        endpoint = Endpoint(name, fn, signature, owner)
        if any(t.dtype == "string" for t in endpoint.graph.inputs) and not active.strings:
            raise ValueError(f"Endpoint {name!r} cannot be exported: it takes strings, and {active.name} has none.")
        self.endpoints[name] = endpoint

    def track_and_add_endpoint(self, name: str, resource: Any, input_signature: Any, **kwargs: Any) -> None:
        """Track a layer or model, and add its call in inference as an endpoint.

        Args:
            input_signature: as in `add_endpoint`; None: what the layer or model was built for, the batch unknown.
        """
        self.track(resource)
        signature = model_signature(resource) if input_signature is None else input_signature

        self._add(name, lambda *arguments: resource(*arguments, training=False), signature, resource, kwargs)

    def add_variable_collection(self, name: str, variables: Any) -> None:
        """Keep a list of variables under a name, for formats that have such (SavedModel).

        Raises:
            ValueError: if these are no variables.
        """
        found = list(variables)
        if not all(isinstance(v, active.Variable) for v in found):
            raise ValueError(f"add_variable_collection({name!r}): a list of variables is expected, not {variables!r}.")
        self.collections[name] = found

    @property
    def variables(self) -> list[Any]:
        """The variables of what is tracked, and those that endpoints use."""
        found = [v for r in self.tracked for v in r.variables]
        found += [v for e in self.endpoints.values() for v in e.graph.variables()]
        return list({id(v): v for v in found}.values())

    @property
    def trainable_variables(self) -> list[Any]:
        return [v for v in self.variables if v.trainable]

    @property
    def non_trainable_variables(self) -> list[Any]:
        return [v for v in self.variables if not v.trainable]

    # -- writing ----------------------------------------------------------------------------

    def write_out(self, filepath: Any, options: Any = None, verbose: bool = True) -> None:
        """Write the archive. What was at `filepath` before stays as it is until the new one is whole and was tried.

        Args:
            options: of the engine's own function that writes (``tf.saved_model.SaveOptions``).
            verbose: print what was written.

        Raises:
            ValueError: if there is no endpoint (or, for formats with one, there are several), or the engine cannot
                express one.
        """
        if not self.endpoints:
            raise ValueError("There are no endpoints to write: call add_endpoint() or track_and_add_endpoint() before.")
        if self.format != "tf_saved_model" and len(self.endpoints) > 1:
            raise ValueError(
                f"A file of the format {self.format!r} holds one function; there are the endpoints "
                f"{sorted(self.endpoints)}. Write one archive for each."
            )
        given = dict(self._options) if options is None else {**self._options, "options": options}
        written = active.export(self.format, Path(filepath), self, given)
        if verbose:
            print(f"Exported to {' and '.join(map(repr, map(str, written)))} ({self.format}):")
            for endpoint in self.endpoints.values():
                print(f"  {endpoint.name}: {_described(endpoint)}")


def _described(endpoint: Endpoint) -> str:
    def listed(names: list[str], tensors: list[Any]) -> str:
        return ", ".join(
            f"{name} {tensor.dtype}[{', '.join('?' if d is None else str(d) for d in tensor.shape)}]"
            for name, tensor in zip(names, tensors, strict=True)
        )

    graph = endpoint.graph
    return f"{listed(endpoint.input_names, graph.inputs)} -> {listed(endpoint.output_names, graph.outputs)}"


__all__ = ["ExportArchive"]
