"""`export`: a model as an ONNX file."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import unidl
from unidl.errors import GraphError
from unidl.graph.graph import Graph
from unidl.interchange.onnx.exporting import _weights
from unidl.interchange.onnx.exporting._graph import Emitter
from unidl.interchange.onnx.exporting._inputs import Declared, record
from unidl.interchange.onnx.exporting._library import checked_opset, library, runtime
from unidl.interchange.onnx.exporting._parity import compared, given
from unidl.interchange.onnx.exporting._pruning import pruned, renamed
from unidl.interchange.onnx.exporting._pruning import reads as read_by


@dataclass(frozen=True)
class Exported:
    """What `export` has written.

    Attributes:
        path: the model.
        data: the file beside it that holds the weights, or None.
        opset: the version of ONNX's operators.
        inputs, outputs: names, in order.
        nodes: how many there are, those in bodies of control flow not counted.
        errors: output name to the largest absolute difference between onnxruntime's output and unidl's; empty if that
            was not asked for.
    """

    path: Path
    data: Path | None
    opset: int
    inputs: list[str]
    outputs: list[str]
    nodes: int
    errors: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [
            f"{self.path}: opset {self.opset}, {self.nodes} nodes; {', '.join(self.inputs)} → {', '.join(self.outputs)}"
        ]
        lines += [f"  {name}: largest error {error:.3g}" for name, error in self.errors.items()]
        return "\n".join(lines)


def export(
    model: Any,
    path: Any,
    *,
    opset: int | None = None,
    input_spec: Any = None,
    external_data: bool | str | None = None,
    fold_batch_norm: bool = False,
    verify: Any = False,
    name: str | None = None,
    doc: str = "",
    metadata: dict[str, str] | None = None,
    input_signature: Any = None,
    opset_version: int | None = None,
) -> Exported:
    """Write a model as an ONNX file, as it is in inference.

    The model is recorded once, and its graph is written: no engine is needed, the NumPy backend will do. Layers that
    ONNX has operators for become these (convolutions, LSTM, LayerNormalization, Gelu, …), others what they are made of.
    What only training needs is left out. The file is checked by ``onnx.checker`` before it takes its place, so that an
    error leaves the old one as it was.

    Args:
        model: a model, a layer, a function of tensors, or a `Graph`.
        path: of the file; an existing one is replaced.
        opset: the version of ONNX's operators, from 13 on; None: the newest one that onnxruntime runs.
        input_spec: for each input a shape, or what has one (`InputSpec`, `KerasTensor`); a list of them, or a dict by
            name. None in a shape is an unknown size, a string names one. Models that have seen data need none.
        external_data: whether weights go to a file beside the model, which weights of more than 2 GB need; its name, or
            None: only if they need it.
        fold_batch_norm: put batch normalization after a convolution or dense layer into the weights of that.
        verify: run the file in onnxruntime and compare: True (inputs are drawn), a list of input arrays, or a function
            that makes them. Gives `Exported.errors`.
        name: of the graph; None: the model's.
        doc: a description, kept in the file.
        metadata: further entries of the file, text to text.
        input_signature, opset_version: Keras's names of `input_spec` and `opset`.

    Returns:
        What was written: names of inputs and outputs, the opset, and the errors if `verify` asked for them.

    Raises:
        GraphError: naming op and layer, if something cannot be written; nothing is written then.
        ImportError: if onnx is not installed (or onnxruntime, to verify).

    The format: https://github.com/onnx/onnx/blob/main/docs/IR.md

    Example:
        >>> import tempfile, unidl
        >>> from unidl import layers
        >>> model = unidl.Sequential([unidl.Input((8,)), layers.Dense(2, activation="softmax", name="out")])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     written = unidl.onnx.export(model, f"{folder}/model.onnx", opset=17, verify=True)
        >>> written.outputs, written.errors["out"] < 1e-5
        (['out'], True)
    """
    version = checked_opset(opset if opset_version is None else opset_version)
    graph, declared, names = record(model, input_spec if input_signature is None else input_signature)
    path = Path(os.fspath(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(f"ONNX: the folder {str(path.parent)!r} of {path.name!r} does not exist.")
    if verify is not False:
        runtime()
    title = name or graph.name or "graph"
    writer = Emitter(version, title, fold_batch_norm)
    proto, outputs = _graph_proto(writer, graph, declared, names)
    large = _weights.size(writer) > _weights.LARGEST
    location = external_data if isinstance(external_data, str) else f"{path.name}.data"
    if os.path.basename(location) != location or location in ("", ".", "..", path.name):
        raise GraphError(f"ONNX: `external_data` must be the name of a file beside the model, not {external_data!r}.")
    external = large if external_data is None else external_data is not False
    if large and not external:
        raise GraphError(
            f"ONNX: the weights of {title!r} have {_weights.size(writer):,} bytes, more than one file of ONNX holds; "
            "leave `external_data` out."
        )
    model_proto = _model_proto(proto, writer, doc, metadata or {})
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        written, beside = Path(folder) / path.name, Path(folder) / location
        _write(written, beside if external else None, writer, model_proto)
        errors = {} if verify is False else compared(written, graph, outputs, given(verify, declared))
        has_data = beside.exists()
        if has_data:
            os.replace(beside, path.parent / location)
        os.replace(written, path)
    ends = [name for _, name in outputs]
    data = path.parent / location if has_data else None
    return Exported(path, data, version, [d.name for d in declared], ends, len(proto.node), errors)


def parity(model: Any, path: Any, inputs: Any = None, *, input_spec: Any = None) -> dict[str, float]:
    """The largest absolute difference between each output of an ONNX file in onnxruntime and that of `model`.

    Args:
        model: what the file was written from.
        inputs: arrays, or a function that makes them; None: they are drawn.
        input_spec: as in `export`.

    Returns:
        Output name to difference; infinite if shapes, dtypes or places of NaN differ.
    """
    graph, declared, names = record(model, input_spec)
    kept = [i for i, t in enumerate(graph.outputs) if t is not None]
    return compared(path, graph, [(i, names[i] or f"output_{i}") for i in kept], given(inputs, declared))


def _graph_proto(
    writer: Emitter, graph: Graph, declared: Sequence[Declared], names: Sequence[str]
) -> tuple[Any, list[tuple[int, str]]]:
    """The graph without initializers; place among the graph's outputs, and name, of each of its outputs."""
    helper = writer.helper
    for tensor, d in zip(graph.inputs, declared, strict=True):
        writer.bind(tensor, writer.value(tensor.shape, tensor.dtype, d.name))
    results = writer.run(graph)
    reads = [writer.name(value) for value in results]
    nodes = writer.scopes[0].nodes
    made = {n for node in nodes for n in node.output}
    kept = [i for i, t in enumerate(graph.outputs) if t is not None]
    new_names: dict[str, str] = {}
    outputs, infos = [], []
    for place, value, read in zip(kept, results, reads, strict=True):
        end = writer.unique(names[place] or (f"output_{place}" if len(kept) > 1 else "output"))
        if read in made and read not in new_names:
            new_names[read] = end
        else:  # an input or a weight, or an output that is there already
            nodes.append(helper.make_node("Identity", [read], [end], name=f"{end}/Identity"))
        outputs.append((place, end))
        shape = getattr(graph.outputs[place], "shape", ())
        infos.append(helper.make_tensor_value_info(end, writer.type(value.dtype), shape))
    for node in nodes:
        renamed(node, new_names)
    nodes = pruned(nodes, [end for _, end in outputs])
    used = {n for node in nodes for n in read_by(node)}
    taken = used | {n for node in nodes for n in node.output} | {d.name for d in declared}
    weights, better = {}, {}
    for old, weight in writer.initializers.items():
        if old in used:  # the plain name may be free: what had it is not read
            plain = weight.hint if weight.hint not in taken else old
            weights[plain], better[old] = weight, plain
            taken.add(plain)
    writer.initializers = weights
    for node in nodes:
        renamed(node, better)
    inputs = [helper.make_tensor_value_info(d.name, writer.type(d.dtype), d.dims) for d in declared]
    return helper.make_graph(nodes, writer.graph_name, inputs, infos), outputs


