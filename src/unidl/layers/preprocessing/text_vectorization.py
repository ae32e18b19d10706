"""Texts as sequences of indices, or as vectors."""

from __future__ import annotations

import re
import string
from typing import Any

import numpy as np

from unidl.graph.symbolic import SymbolicTensor, TensorSpec
from unidl.layers.preprocessing._encoding import check_output
from unidl.layers.preprocessing._host import dense, host_values, string_tensor, strings_of
from unidl.layers.preprocessing._vocabulary import MODES, Vocabulary
from unidl.layers.preprocessing.hashing import output_dtype
from unidl.layers.preprocessing.lookup import VocabularyLayer, check_encoding

__all__ = ["TextVectorization"]

_PUNCTUATION = re.compile(f"[{re.escape(string.punctuation)}]")
_STANDARDS = ("lower_and_strip_punctuation", "lower", "strip_punctuation")


class TextVectorization(VocabularyLayer):
    """Texts as indices of their tokens (0 pads, 1 is unknown), or as one vector each.

    (batch,) or (batch, 1) strings become (batch, tokens) integers, or (batch, vocabulary) numbers.

    Args:
        max_tokens: most indices there may be; None: no limit.
        standardize: "lower_and_strip_punctuation", "lower", "strip_punctuation", None, or a function of an array of
            strings (of a string tensor on TensorFlow).
        split: "whitespace", "character", None (each string is a token), or a function of an array of strings that gives
            lists of tokens.
        ngrams: an int n adds the groups of 2 … n tokens that follow each other; a tuple lists the group sizes wanted.
        output_mode: "int"; or a vector for each text: "multi_hot", "count", "tf_idf"; "one_hot": one for each token.
        output_sequence_length: to which number of tokens texts are cut or padded, for "int".
        pad_to_max_tokens: whether vectors have `max_tokens` elements.
        vocabulary: list, array, or path of a file with one token a line; None: call `adapt`.
        idf_weights: one for each token, for "tf_idf".
        encoding: of bytes; only UTF-8.

    Example:
        >>> import unidl
        >>> layer = unidl.layers.TextVectorization(output_sequence_length=4)
        >>> layer.adapt(["Good day!", "A good night."])
        >>> layer.get_vocabulary()
        ['', '[UNK]', 'good', 'night', 'day', 'a']
        >>> unidl.ops.convert_to_numpy(layer(["A good, good morning"])).tolist()
        [[5, 2, 2, 1]]
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: Any = "lower_and_strip_punctuation",
        split: Any = "whitespace",
        ngrams: Any = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        sparse: bool = False,
        ragged: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_output("TextVectorization", output_mode, MODES, sparse)
        check_encoding("TextVectorization", encoding)
        if ragged:
            raise ValueError(
                "TextVectorization: `ragged=True` is not possible: unidl has no ragged tensors. Rows are padded with 0."
            )
        if not (standardize is None or callable(standardize) or standardize in _STANDARDS):
            raise ValueError(
                f"TextVectorization: `standardize` must be None, a function or one of {_STANDARDS}, "
                f"not {standardize!r}."
            )
        if not (split is None or callable(split) or split in ("whitespace", "character")):
            raise ValueError(
                f"TextVectorization: `split` must be 'whitespace', 'character', None or a function, not {split!r}."
            )
        sizes = tuple(range(1, ngrams + 1)) if isinstance(ngrams, int) and ngrams > 0 else ngrams
        if sizes is not None and not (
            isinstance(sizes, (tuple, list)) and sizes and all(isinstance(n, int) and n > 0 for n in sizes)
        ):
            raise ValueError(f"TextVectorization: `ngrams` must be a positive int or a tuple of such, not {ngrams!r}.")
        if output_sequence_length is not None and output_mode != "int":
            raise ValueError(
                f"TextVectorization: `output_mode={output_mode!r}` puts out no sequences, so `output_sequence_length` "
                "must be None. Leave it out, or use output_mode='int'."
            )
        if output_sequence_length is not None and not output_sequence_length > 0:
            raise ValueError(
                f"TextVectorization: `output_sequence_length` must be positive, not {output_sequence_length!r}."
            )
        kwargs["dtype"] = output_dtype("TextVectorization", output_mode, kwargs.get("dtype"))
        super().__init__(name=name, **kwargs)
        self.standardize, self.split, self.output_sequence_length = standardize, split, output_sequence_length
        self.sizes = sizes
        self.vocabulary = Vocabulary(self, True, max_tokens, 1, "", "[UNK]", output_mode, pad_to_max_tokens)
        self._take_vocabulary(vocabulary, idf_weights)

    def adapt(  # type: ignore[override]
        self, data: Any, batch_size: int | None = None, steps: int | None = None
    ) -> None:
        """Learn the vocabulary from texts; see `StringLookup.adapt`. `batch_size` changes nothing here."""
        super().adapt(data, steps)

    def update_state(self, data: Any) -> None:
        """Count the tokens of a batch of texts."""
        rows, _ = self._rows(host_values(data))
        self.vocabulary.count(rows)

    def _rows(self, texts: np.ndarray) -> tuple[list[list[str]], tuple[int, ...]]:
        """The tokens of each text (of each row of tokens if nothing is split), and the shape before the tokens."""
        texts = np.asarray(texts)
        if callable(self.standardize):
            flat = np.array(strings_of(texts)).reshape(texts.shape)
            texts = host_values(self.standardize(string_tensor(flat)))
        strings = strings_of(texts)
        if isinstance(self.standardize, str):
            if self.standardize.startswith("lower"):
                strings = [s.lower() for s in strings]
            if self.standardize.endswith("strip_punctuation"):
                strings = [_PUNCTUATION.sub("", s) for s in strings]
        shape = tuple(np.shape(texts))
        if self.split is None:
            width = shape[-1] if len(shape) > 1 else 1
            rows = [strings[i : i + width] for i in range(0, len(strings), width)]
            shape = shape[:-1] if len(shape) > 1 else shape
        else:
            if len(shape) > 1:
                if shape[-1] != 1:
                    raise ValueError(
                        f"Layer {self.path!r} splits texts: its input must have one dimension, or a last dimension "
                        f"of 1, but shape {shape} came."
                    )
                shape = shape[:-1]
            rows = self._tokens(strings)
        if self.sizes is not None:
            rows = [[" ".join(r[i : i + n]) for n in self.sizes for i in range(len(r) - n + 1)] for r in rows]
        return rows, shape

    def _tokens(self, strings: list[str]) -> list[list[str]]:
        if self.split == "whitespace":
            return [s.split() for s in strings]
        if self.split == "character":
            return [list(s) for s in strings]
        parts = self.split(string_tensor(np.array(strings, str)))
        if hasattr(parts, "to_list"):  # ragged
            parts = parts.to_list()
        return [strings_of(np.asarray(list(host_values(p)) if hasattr(p, "dtype") else list(p))) for p in parts]

    def compute(self, *arrays: np.ndarray) -> np.ndarray:
        rows, shape = self._rows(arrays[0])
        width = self.output_sequence_length or max(map(len, rows), default=0)
        table = self.vocabulary
        flat = table.indices([t for row in rows for t in row])
        indices = np.full((len(rows), width), 0 if table.has_mask else -1, np.int64)
        start = 0
        for i, row in enumerate(rows):
            kept = flat[start : start + len(row)][:width]
            indices[i, : len(kept)] = kept
            start += len(row)
        if table.mode != "int":
            if table.mode != "one_hot" and not width:
                indices = np.full((len(rows), 1), -1)
            if table.mode == "one_hot" and self.split is not None:
                indices = indices[..., None]  # however many tokens there are: a last axis of size 1 gives way
            encoded = table.encode(indices, self.compute_dtype)
            return encoded.reshape(*shape, *encoded.shape[1:])
        if self.plain and np.ndim(arrays[0]) < 2:
            return indices.reshape(shape).astype(self.compute_dtype)
        return indices.reshape(*shape, width).astype(self.compute_dtype)

    @property
    def plain(self) -> bool:
        """Whether strings are tokens, of which none is added or left out: each has one index."""
        return self.split is None and self.sizes is None and self.output_sequence_length is None

    def indices_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the indices for texts of `shape`: an axis of tokens comes last, if texts may have several."""
        if self.plain:
            return shape
        rows = shape[:-1] if len(shape) > 1 else shape
        return (*rows, self.output_sequence_length)

    def output_spec(self, *specs: TensorSpec) -> TensorSpec:
        texts, mode = tuple(specs[0].shape), self.vocabulary.mode
        shape = self.indices_shape(texts)
        if mode == "int":
            return TensorSpec(shape, self.compute_dtype)
        has_tokens = not self.plain or len(texts) > 1
        for_each = mode == "one_hot" and not (self.split is None and shape[-1:] == (1,))
        if has_tokens and not for_each:  # one vector for all tokens of a text
            shape = shape[:-1]
        return TensorSpec((*shape, self.vocabulary.depth), self.compute_dtype)

    def compute_output_spec(self, inputs: Any) -> Any:
        spec = self.output_spec(TensorSpec(tuple(dense(inputs, self.path).shape), "string"))
        return SymbolicTensor(spec.shape, spec.dtype)
