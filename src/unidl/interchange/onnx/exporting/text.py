"""Layers that compute with strings on the host, written with ONNX's operators on strings.

A vocabulary is a ``LabelEncoder``, a `TextVectorization` a function of the model (`_vectorization`). Vectors in place
of indices ("multi_hot", …) are made of ops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from unidl.dtypes import INTEGERS
from unidl.graph.symbolic import Node
from unidl.interchange.onnx.exporting._tokens import as_bytes, by_ops, encoder, refused, refused_hash, token_indices
from unidl.interchange.onnx.exporting._vectorization import text_vectorization
from unidl.interchange.onnx.exporting._writer import Value
from unidl.layers.preprocessing.hashing import HashedCrossing, Hashing
from unidl.layers.preprocessing.lookup import IntegerLookup, StringLookup
from unidl.layers.preprocessing.text_vectorization import TextVectorization

if TYPE_CHECKING:
    from unidl.interchange.onnx.exporting._graph import Emitter


def written(w: Emitter, node: Node, read: Callable[[Any], Value]) -> list[Value] | None:
    """The output of the layer whose code `node` is; None if it is none of those that are known here."""
    layer = node.op.origin
    write = _LAYERS.get(type(layer))
    if write is None:
        return None
    return [w.cast(write(w, layer, *map(read, node.args[0])), w.specs[0].dtype)]


def _lookup(w: Emitter, layer: Any, x: Value) -> Value:
    """StringLookup, and IntegerLookup where it is not recorded as ops: of floats, or without indices for others."""
    vocabulary, dtype = layer.vocabulary, w.specs[0].dtype
    vocabulary.require()
    if vocabulary.recordable:
        return by_ops(w, lambda v: vocabulary.recorded(v, dtype), w.cast(x, "int64"), x.shape)
    if layer.invert:
        return _inverse_lookup(w, vocabulary, x)
    tokens = _as_strings(w, x) if vocabulary.text else w.cast(x, "int64")
    indices = token_indices(w, vocabulary, tokens)
    if vocabulary.mode == "int":
        return indices
    return by_ops(w, lambda i: vocabulary.encoded(i, dtype), indices, x.shape)


def _inverse_lookup(w: Emitter, vocabulary: Any, indices: Value) -> Value:
    """The token of each index."""
    tokens = vocabulary.listed()
    return encoder(
        w, w.cast(indices, "int64"), "string", keys_int64s=list(range(len(tokens))), values_strings=as_bytes(tokens),
        default_string=vocabulary.oov_token,
    )  # fmt: skip


def _as_strings(w: Emitter, x: Value) -> Value:
    """Integers as they are written in decimals, and strings as they are."""
    if x.dtype == "string":
        return x
    if x.dtype not in INTEGERS:
        raise refused(w, f"it looks up strings, and {x.dtype} comes in: declare the input with dtype='string'")
    return w.node("Cast", x, dtype="string", to=w.type("string"))


def _hashing(w: Emitter, layer: Any, *xs: Value) -> Value:
    kinds = sorted({x.dtype for x in xs})
    if "string" not in kinds:
        raise refused(w, f"it hashes strings and integers, and {', '.join(kinds)} comes in: cast to int64 before")
    raise refused_hash(w, "Take a StringLookup")


_LAYERS: dict[type, Callable[..., Value]] = {
    Hashing: _hashing,
    HashedCrossing: _hashing,
    IntegerLookup: _lookup,
    StringLookup: _lookup,
    TextVectorization: text_vectorization,
}
