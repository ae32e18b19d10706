"""Layers that compute with strings on the host, written with ONNX's operators on strings.

A vocabulary is a ``LabelEncoder``. A `TextVectorization` is a function of the model, of the domain `DOMAIN`, from texts
to indices, with the layer's arguments as attributes of the call: other readers of the file see the nodes in it, and
`unidl.onnx.load` the layer. Vectors in place of indices ("multi_hot", …) are made of ops.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from unidl import ops
from unidl.dtypes import INTEGERS
from unidl.errors import GraphError
from unidl.graph.symbolic import Node, TensorSpec
from unidl.graph.trace import trace
from unidl.interchange.onnx.exporting._writer import Value, Writer
from unidl.layers.preprocessing.hashing import HashedCrossing, Hashing
from unidl.layers.preprocessing.lookup import IntegerLookup, StringLookup
from unidl.layers.preprocessing.text_vectorization import TextVectorization

if TYPE_CHECKING:
    from unidl.interchange.onnx.exporting._graph import Emitter

#: Of the functions for layers, and of ONNX's operators for classical machine learning.
DOMAIN, ML = "unidl", "ai.onnx.ml"
#: What `str.split` splits at, but for the blank itself: onnxruntime's StringSplit knows only that.
_BLANKS = [c for c in map(chr, range(0x3001)) if c.isspace() and c != " "]
_NO_HASH = (
    "it hashes strings, and ONNX has no operator that reads the bytes of a string. {remedy}, or export a model without "
    "it that takes the indices"
)


def written(w: Emitter, node: Node, read: Callable[[Any], Value]) -> list[Value] | None:
    """The output of the layer whose code `node` is; None if it is none of those that are known here."""
    layer = node.op.origin
    write = _LAYERS.get(type(layer))
    if write is None:
        return None
    return [w.cast(write(w, layer, *map(read, node.args[0])), w.specs[0].dtype)]


def _refused(w: Writer, why: str) -> GraphError:
    return GraphError(f"ONNX opset {w.opset} lacks {w.op!r} in {w.path or 'the graph'}: {why}.")


# -- lookups ---------------------------------------------------------------------------------------


def _lookup(w: Emitter, layer: Any, x: Value) -> Value:
    """StringLookup, and IntegerLookup where it is not recorded as ops: of floats, or without indices for others."""
    table = layer.vocabulary
    table.require()
    if table.recordable:
        return _traced(w, lambda v: table.recorded(v, w.specs[0].dtype), w.cast(x, "int64"), x.shape)
    if layer.invert:
        tokens = table.listed()
        return _encoder(
            w, w.cast(x, "int64"), "string", keys_int64s=list(range(len(tokens))), values_strings=_bytes(tokens),
            default_string=table.oov_token,
        )  # fmt: skip
    if table.text and x.dtype != "string":
        if x.dtype not in INTEGERS:
            raise _refused(w, f"it looks up strings, and {x.dtype} comes in: declare the input with dtype='string'")
        x = w.node("Cast", x, dtype="string", to=w.type("string"))
    return _vectors(w, table, _indices(w, table, x if table.text else w.cast(x, "int64")), x.shape)


def _indices(w: Writer, table: Any, x: Value, more: int = 0) -> Value:
    """The index of each token, and `more`.

    Where there is none for unknown tokens, onnxruntime refuses them, as the layer does.
    """
    if table.num_oov > 1:
        raise _refused(w, _NO_HASH.format(remedy=f"Give it num_oov_indices=1 in place of {table.num_oov}"))
    keys = list(table.index)
    places = [table.index[k] + more for k in keys]
    named = {"keys_strings": _bytes(keys)} if table.text else {"keys_int64s": keys}
    if table.num_oov:
        return _encoder(w, x, "int64", **named, values_int64s=places, default_int64=int(table.has_mask) + more)
    found = _encoder(w, x, "int64", **named, values_int64s=list(range(len(keys))), default_int64=len(keys))
    return w.node("Gather", w.constant(np.array(places, np.int64)), found)


def _encoder(w: Writer, x: Value, dtype: str, **attributes: Any) -> Value:
    w.domains.setdefault(ML, 2)
    return w.node("LabelEncoder", x, dtype=dtype, domain=ML, **attributes)


def _bytes(tokens: list[str]) -> list[bytes]:
    """Tokens with the bytes that they were read from, where those were not UTF-8."""
    return [t.encode("utf-8", "surrogateescape") for t in tokens]


def _vectors(w: Emitter, table: Any, indices: Value, shape: Any) -> Value:
    """Indices as what the mode of `table` puts out."""
    if table.mode == "int":
        return indices
    return _traced(w, lambda i: table.encoded(i, w.specs[0].dtype), indices, shape)


def _traced(w: Emitter, function: Callable[..., Any], x: Value, shape: Any) -> Value:
    return w.call(trace(function, (TensorSpec(tuple(shape), "int64"),)), [x])[0]


def _hashing(w: Emitter, layer: Any, *xs: Value) -> Value:
    kinds = sorted({x.dtype for x in xs})
    if "string" not in kinds:
        raise _refused(w, f"it hashes strings and integers, and {', '.join(kinds)} comes in: cast to int64 before")
    raise _refused(w, _NO_HASH.format(remedy="Take a StringLookup"))


# -- texts -----------------------------------------------------------------------------------------


def _text_vectorization(w: Emitter, layer: Any, x: Value) -> Value:
    w.need(20)
    table = layer.vocabulary
    table.require()
    if x.dtype != "string":
        raise _refused(w, f"it takes strings, and {x.dtype} comes in: declare the input with dtype='string'")
    if own := [n for n in ("standardize", "split") if callable(getattr(layer, n))]:
        raise _refused(w, f"`{own[0]}` is a function of Python's. Take one of those that have a name, or None")
    indices = _function(w, layer, x)
    if table.mode == "int":
        return indices
    return _traced(w, lambda i: _rows_encoded(layer, i, len(x.shape), w.specs[0]), indices, _shape(layer, x.shape))


def _shape(layer: Any, shape: Any) -> tuple[int | None, ...]:
    """The shape of the indices."""
    if _is_plain(layer) and len(shape) < 2:
        return tuple(shape)
    rows = shape[:-1] if len(shape) > 1 else shape
    return (*rows, shape[-1] if _is_plain(layer) else layer.output_sequence_length)


def _is_plain(layer: Any) -> bool:
    """Whether strings are tokens, so that the indices have their shape."""
    return layer.split is None and layer.sizes is None and layer.output_sequence_length is None


def _rows_encoded(layer: Any, indices: Any, rank: int, spec: TensorSpec) -> Any:
    """Vectors of indices as mode "int" has them, which begin with that of the mask."""
    table = layer.vocabulary
    if _is_plain(layer) and rank < 2:
        indices = ops.expand_dims(indices, -1)
    indices = ops.subtract(indices, 1)
    if table.mode == "one_hot":
        vectors = ops.one_hot(indices, table.depth, -1, spec.dtype)
        return ops.squeeze(vectors, -2) if len(spec.shape) < len(vectors.shape) else vectors
    *before, width = ops.shape(indices)
    flat = indices if len(before) == 1 else ops.reshape(indices, (-1, width))
    flat = ops.pad(flat, [[0, 0], [0, 1]], constant_values=-1)  # of no tokens there are no sums
    vectors = table.encoded(flat, spec.dtype)
    return vectors if len(before) == 1 else ops.reshape(vectors, (*before, table.depth))


def _function(w: Emitter, layer: Any, x: Value) -> Value:
    """The call of a function of the model that makes indices of texts."""
    key, known = ("function", id(layer), len(x.shape)), w.scopes[0].found
    if key not in known:
        inner = Writer(w.opset)
        inner.path, inner.op = layer.name, w.op
        texts = inner.value(x.shape, "string", "texts")
        result = _Texts(inner, layer, texts).indices()
        w.domains.update({DOMAIN: 1, **inner.domains})
        known[key] = w.function(f"TextVectorization_{layer.name}", inner, [texts], [result], list(_attributes(layer)))
    name = known[key]
    called = w.node(name, x, dtype="int64", domain=DOMAIN, **_attributes(layer))
    called.shape = _shape(layer, x.shape)
    return called


def _attributes(layer: Any) -> dict[str, Any]:
    """The arguments of the layer that are given, but for the vocabulary, which is in the function."""
    given = {
        "standardize": layer.standardize, "split": layer.split, "ngrams": layer.sizes and list(layer.sizes),
        "output_sequence_length": layer.output_sequence_length,
    }  # fmt: skip
    return {name: value for name, value in given.items() if value is not None}


class _Texts:
    """Writes the nodes that make indices of texts.

    One text of words is put behind those that come, and taken away at the end, so that there is always a text, and
    a token for each place of an n-gram: onnxruntime refuses some strings that are none.
    """

    def __init__(self, w: Writer, layer: Any, texts: Value) -> None:
        self.w, self.layer, self.texts = w, layer, texts
        self.rank = len(texts.shape)
        self.longest = max(layer.sizes or (1,))
        self.more = int(not layer.vocabulary.has_mask)  # indices as mode "int" has them, in which 0 is the mask

    def indices(self) -> Value:
        w, layer = self.w, self.layer
        dummy = ("x" if layer.split == "character" else "x ") * self.longest
        flat = w.node("Concat", w.node("Reshape", self.texts, [-1]), self.text([dummy]), axis=0)
        flat = self.standardized(flat)
        if layer.split is None:
            return self.of_tokens(self.cut(flat, None, -1, 0))
        tokens = self.tokens(flat)
        blank = w.node("Equal", tokens, self.text(""), dtype="bool")
        if layer.split == "character":  # onnx does not know that Tokenizer gives strings
            tokens = w.node("Where", blank, self.text(""), tokens, dtype="string")
        return self.shaped(*self.grams(tokens, self.sum(w.cast(w.node("Not", blank), "int64"))))

    # -- tokens ------------------------------------------------------------------------------

    def standardized(self, flat: Value) -> Value:
        standard = self.layer.standardize
        if standard is None:
            return flat
        if standard.endswith("strip_punctuation"):
            for mark in string.punctuation:
                flat = self.replaced(flat, mark, "")
        if standard.startswith("lower"):  # the one letter that becomes two; and a locale that needs no language pack
            flat = self.replaced(flat, "İ", "İ".lower())
            flat = self.w.node("StringNormalizer", flat, case_change_action="LOWER", locale="C.UTF-8")
        return flat

    def tokens(self, flat: Value) -> Value:
        """Rows of tokens, with empty ones behind the last."""
        if self.layer.split == "character":
            self.w.domains["com.microsoft"] = 1
            return self.w.node(
                "Tokenizer", flat, domain="com.microsoft", mark=0, mincharnum=1, pad_value="", separators=[""]
            )
        for blank in _BLANKS:
            flat = self.replaced(flat, blank, " ")
        return self.w.nodes("StringSplit", [flat], ["string", "int64"])[0]

    def replaced(self, flat: Value, old: str, new: str) -> Value:
        """Texts with one character replaced: the parts around it joined again."""
        w = self.w
        parts, counts = w.nodes("StringSplit", [flat], ["string", "int64"], delimiter=old)
        count = w.node("Sub", w.squeeze(w.node("Shape", parts, dtype="int64", start=1), [0]), w.constant(1))
        first = w.node("Gather", parts, w.constant(0), axis=1)

        def joined(place: Value, go_on: Value, text: Value) -> list[Value]:
            place = w.node("Add", place, w.constant(1))
            part = w.node("Gather", parts, place, axis=1)
            if new:  # behind the last part there are empty ones
                between = w.node("Less", place, counts, dtype="bool")
                between = w.node("Where", between, self.text(new), self.text(""), dtype="string")
                text = w.node("StringConcat", text, between)
            return [w.node("Identity", go_on), w.node("StringConcat", text, part)]

        body = w.subgraph("joined", [((), "int64"), ((), "bool"), ((None,), "string")], joined)
        result = w.node("Loop", count, w.constant(True), first, dtype="string", body=body)
        # Loops leave the rank open. From there onnx would find no more types, and crash in the LabelEncoder.
        return w.node("Reshape", result, [-1])

    # -- indices -----------------------------------------------------------------------------

    def of_tokens(self, flat: Value) -> Value:
        """The indices where each string is a token."""
        w = self.w
        if _is_plain(self.layer):
            return w.node(
                "Reshape", _indices(w, self.layer.vocabulary, flat, self.more), w.shape(self.texts), allowzero=1
            )
        width = w.dim(self.texts, self.rank - 1) if self.rank > 1 else w.constant([1])
        rows = w.node("ReduceProd", w.node("Concat", self.rows(), np.array([1]), axis=0), keepdims=1)
        shape = w.node("Concat", rows, width, axis=0)
        tokens = w.node("Reshape", flat, shape, allowzero=1)
        more = w.node("Expand", self.text(""), w.node("Concat", rows, np.array([self.longest]), axis=0))
        # One row more, as in texts that are split.
        row = w.node("Concat", np.array([1]), w.node("Add", width, w.constant([self.longest])), axis=0)
        tokens = w.node("Concat", tokens, more, axis=1)
        tokens = w.node("Concat", tokens, w.node("Expand", self.text(""), row), axis=0)
        counts = w.node("Expand", width, w.node("Add", rows, w.constant([1])))
        return self.shaped(*self.grams(tokens, counts))

    def grams(self, tokens: Value, counts: Value) -> tuple[Value, Value]:
        """Indices of the n-grams of rows with `counts` tokens, 0 behind the last, and how many there are."""
        w, sizes = self.w, self.layer.sizes or (1,)
        table, width = self.layer.vocabulary, w.node("Shape", tokens, dtype="int64", start=1)
        if sizes == (1,):
            return _indices(w, table, tokens, self.more), counts
        found, valid = [], []
        for n in sizes:
            places = w.node("Sub", width, w.constant([n - 1]))
            gram = self.cut(tokens, 0, places, 1)
            for i in range(1, n):
                part = self.cut(tokens, i, w.node("Add", places, w.constant([i])), 1)
                gram = w.node("StringConcat", w.node("StringConcat", gram, self.text(" ")), part)
            number = w.unsqueeze(w.node("Sub", counts, w.constant(n - 1)), [1])
            numbers = w.node("Range", w.constant(0), w.squeeze(places, [0]), w.constant(1))
            valid.append(w.node("Less", numbers, number, dtype="bool"))
            found.append(_indices(w, table, gram, self.more))
        indices, there = w.node("Concat", *found, axis=1), w.node("Concat", *valid, axis=1)
        indices = w.node("Where", there, indices, w.constant(0), dtype="int64")
        if len(sizes) > 1:
            indices = self.packed(indices, there)
        return indices, self.sum(w.cast(there, "int64"))

    def packed(self, indices: Value, there: Value) -> Value:
        """Rows with those elements first that are there, in the order that they have."""
        w = self.w
        width = w.node("Shape", indices, dtype="int64", start=1)
        end = w.squeeze(width, [0])
        places = w.node("Range", w.constant(0), end, w.constant(1))
        order = w.node("Where", there, places, w.node("Add", places, end), dtype="int64")
        _, order = w.nodes("TopK", [order, width], ["int64", "int64"], axis=1, largest=0, sorted=1)
        return w.node("GatherElements", indices, order, axis=1)

    def shaped(self, indices: Value, counts: Value) -> Value:
        """Without the row too many, as wide as the longest other one or as is asked for, in the shape of the texts."""
        w, length = self.w, self.layer.output_sequence_length
        indices, counts = self.cut(indices, None, -1, 0), self.cut(counts, None, -1, 0)
        if length is None:
            counts = w.node("Concat", counts, np.array([0]), axis=0)
            width = w.reduce("ReduceMax", counts, [0], keepdims=True)
        else:
            width = w.constant([length])
            shape = w.node("Concat", w.node("Shape", indices, dtype="int64", end=1), width, axis=0)
            indices = w.node("Concat", indices, w.node("Expand", w.constant(0), shape, dtype="int64"), axis=1)
        indices = self.cut(indices, 0, width, 1)
        if self.rank in (1, 2):
            return indices
        return w.node("Reshape", indices, w.node("Concat", self.rows(), width, axis=0), allowzero=1)

    # -- pieces ------------------------------------------------------------------------------

    def rows(self) -> Value:
        """The shape before the tokens."""
        return self.w.node("Shape", self.texts, dtype="int64", end=-1 if self.rank > 1 else None)

    def sum(self, x: Value) -> Value:
        return self.w.reduce("ReduceSum", x, [1])

    def cut(self, x: Value, start: int | None, end: int | Value, axis: int) -> Value:
        stop = end if isinstance(end, Value) else self.w.constant([end])
        return self.w.node("Slice", x, [start or 0], stop, [axis])

    def text(self, value: str | list[str]) -> Value:
        """A constant of strings."""
        shape = [] if isinstance(value, str) else [len(value)]
        words = [value] if isinstance(value, str) else value
        tensor = self.w.helper.make_tensor("text", self.w.type("string"), shape, [v.encode() for v in words])
        return self.w.once(("text", str(value)), lambda: self.w.node("Constant", dtype="string", value=tensor))


_LAYERS: dict[type, Callable[..., Value]] = {
    Hashing: _hashing,
    HashedCrossing: _hashing,
    IntegerLookup: _lookup,
    StringLookup: _lookup,
    TextVectorization: _text_vectorization,
}
