"""Layers of text in the place of nodes that compute with strings: models have strings only where such layers do."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl.graph.symbolic import SymbolicTensor
from unidl.interchange.onnx._plans import Step
from unidl.interchange.onnx._recovering import recover
from unidl.interchange.onnx._structures import Node, OnnxError
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing.classical import encoding
from unidl.layers.preprocessing.lookup import IntegerLookup, StringLookup
from unidl.layers.preprocessing.text_vectorization import TextVectorization

#: The domain of the functions that unidl writes for layers, and how their names begin.
DOMAIN, VECTORIZATION = "unidl", "TextVectorization_"


def is_string(value: Any) -> bool:
    return type(value) is SymbolicTensor and value.dtype == "string"


def refuse_strings(node: Node, inputs: list[Any]) -> None:
    """Raise an error if the node reads strings: no layer is like it."""
    if any(is_string(v) for v in inputs):
        raise OnnxError(
            f"{node} computes with strings, and no layer of unidl's is like it: prepare() runs such a graph."
        )


@recover("ai.onnx.ml.LabelEncoder")
def _label_encoder(importer: Any, call: Call, x: Any) -> Any:
    """Strings to numbers: a StringLookup and a table. Integers to strings: an inverted one, of their places."""
    if type(x) is not SymbolicTensor:
        return None
    keys, values, default = encoding(call, is_string(x))
    if is_string(x) == isinstance(values[0], str):
        return None
    name = importer.name(call.node.name)
    return _looked_up(name, keys, values, default, x) if is_string(x) else _named(call, name, keys, values, default, x)


def _named(call: Call, name: str, keys: Any, values: list[str], default: str, x: Any) -> Any:
    """Strings for integers."""
    if list(keys) == list(range(len(keys))) and default in values[:2]:  # indices as the layer has them
        first = values.index(default)
        mask, tokens = values[0] if first else None, values[first + 1 :]
    else:
        x, mask, tokens = IntegerLookup(vocabulary=keys, name=f"{name}_places")(x), None, values
    if not tokens or len({*tokens, default, mask}) < len(tokens) + 2:
        raise call.error("one string stands for several integers, which no layer does: prepare() runs such a graph")
    return StringLookup(vocabulary=tokens, mask_token=mask, oov_token=default, invert=True, name=name)(x)


def _looked_up(name: str, keys: Any, values: Any, default: Any, x: Any) -> Any:
    by_place = dict(zip(values, keys, strict=True))
    for mask in (False, True):  # are the values indices as the layer has them?
        front = [0] if mask else []
        places = [*front, *range(mask + 1, len(keys) + 1)]
        if int(mask) == default and sorted(by_place) == places and len(by_place) == len(keys):
            tokens = [by_place[p] for p in places[mask:]]
            return _lookup(name, tokens, by_place[0] if mask else None, keys)(x)
    table = np.asarray([default, *values], getattr(values, "dtype", None) or type(default))
    return ops.take(table, _lookup(name, list(keys), None, keys)(x), 0)


def _lookup(name: str, tokens: list[str], mask: str | None, keys: Any) -> Any:
    unknown = "[UNK]"
    while unknown in keys:
        unknown += "_"
    return StringLookup(vocabulary=tokens, mask_token=mask, oov_token=unknown, name=name)


def vectorized(importer: Any, step: Step, inputs: list[Any]) -> Any:
    """The `TextVectorization` that a function of unidl's was written for; None if it is another function."""
    node = step.node
    if node.domain != DOMAIN or not node.op.startswith(VECTORIZATION) or not is_string(inputs[0]):
        return None
    assert step.function is not None
    tables = [s for s in step.function.steps if s.node.op == "LabelEncoder"]
    if not tables:
        return None
    call = Call(tables[0].node, tables[0].version)
    keys, values, _ = encoding(call, True)
    tokens = [key for place, key in sorted(zip(values, keys, strict=True)) if place > 1]
    call = Call(node, step.version)
    layer = TextVectorization(
        standardize=call.get("standardize"), split=call.get("split"), ngrams=tuple(call.get("ngrams") or ()) or None,
        output_sequence_length=call.get("output_sequence_length"), vocabulary=tokens,
        name=importer.name(node.op.removeprefix(VECTORIZATION)),
    )  # fmt: skip
    return layer(inputs[0])
