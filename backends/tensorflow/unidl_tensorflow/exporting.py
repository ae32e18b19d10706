"""SavedModels: every endpoint as one `tf.function` of its replayed graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from unidl import tree
from unidl.export._endpoint import Endpoint, compare
from unidl.export._formats import replacing_saved_model
from unidl.graph.replay import replay
from unidl_tensorflow._engine import tensorflow as tf


def saved_model(backend: Any, path: Path, archive: Any, options: dict[str, Any]) -> list[Path]:
    """Write a SavedModel with a function and a signature for each endpoint; the first is ``serving_default``, too."""
    root: Any = tf.__internal__.tracking.AutoTrackable()
    root.variables = archive.variables
    root.trainable_variables, root.non_trainable_variables = (
        archive.trainable_variables,
        archive.non_trainable_variables,
    )
    for name, variables in archive.collections.items():
        setattr(root, name, variables)
    signatures: dict[str, Any] = {}
    for endpoint in archive.endpoints.values():
        endpoint.check_nodes(_refused, "a SavedModel")
        run = replay(endpoint.graph, backend)
        setattr(root, endpoint.name, _structured(endpoint, run))
        signatures[endpoint.name] = _named(endpoint, run)
        _check_portable(endpoint, signatures[endpoint.name].graph.as_graph_def())
    first = next(iter(signatures))
    signatures.setdefault("serving_default", signatures[first])
    with replacing_saved_model(path) as temporary:
        tf.saved_model.save(root, temporary, signatures=signatures, **options)
        loaded = tf.saved_model.load(temporary)
        for endpoint in archive.endpoints.values():
            call = getattr(loaded, endpoint.name)
            compare(endpoint, _flat(endpoint, call), replay(endpoint.graph, backend), "a SavedModel")
    return [path]


def _refused(node: Any) -> str | None:
    if node.op.kind == "opaque" and not node.op.traceable:
        return "is Python code that works on values, which TensorFlow cannot record"
    return None


def _check_portable(endpoint: Endpoint, definition: Any) -> None:
    """Refuse a graph that calls back into this process."""
    functions = [definition.node, *(f.node_def for f in definition.library.function)]
    if any(node.op in ("PyFunc", "PyFuncStateless", "EagerPyFunc") for nodes in functions for node in nodes):
        layers = sorted({node.path for node in endpoint.nodes() if node.op.kind == "opaque"})
        raise ValueError(
            f"Endpoint {endpoint.name!r} cannot be exported to a SavedModel: {', '.join(layers) or 'a layer'} computes "
            "with Python code on the host, which is not in the file. Keep such layers in front of the exported model."
        )


def _specs(endpoint: Endpoint) -> list[Any]:
    pairs = zip(endpoint.graph.inputs, endpoint.input_names, strict=True)
    return [tf.TensorSpec(t.shape, t.dtype, name) for t, name in pairs]


def _structured(endpoint: Endpoint, run: Callable[..., Any]) -> Any:
    """The function with arguments and results nested as the endpoint has them."""
    pack = endpoint.graph.pack

    def call(*arguments: Any) -> Any:
        return pack(run(*tree.flatten(arguments)))

    signature = tree.pack_sequence_as(endpoint.signature, _specs(endpoint))
    return tf.function(call, input_signature=signature, autograph=False)


def _named(endpoint: Endpoint, run: Callable[..., Any]) -> Any:
    """The function with flat arguments by name and a dict as the result, as serving wants it."""

    def call(**arguments: Any) -> dict[str, Any]:
        results = run(*[arguments[name] for name in endpoint.input_names])
        return {name: tf.identity(r) for name, r in zip(endpoint.output_names, results, strict=True)}

    specs = dict(zip(endpoint.input_names, _specs(endpoint), strict=True))
    return tf.function(call, autograph=False).get_concrete_function(**specs)


def _flat(endpoint: Endpoint, call: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *values: call(*tree.pack_sequence_as(endpoint.signature, values))
