"""The table of the lookup layers: tokens and their indices, counts of tokens, weights of documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from unidl import ops
from unidl._state import state
from unidl.layers._base import structure
from unidl.layers.preprocessing._encoding import encode, encode_on_host, encoded_shape
from unidl.layers.preprocessing._hashes import buckets
from unidl.layers.preprocessing._host import host_values, strings_of
from unidl.layers.preprocessing._integer_hashes import integer_buckets
from unidl.layers.preprocessing.hashing import hash_function, hash_key

MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")


class Vocabulary:
    """Indices are laid out as [mask] [out of vocabulary]… [tokens]…; only output mode "int" has an index of the mask.

    Args:
        owner: the layer, for messages.
        text: whether tokens are strings; else they are integers.

    Attributes:
        tokens: the tokens proper; None until there is a vocabulary.
        idf: one weight for each index, in mode "tf_idf".
    """

    def __init__(
        self,
        owner: Any,
        text: bool,
        max_tokens: int | None,
        num_oov: int,
        mask_token: Any,
        oov_token: Any,
        mode: str,
        pad: bool,
        invert: bool = False,
        salt: Any = None,
        oov_method: str = "farmhash",
    ) -> None:
        name = type(owner).__name__
        if max_tokens is not None and max_tokens <= 1:
            raise ValueError(f"{name}: `max_tokens` must be None or greater than 1, not {max_tokens}.")
        if pad and max_tokens is None:
            raise ValueError(f"{name}: `pad_to_max_tokens` needs to know `max_tokens`, which is None.")
        if num_oov < 0:
            raise ValueError(f"{name}: `num_oov_indices` must be at least 0, not {num_oov}.")
        if invert and mode != "int":
            raise ValueError(f"{name}: `invert=True` goes with `output_mode='int'`, not with {mode!r}.")
        if invert and num_oov != 1:
            raise ValueError(f"{name}: `invert=True` goes with `num_oov_indices=1`, not with {num_oov}.")
        self.owner, self.text, self.max_tokens, self.num_oov = owner, text, max_tokens, num_oov
        self.mask_token, self.oov_token, self.mode, self.pad = mask_token, oov_token, mode, pad
        self.invert = invert
        self.key, self.oov_method = hash_key(salt, name), oov_method
        self.hash = hash_function(self.key)
        self.has_mask = mask_token is not None and mode == "int"
        self.start = num_oov + self.has_mask
        self.tokens: list[Any] | None = None
        self.idf: np.ndarray | None = None
        self.index: dict[Any, int] = {}
        self.reset()

    # -- tokens -----------------------------------------------------------------------------

    @property
    def size(self) -> int:
        return len(self.tokens or ()) + self.start

    @property
    def depth(self) -> int | None:
        """The size of vectors; None if it is not known yet."""
        if self.pad:
            return self.max_tokens
        return None if self.tokens is None else self.size

    def listed(self, special: bool = True) -> list[Any]:
        """All tokens by index, or the tokens proper."""
        proper = list(self.tokens or ())
        if not special:
            return proper
        return [self.mask_token] * self.has_mask + [self.oov_token] * self.num_oov + proper

    def _plain(self, values: Any) -> list[Any]:
        array = host_values(values)
        if self.text:
            return strings_of(array)
        return [int(v) for v in array.ravel().tolist()]

    def set(self, vocabulary: Any, idf: Any = None) -> None:
        """Take tokens from a list, an array or a file with one a line; special tokens may come first."""
        name = f"Layer {self.owner.path!r}"
        if isinstance(vocabulary, (str, Path)):
            if state.safe_mode:
                raise ValueError(
                    f"{name}: its configuration names a file of this machine as its vocabulary ({str(vocabulary)!r}): "
                    "refused. If you trust the source, pass safe_mode=False."
                )
            vocabulary = read_tokens(vocabulary, name)
        tokens = self._plain(list(vocabulary) if isinstance(vocabulary, tuple) else vocabulary)
        if not tokens:
            raise ValueError(f"{name}: Cannot set an empty vocabulary.")
        if self.mode == "tf_idf" and idf is None:
            raise ValueError(f"{name}: `idf_weights` must be set along with tokens for `output_mode='tf_idf'`.")
        if self.mode != "tf_idf" and idf is not None:
            raise ValueError(f"{name}: `idf_weights` are for `output_mode='tf_idf'` only, not for {self.mode!r}.")
        weights = None if idf is None else np.asarray(host_values(idf), np.float64)
        if weights is not None and len(weights) != len(tokens):
            raise ValueError(
                f"{name}: each token needs one of the `idf_weights`; {len(weights)} came for {len(tokens)} tokens."
            )
        front = None
        if self.start and tokens[: self.start] == self.listed()[: self.start]:
            front = None if weights is None else weights[: self.start]
            tokens, weights = tokens[self.start :], None if weights is None else weights[self.start :]
        if twice := [t for t, n in Counter(tokens).items() if n > 1]:
            raise ValueError(f"{name}: The vocabulary has at least one repeated term: {twice[:10]}.")
        for what, token in (("mask", self.mask_token), ("OOV", self.oov_token)):
            if token is not None and token in tokens and (what == "mask" or self.invert):
                raise ValueError(
                    f"{name}: Found reserved {what} token {token!r} at position {tokens.index(token)} of the "
                    f"vocabulary proper; it may only stand at the front: {self.listed()[: self.start]}."
                )
        self._take(tokens, weights, front)

    def _take(self, tokens: list[Any], weights: Any, front: Any = None) -> None:
        if self.max_tokens is not None and len(tokens) + self.start > self.max_tokens:
            raise ValueError(
                f"Layer {self.owner.path!r}: the vocabulary is larger than the maximum: {len(tokens) + self.start} "
                f"tokens with the special ones, `max_tokens` is {self.max_tokens}."
            )
        self.tokens = tokens
        self.index = {token: i + self.start for i, token in enumerate(tokens)}
        if self.has_mask:
            self.index[self.mask_token] = 0
        elif self.mask_token is not None:
            self.index[self.mask_token] = -1
        if weights is not None:
            average = float(np.mean(weights)) if len(weights) else 0.0
            full = np.concatenate([np.full(self.start, average) if front is None else front, weights])
            self.idf = np.concatenate([full, np.zeros((self.depth or self.size) - len(full))]).astype(np.float32)
        structure["version"] += 1

    # -- learning ---------------------------------------------------------------------------

    def reset(self) -> None:
        self.counts: Counter[Any] = Counter()
        self.documents: Counter[Any] = Counter()
        self.seen = 0

    def count(self, documents: Iterable[list[Any]]) -> None:
        """Count the tokens of documents."""
        for tokens in documents:
            self.counts.update(tokens)
            self.seen += 1
            if self.mode == "tf_idf":
                self.documents.update(set(tokens))

    def count_array(self, values: Any) -> None:
        """Count a batch: rows are documents, in one dimension elements are."""
        array = host_values(values)
        plain = self._plain(array)
        if array.ndim < 2:
            self.count([token] for token in plain)
        else:
            width = max(1, array.size // array.shape[0]) if array.shape[0] else 1
            self.count(plain[i : i + width] for i in range(0, len(plain), width))

    def learn(self) -> None:
        """The most frequent tokens, of equally frequent ones the greater first."""
        special = {self.mask_token, self.oov_token}
        found = sorted(((n, t) for t, n in self.counts.items() if t not in special), reverse=True)
        if self.max_tokens is not None:
            found = found[: max(0, self.max_tokens - self.start)]
        tokens = [t for _, t in found]
        weights = None
        if self.mode == "tf_idf":
            weights = np.log(1 + self.seen / (1 + np.array([self.documents[t] for t in tokens], np.float64)))
        self._take(tokens, weights)
        self.reset()

    # -- looking up -------------------------------------------------------------------------

    def require(self) -> None:
        if self.tokens is None:
            raise ValueError(
                f"Layer {self.owner.path!r} has no vocabulary: give `vocabulary`, or call adapt(data) or "
                "set_vocabulary(tokens) before."
            )

    def _require_weights(self) -> None:
        if self.mode == "tf_idf" and self.idf is None:
            raise ValueError(f"Layer {self.owner.path!r} has no `idf_weights`: adapt it, or give them.")

    def indices(self, tokens: list[Any]) -> np.ndarray:
        """The index of each token."""
        self.require()
        get, outside = self.index.get, -2
        found = np.fromiter((get(t, outside) for t in tokens), np.int64, len(tokens))
        places = np.nonzero(found == outside)[0]
        if len(places):
            found[places] = self._outside([tokens[i] for i in places])
        return found

    def _outside(self, tokens: list[Any]) -> Any:
        if self.num_oov == 0:
            raise ValueError(
                f"Layer {self.owner.path!r} has `num_oov_indices=0`, so all inputs must be in the vocabulary, but "
                f"{tokens[:10]} are not."
            )
        if self.num_oov == 1:
            return self.has_mask
        if not self.text and self.oov_method == "floormod":
            return np.array(tokens, np.int64) % self.num_oov + self.has_mask
        return np.array(buckets(map(str, tokens), self.hash, self.num_oov)) + self.has_mask

    @property
    def recordable(self) -> bool:
        """Whether what `recorded` gives is the same as looking up: nothing is raised for what is unknown."""
        return (
            not self.text
            and self.tokens is not None
            and (self.mode != "tf_idf" or self.idf is not None)
            and self.num_oov > 0
        )

    def recorded(self, values: Any, dtype: str) -> Any:
        """Symbolic integers looked up with ops, and encoded."""
        values = ops.cast(values, "int64")
        if self.invert:
            table = np.array(self.listed(), np.int64)
            known = ops.logical_and(ops.greater_equal(values, 0), ops.less(values, len(table)))
            return ops.where(known, ops.take(table, ops.where(known, values, 0), 0), self.oov_token)
        keys, places = (np.array(v, np.int64) for v in zip(*sorted(self.index.items()), strict=True))
        nearest = ops.minimum(ops.searchsorted(keys, values), len(keys) - 1)
        outside = int(self.has_mask)
        if self.num_oov > 1:
            hashed = self.oov_method == "farmhash"
            bucket = integer_buckets(values, self.key, self.num_oov) if hashed else ops.mod(values, self.num_oov)
            outside = ops.add(bucket, outside)
        known = ops.equal(ops.take(keys, nearest, 0), values)
        return self.encoded(ops.where(known, ops.take(places, nearest, 0), outside), dtype)

    def encoded(self, indices: Any, dtype: str) -> Any:
        """Symbolic indices as they are, or as vectors."""
        self._require_weights()
        if self.mode != "tf_idf":
            return encode(indices, self.mode, self.depth or 0, dtype)
        return ops.multiply(encode(indices, "count", self.depth or 0, dtype), ops.cast(self.idf, dtype))

    def inverted(self, indices: np.ndarray) -> np.ndarray:
        """The token of each index."""
        self.require()
        table = np.array(self.listed(), object if self.text else np.int64)
        known = (indices >= 0) & (indices < len(table))
        tokens = np.where(known, table[np.where(known, indices, 0)], self.oov_token)
        return tokens.astype(str if self.text else np.int64)

    def encode(self, indices: np.ndarray, dtype: str) -> np.ndarray:
        self._require_weights()
        return encode_on_host(indices, self.mode, self.depth or 0, dtype, self.idf)

    def shape(self, shape: Any) -> Any:
        return encoded_shape(tuple(shape), self.mode, self.depth)

    # -- files ------------------------------------------------------------------------------

    def save(self, folder: Any) -> None:
        """Write ``vocabulary.txt``, the tokens proper, one a line, and ``idf_weights.npy`` if there are weights."""
        if self.tokens is None:
            return
        if bad := [t for t in self.tokens if "\n" in str(t) or "\r" in str(t)]:
            raise ValueError(f"Layer {self.owner.path!r}: tokens with line breaks cannot be saved: {bad[:5]}.")
        text = "\n".join(map(str, self.tokens))
        Path(folder, "vocabulary.txt").write_bytes(text.encode("utf-8", "surrogateescape"))
        if self.idf is not None:
            np.save(Path(folder, "idf_weights.npy"), self.idf[: self.size], allow_pickle=False)

    def load(self, folder: Any) -> None:
        """Read what `save` wrote."""
        path = Path(folder, "vocabulary.txt")
        if not path.exists():
            return
        tokens = path.read_bytes().decode("utf-8", "surrogateescape").split("\n")
        weights = Path(folder, "idf_weights.npy")
        idf = np.load(weights, allow_pickle=False) if weights.exists() else None
        self._take(
            tokens if self.text else [int(t) for t in tokens],
            None if idf is None else idf[self.start :],
            None if idf is None else idf[: self.start],
        )


def read_tokens(path: Any, name: str) -> list[str]:
    """The lines of a file."""
    if not Path(path).is_file():
        raise ValueError(f"{name}: Vocabulary file {str(path)!r} does not exist.")
    return Path(path).read_text("utf-8", "surrogateescape").splitlines()
