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
from unidl.interchange.onnx.importing.classical import encoding, numbers_dtype
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
    """A StringLookup, with a table before or behind it if the numbers are not indices as the layer has them."""
    if type(x) is not SymbolicTensor:
        return None
    keys, values, default = encoding(call, is_string(x))
    if (is_string(x) or x.dtype.startswith("int")) and _refuses_unknown(importer, call, values, default):
        kind = StringLookup if is_string(x) else IntegerLookup
        return kind(vocabulary=list(keys), num_oov_indices=0, name=importer.name(call.node.name))(x)
    gives_strings = isinstance(values[0], str)
    if is_string(x) == gives_strings:
        return None
    name = importer.name(call.node.name)
    if gives_strings:
        return _strings_of_integers(call, name, keys, values, default, x)
    return _numbers_of_strings(name, keys, values, default, x)


def _refuses_unknown(importer: Any, call: Call, values: Any, default: Any) -> bool:
    """Whether what is unknown gets the place behind the end of all tables that are read with the places of keys.

    This is how files say that there is no index for it: an error, as from a lookup without such indices.
    """
    (places,) = call.node.outputs
    readers = importer.readers(places)
    if not readers or list(values) != list(range(len(values))) or default != len(values):
        return False
    return all(
        node.op == "Gather"
        and node.inputs[1] == places
        and not node.attributes.get("axis", 0)
        and importer.size_of(node.inputs[0]) == len(values)
        for node in readers
    )


def _strings_of_integers(call: Call, name: str, keys: Any, values: list[str], default: str, x: Any) -> Any:
    """The string for each integer: an inverted StringLookup of places among the keys, found by an IntegerLookup.

    Integers that count [mask] [unknown] [tokens]… are such places themselves.
    """
    if list(keys) == list(range(len(keys))) and default in values[:2]:
        unknown = values.index(default)
        mask, tokens = values[0] if unknown else None, values[unknown + 1 :]
    else:
        x = IntegerLookup(vocabulary=keys, name=f"{name}_places")(x)
        mask, tokens = None, values
    if not tokens or len({*tokens, default, mask}) < len(tokens) + 2:
        raise call.error("one string stands for several integers, which no layer does: prepare() runs such a graph")
    return StringLookup(vocabulary=tokens, mask_token=mask, oov_token=default, invert=True, name=name)(x)


def _numbers_of_strings(name: str, keys: list[str], values: Any, default: Any, x: Any) -> Any:
    """The number for each string: a StringLookup, and the table of numbers if these are not the layer's indices."""
    dtype = np.dtype(numbers_dtype(values))
    tokens = dict(zip(values, keys, strict=True))
    if dtype == np.int64 and len(tokens) == len(keys):
        for unknown in (0, 1):  # its index; before 1 comes that of the mask
            indices = [*range(unknown), *range(unknown + 1, len(keys) + 1)]
            if default == unknown and sorted(tokens) == indices:
                in_order = [tokens[i] for i in indices]
                return _string_lookup(name, in_order[unknown:], in_order[0] if unknown else None)(x)
    table = np.asarray([default, *values], dtype)
    return ops.take(table, _string_lookup(name, list(keys), None)(x), 0)


def _string_lookup(name: str, tokens: list[str], mask: str | None) -> StringLookup:
    """The layer of these tokens, with a word for unknown ones that is none of them."""
    unknown = "[UNK]"
    while unknown in tokens or unknown == mask:
        unknown += "_"
    return StringLookup(vocabulary=tokens, mask_token=mask, oov_token=unknown, name=name)


def vectorized(importer: Any, step: Step, inputs: list[Any]) -> Any:
    """The `TextVectorization` that a function of unidl's was written for; None if it is another function."""
    node = step.node
    if node.domain != DOMAIN or not node.op.startswith(VECTORIZATION) or not is_string(inputs[0]):
        return None
    tokens = _tokens_of_function(step)
    if tokens is None:
        return None
    call = Call(node, step.version)
    layer = TextVectorization(
        standardize=call.get("standardize"), split=call.get("split"), ngrams=tuple(call.get("ngrams") or ()) or None,
        output_sequence_length=call.get("output_sequence_length"), vocabulary=tokens,
        name=importer.name(node.op.removeprefix(VECTORIZATION)),
    )  # fmt: skip
    return layer(inputs[0])


def _tokens_of_function(step: Step) -> list[str] | None:
    """The vocabulary of the first LabelEncoder in a function, by index; None if it has none."""
    assert step.function is not None
    encoder = next((s for s in step.function.steps if s.node.op == "LabelEncoder"), None)
    if encoder is None:
        return None
    keys, indices, _ = encoding(Call(encoder.node, encoder.version), True)
    return [key for index, key in sorted(zip(indices, keys, strict=True)) if index > 1]  # 0 is the mask, 1 unknown
