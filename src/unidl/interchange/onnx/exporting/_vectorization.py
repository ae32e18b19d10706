"""`TextVectorization` as a function of the model, of the domain `DOMAIN`, from texts to indices.

The layer's arguments are attributes of the call: other readers of the file see the nodes in it, and `unidl.onnx.load`
the layer.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

from unidl import ops
from unidl.graph.symbolic import TensorSpec
from unidl.interchange.onnx.exporting._tokens import by_ops, refused, token_indices
from unidl.interchange.onnx.exporting._writer import Value, Writer

if TYPE_CHECKING:
    from unidl.interchange.onnx.exporting._graph import Emitter

#: The domain of the functions for layers.
DOMAIN = "unidl"
#: What `str.split` splits at, but for the blank itself: onnxruntime's StringSplit knows only that.
BLANKS = [c for c in map(chr, range(0x3001)) if c.isspace() and c != " "]


def text_vectorization(w: Emitter, layer: Any, x: Value) -> Value:
    """The output of a `TextVectorization` for the texts `x`.

    Raises:
        GraphError: if `x` are no strings, or the layer calls functions of Python's.
    """
    w.need(20)
    vocabulary, spec = layer.vocabulary, w.specs[0]
    vocabulary.require()
    if x.dtype != "string":
        raise refused(w, f"it takes strings, and {x.dtype} comes in: declare the input with dtype='string'")
    if own := [n for n in ("standardize", "split") if callable(getattr(layer, n))]:
        raise refused(w, f"`{own[0]}` is a function of Python's. Take one of those that have a name, or None")
    indices = _called(w, layer, x)
    if vocabulary.mode == "int":
        return indices
    return by_ops(w, lambda i: _vectors(layer, i, len(x.shape), spec), indices, layer.indices_shape(x.shape))


def _vectors(layer: Any, indices: Any, rank: int, spec: TensorSpec) -> Any:
    """Vectors, by ops, of indices as mode "int" has them, which begin with that of the mask.

    Args:
        indices: (*texts, tokens), or of the texts' shape where each of them is one token.
        rank: of the texts.
        spec: of the vectors.
    """
    vocabulary = layer.vocabulary
    if layer.plain and rank < 2:
        indices = ops.expand_dims(indices, -1)
    indices = ops.subtract(indices, 1)
    if vocabulary.mode == "one_hot":
        vectors = ops.one_hot(indices, vocabulary.depth, -1, spec.dtype)
        return ops.squeeze(vectors, -2) if len(spec.shape) < len(vectors.shape) else vectors
    *texts, width = ops.shape(indices)
    rows = indices if len(texts) == 1 else ops.reshape(indices, (-1, width))
    rows = ops.pad(rows, [[0, 0], [0, 1]], constant_values=-1)  # of no tokens there are no sums
    vectors = vocabulary.encoded(rows, spec.dtype)
    return vectors if len(texts) == 1 else ops.reshape(vectors, (*texts, vocabulary.depth))


def _called(w: Emitter, layer: Any, x: Value) -> Value:
    """The indices of the texts `x`, by a call of the layer's function, which is written at the first call."""
    arguments = _arguments(layer)
    key, known = ("function", id(layer), len(x.shape)), w.scopes[0].found
    if key not in known:
        inner = Writer(w.opset)
        inner.path, inner.op = layer.name, w.op
        texts = inner.value(x.shape, "string", "texts")
        result = _Texts(inner, layer, texts).indices()
        w.domains.update({DOMAIN: 1, **inner.domains})
        known[key] = w.function(f"TextVectorization_{layer.name}", inner, [texts], [result], list(arguments))
    indices = w.node(known[key], x, dtype="int64", domain=DOMAIN, **arguments)
    indices.shape = layer.indices_shape(x.shape)
    return indices


def _arguments(layer: Any) -> dict[str, Any]:
    """The arguments of the layer that are given, but for the vocabulary, which is in the function."""
    given = {
        "standardize": layer.standardize, "split": layer.split, "ngrams": layer.sizes and list(layer.sizes),
        "output_sequence_length": layer.output_sequence_length,
    }  # fmt: skip
    return {name: value for name, value in given.items() if value is not None}


