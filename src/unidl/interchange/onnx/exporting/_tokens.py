"""What layers of text share: the index of a token, and strings as ONNX has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from unidl.errors import GraphError
from unidl.graph.symbolic import Shape, TensorSpec
from unidl.graph.trace import trace
from unidl.interchange.onnx.exporting._writer import Value, Writer

if TYPE_CHECKING:
    from unidl.interchange.onnx.exporting._graph import Emitter

#: The domain of ONNX's operators for classical machine learning.
ML = "ai.onnx.ml"
_NO_HASH = (
    "it hashes strings, and ONNX has no operator that reads the bytes of a string. {remedy}, or export a model without "
    "it that takes the indices"
)


def refused(w: Writer, why: str) -> GraphError:
    """The error that the layer being written cannot be."""
    return GraphError(f"ONNX opset {w.opset} lacks {w.op!r} in {w.path or 'the graph'}: {why}.")


def refused_hash(w: Writer, remedy: str) -> GraphError:
    """The error that strings would have to be hashed."""
    return refused(w, _NO_HASH.format(remedy=remedy))


def token_indices(w: Writer, vocabulary: Any, tokens: Value, offset: int = 0) -> Value:
    """The index of each token, with `offset` added.

    Where there is none for unknown tokens, onnxruntime refuses them, as the layer does.

    Raises:
        GraphError: if unknown tokens have several indices: which one a token gets is a matter of its hash.
    """
    if vocabulary.num_oov > 1:
        raise refused_hash(w, f"Give it num_oov_indices=1 in place of {vocabulary.num_oov}")
    keys = list(vocabulary.index)
    indices = [i + offset for i in vocabulary.index.values()]
    named = {"keys_strings": as_bytes(keys)} if vocabulary.text else {"keys_int64s": keys}
    if vocabulary.num_oov:
        return encoder(
            w, tokens, "int64", **named, values_int64s=indices, default_int64=int(vocabulary.has_mask) + offset
        )
    # An unknown token gets a place behind the last, which `Gather` refuses.
    places = encoder(w, tokens, "int64", **named, values_int64s=list(range(len(keys))), default_int64=len(keys))
    return w.node("Gather", w.constant(np.array(indices, np.int64)), places)


def encoder(w: Writer, x: Value, dtype: str, **attributes: Any) -> Value:
    """A node that replaces keys by values."""
    w.domains.setdefault(ML, 2)
    return w.node("LabelEncoder", x, dtype=dtype, domain=ML, **attributes)


def as_bytes(tokens: list[str]) -> list[bytes]:
    """Tokens with the bytes that they were read from, where those were not UTF-8."""
    return [t.encode("utf-8", "surrogateescape") for t in tokens]


def by_ops(w: Emitter, function: Callable[..., Any], x: Value, shape: Shape) -> Value:
    """What `function`, which is written with ops, makes of `x`: int64 of this shape."""
    return w.call(trace(function, (TensorSpec(tuple(shape), "int64"),)), [x])[0]