def _model_proto(graph: Any, writer: Emitter, doc: str, metadata: dict[str, str]) -> Any:
    helper = library().helper
    opsets = {"": writer.opset, **writer.domains}
    versions = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    model = helper.make_model(
        graph, opset_imports=versions, ir_version=helper.find_min_ir_version_for(versions[:1]), producer_name="unidl",
        producer_version=unidl.__version__, doc_string=doc, functions=list(writer.functions.values()),
    )  # fmt: skip
    helper.set_model_props(model, {str(k): str(v) for k, v in metadata.items()})
    return model


def _write(path: Path, data: Path | None, writer: Emitter, model: Any) -> None:
    """Write model and weights, and have them checked."""
    onnx = library()
    model.graph.initializer.extend(_weights.outlines(writer))
    _name_sizes(model, onnx.shape_inference.infer_shapes(model, data_prop=True))
    del model.graph.initializer[:]
    with contextlib.ExitStack() as stack:
        file = None if data is None else stack.enter_context(open(data, "wb"))
        model.graph.initializer.extend(_weights.initializers(writer, file, data.name if data else ""))
    if data is not None and not data.stat().st_size:
        data.unlink()
    path.write_bytes(model.SerializeToString())
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise GraphError(
            f"ONNX: the checker refuses what unidl made of {model.graph.name!r}, which is unidl's mistake: {error}"
        ) from error


def _name_sizes(model: Any, inferred: Any) -> None:
    """Take over the names that ONNX's own inference finds for the unknown sizes of outputs."""
    names = {d.dim_param for i in model.graph.input for d in i.type.tensor_type.shape.dim} - {""}
    for output, other in zip(model.graph.output, inferred.graph.output, strict=True):
        ours, theirs = output.type.tensor_type.shape.dim, other.type.tensor_type.shape.dim
        for mine, found in zip(ours, theirs, strict=True):
            if not mine.HasField("dim_value") and found.dim_param in names:
                mine.dim_param = found.dim_param