class _Texts:
    """Writes the nodes that make indices of texts.

    One text more, the sentinel, is put behind those that come, and its row is taken away at the end. It has as many
    words as the longest n-gram: so there is always a text, and a token for each place of an n-gram. Without it
    onnxruntime would meet empty tensors of strings, some of which it refuses.

    Tokens are a matrix of strings, one row for each text, with empty strings behind the last token of a row; with them
    goes a vector of how many each row has.

    Args:
        w: writes the function.
        layer: the `TextVectorization`.
        texts: of any shape that the layer takes.
    """

    def __init__(self, w: Writer, layer: Any, texts: Value) -> None:
        self.w, self.layer, self.texts = w, layer, texts
        self.rank = len(texts.shape)
        self.sizes = layer.sizes or (1,)
        self.longest = max(self.sizes)
        self.offset = int(not layer.vocabulary.has_mask)  # indices as mode "int" has them, in which 0 is the mask

    def indices(self) -> Value:
        """The indices, of the shape `layer.indices_shape` says."""
        sentinel = ("x" if self.layer.split == "character" else "x ") * self.longest
        flat = self.joined(self.w.node("Reshape", self.texts, [-1]), self.string(sentinel, [1]))
        flat = self.standardized(flat)
        if self.layer.split is not None:
            return self.finished(*self.ngrams(*self.split(flat)))
        tokens = self.without_last(flat)
        if self.layer.plain:
            return self.w.node("Reshape", self.lookup(tokens), self.w.shape(self.texts), allowzero=1)
        return self.finished(*self.ngrams(*self.in_rows(tokens)))

    # -- tokens ------------------------------------------------------------------------------

    def standardized(self, flat: Value) -> Value:
        """Texts in lower case, or without punctuation, as the layer wants them."""
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

    def replaced(self, flat: Value, old: str, new: str) -> Value:
        """Texts with one character replaced: the parts around it joined again, in a loop over the parts."""
        w = self.w
        parts, counts = w.nodes("StringSplit", [flat], ["string", "int64"], delimiter=old)
        rounds = w.node("Sub", w.squeeze(self.width(parts), [0]), 1)
        first = w.node("Gather", parts, 0, axis=1)

        def joined(place: Value, go_on: Value, text: Value) -> list[Value]:
            place = w.node("Add", place, 1)
            part = w.node("Gather", parts, place, axis=1)
            if new:  # behind the last part there are empty ones
                between = w.node("Less", place, counts, dtype="bool")
                between = w.node("Where", between, self.string(new), self.string(""), dtype="string")
                text = w.node("StringConcat", text, between)
            return [w.node("Identity", go_on), w.node("StringConcat", text, part)]

        body = w.subgraph("joined", [((), "int64"), ((), "bool"), ((None,), "string")], joined)
        result = w.node("Loop", rounds, w.constant(True), first, dtype="string", body=body)
        # Loops leave the rank open. From there onnx would find no more types, and crash in the LabelEncoder.
        return w.node("Reshape", result, [-1])

    def split(self, flat: Value) -> tuple[Value, Value]:
        """The tokens of texts, and how many each has."""
        w = self.w
        if self.layer.split == "character":
            w.domains["com.microsoft"] = 1
            tokens = w.node(
                "Tokenizer", flat, domain="com.microsoft", mark=0, mincharnum=1, pad_value="", separators=[""]
            )
        else:
            for blank in BLANKS:
                flat = self.replaced(flat, blank, " ")
            tokens, _ = w.nodes("StringSplit", [flat], ["string", "int64"])
        empty = w.node("Equal", tokens, self.string(""), dtype="bool")
        if self.layer.split == "character":  # onnx does not know that Tokenizer gives strings
            tokens = w.node("Where", empty, self.string(""), tokens, dtype="string")
        return tokens, self.count(w.node("Not", empty))

    def in_rows(self, flat: Value) -> tuple[Value, Value]:
        """Strings that are tokens themselves, a row for each place before the last axis, and how many each row has.

        As where texts are split, the sentinel's row comes last, and there is room for the longest n-gram.
        """
        w = self.w
        width = w.dim(self.texts, self.rank - 1) if self.rank > 1 else w.constant([1])
        rows = w.node("ReduceProd", self.joined(self.rows(), [1]), keepdims=1)
        tokens = w.node("Reshape", flat, self.joined(rows, width), allowzero=1)
        room = w.node("Expand", self.string(""), self.joined(rows, [self.longest]))
        sentinel = w.node("Expand", self.string(""), self.joined(w.constant([1]), w.node("Add", width, [self.longest])))
        tokens = self.joined(self.joined(tokens, room, axis=1), sentinel)
        return tokens, w.node("Expand", width, w.node("Add", rows, [1]))

    # -- indices -----------------------------------------------------------------------------

    def lookup(self, tokens: Value) -> Value:
        return token_indices(self.w, self.layer.vocabulary, tokens, self.offset)

    def ngrams(self, tokens: Value, counts: Value) -> tuple[Value, Value]:
        """Indices of the n-grams of rows of tokens, 0 behind the last, and how many there are in each row."""
        w = self.w
        if self.sizes == (1,):
            return self.lookup(tokens), counts
        width = self.width(tokens)
        found = [self.ngrams_of(n, tokens, counts, width) for n in self.sizes]
        indices, there = (self.joined(*parts, axis=1) for parts in zip(*found, strict=True))
        indices = w.node("Where", there, indices, 0, dtype="int64")
        if len(found) > 1:
            indices = self.packed(indices, there)
        return indices, self.count(there)

    def ngrams_of(self, n: int, tokens: Value, counts: Value, width: Value) -> tuple[Value, Value]:
        """The index of what begins at each place of a row and has n tokens, and whether the row has so many there."""
        w = self.w
        places = w.node("Sub", width, [n - 1])
        gram = w.slice(tokens, 1, 0, places)
        for i in range(1, n):
            part = w.slice(tokens, 1, i, w.node("Add", places, [i]))
            gram = w.node("StringConcat", w.node("StringConcat", gram, self.string(" ")), part)
        number = w.unsqueeze(w.node("Sub", counts, n - 1), [1])
        there = w.node("Less", self.numbers(places), number, dtype="bool")
        return self.lookup(gram), there

    def packed(self, indices: Value, there: Value) -> Value:
        """Rows with those elements first that are there, in the order that they have."""
        w = self.w
        width = self.width(indices)
        places = self.numbers(width)
        order = w.node("Where", there, places, w.node("Add", places, width), dtype="int64")
        _, order = w.nodes("TopK", [order, width], ["int64", "int64"], axis=1, largest=0, sorted=1)
        return w.node("GatherElements", indices, order, axis=1)

    def finished(self, indices: Value, counts: Value) -> Value:
        """Rows without the sentinel's, as wide as the longest of them or as is asked for, in the shape of the texts."""
        w, length = self.w, self.layer.output_sequence_length
        indices, counts = self.without_last(indices), self.without_last(counts)
        if length is None:  # the longest of no rows is 0
            width = w.reduce("ReduceMax", self.joined(counts, [0]), [0], keepdims=True)
        else:
            width = w.constant([length])
            room = self.joined(w.node("Shape", indices, dtype="int64", end=1), width)
            indices = self.joined(indices, w.node("Expand", w.constant(0), room), axis=1)
        indices = w.slice(indices, 1, 0, width)
        if self.rank in (1, 2):
            return indices
        return w.node("Reshape", indices, self.joined(self.rows(), width), allowzero=1)

    # -- pieces ------------------------------------------------------------------------------

    def rows(self) -> Value:
        """The shape before the tokens, as a vector."""
        return self.w.node("Shape", self.texts, dtype="int64", end=-1 if self.rank > 1 else None)

    def width(self, matrix: Value) -> Value:
        """The number of columns, as a vector of one."""
        return self.w.node("Shape", matrix, dtype="int64", start=1)

    def numbers(self, end: Value) -> Value:
        """0, 1, … before the one element of `end`."""
        return self.w.node("Range", 0, self.w.squeeze(end, [0]), 1, dtype="int64")

    def count(self, there: Value) -> Value:
        """How many elements of each row are true."""
        return self.w.reduce("ReduceSum", self.w.cast(there, "int64"), [1])

    def joined(self, *parts: Any, axis: int = 0) -> Value:
        return self.w.node("Concat", *parts, axis=axis)

    def without_last(self, x: Value) -> Value:
        """Without what belongs to the sentinel."""
        return self.w.slice(x, 0, 0, -1)

    def string(self, value: str, shape: list[int] | None = None) -> Value:
        """A constant of one string."""
        tensor = self.w.helper.make_tensor("text", self.w.type("string"), shape or [], [value.encode()])
        key = ("string", value, shape is None)
        return self.w.once(key, lambda: self.w.node("Constant", dtype="string", value=tensor))
