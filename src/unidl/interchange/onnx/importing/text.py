"""Strings: computed on the host, since only one engine has tensors of them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from unidl.interchange.onnx._tensors import text
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import MICROSOFT, operator


def _each(x: np.ndarray, function: Any) -> np.ndarray:
    return text([function(str(v)) for v in x.reshape(-1)]).reshape(x.shape)


@operator("StringConcat", host=True)
def _string_concat(call: Call, a: Any, b: Any) -> Any:
    a, b = np.broadcast_arrays(a, b)
    return text([str(x) + str(y) for x, y in zip(a.reshape(-1), b.reshape(-1), strict=True)]).reshape(a.shape)


@operator("StringSplit", host=True)
def _string_split(call: Call, x: Any) -> Any:
    delimiter, most = call.get("delimiter") or None, call.get("maxsplit", -1)
    parts = [str(v).split(delimiter, -1 if most is None else most) for v in x.reshape(-1)]
    longest = max((len(p) for p in parts), default=0)
    padded = text([w for p in parts for w in [*p, *[""] * (longest - len(p))]]).reshape(*x.shape, longest)
    return padded, np.array([len(p) for p in parts], np.int64).reshape(x.shape)


@operator("Tokenizer", domain=MICROSOFT, host=True)
def _tokenizer(call: Call, x: Any) -> Any:
    """Texts as their characters, which is what it does with an empty separator."""
    if call.get("separators") != [""] or call.get("mark", 0) or call.get("mincharnum", 1) > 1:
        raise call.error("only texts without marks can be cut, into characters: `separators` must be ['']")
    longest, pad = max((len(str(v)) for v in x.reshape(-1)), default=0), call.get("pad_value", "")
    rows = [[*str(v), *[pad] * (longest - len(str(v)))] for v in x.reshape(-1)]
    return text([c for row in rows for c in row]).reshape(*x.shape, longest)


@operator("RegexFullMatch", host=True)
def _regex_full_match(call: Call, x: Any) -> Any:
    try:
        pattern = re.compile(call.need("pattern"))
    except re.error as error:
        raise call.error(f"the pattern cannot be used: {error}") from None
    return np.array([pattern.fullmatch(str(v)) is not None for v in x.reshape(-1)], bool).reshape(x.shape)


@operator("StringNormalizer", host=True)
def _string_normalizer(call: Call, x: Any) -> Any:
    change = {"LOWER": str.lower, "UPPER": str.upper}.get(call.get("case_change_action", "NONE"), str)
    exact = bool(call.get("is_case_sensitive", 0))
    stop = set(call.get("stopwords", []))
    if not exact:
        stop = {w.lower() for w in stop}
    rows = x.reshape(1, -1) if x.ndim == 1 else x
    kept = [[str(w) for w in row if (str(w) if exact else str(w).lower()) not in stop] for row in rows]
    if len({len(row) for row in kept}) > 1:
        raise call.error("rows lose different numbers of stopwords")
    words = [[change(w) for w in row] for row in kept]
    if stop and not words[0]:
        words = [[""] for _ in words]
    result = text([w for row in words for w in row])
    return result if x.ndim == 1 else result.reshape(len(words), -1)


@operator("TfIdfVectorizer")
def _tf_idf_vectorizer(call: Call, x: Any) -> Any:
    """Counts of n-grams of a pool, also of words with others in between."""
    array = call.array(x, "the words")
    shortest, longest = call.need("min_gram_length"), call.need("max_gram_length")
    pool = call.get("pool_strings") or call.get("pool_int64s")
    starts = [*call.need("ngram_counts"), len(pool)]
    where = call.need("ngram_indexes")
    grams: dict[tuple[Any, ...], int] = {}
    number = 0
    for n, (first, last) in enumerate(zip(starts, starts[1:], strict=False), 1):
        for i in range(first, last, n):
            if shortest <= n <= longest:
                grams[tuple(pool[i : i + n])] = where[number]
            number += 1
    weights = call.get("weights")
    rows = array.reshape(1, -1) if array.ndim < 2 else array
    counts = np.zeros((len(rows), max(where) + 1), np.float32)
    for row, out in zip(rows, counts, strict=True):
        words = row.tolist()
        for n in range(shortest, longest + 1):
            for skip in range(1, (1 if n == 1 else call.need("max_skip_count") + 1) + 1 if n > 1 else 2):
                for i in range(len(words) - (n - 1) * skip):
                    place = grams.get(tuple(words[i : i + n * skip : skip]))
                    if place is not None:
                        out[place] += 1
    by_place = np.ones(counts.shape[1], np.float32)
    if weights is not None:
        by_place[np.array(where)] = weights
    mode = call.need("mode")
    result = counts if mode == "TF" else (counts > 0) * by_place if mode == "IDF" else counts * by_place
    return result[0].astype(np.float32) if array.ndim < 2 else result.astype(np.float32)


@operator("NGramRepeatBlock", domain=MICROSOFT, host=True)
def _ngram_repeat_block(call: Call, words: Any, scores: Any) -> Any:
    """Scores of next words (batch, vocabulary): minus infinity for those that would repeat a run of words."""
    size = call.need("ngram_size")
    words, result = call.array(words, "the words"), call.array(scores, "the scores").copy()
    for row, line in zip(result, words.tolist(), strict=True):
        last = line[len(line) - size + 1 :]
        for start in range(len(line) - size + 1):
            if line[start : start + size - 1] == last:
                row[line[start + size - 1]] = -np.inf
    return result


@operator("MurmurHash3", domain=MICROSOFT, host=True)
def _murmur_hash(call: Call, x: Any) -> Any:
    """MurmurHash3_x86_32 of texts and numbers (A. Appleby, public domain)."""
    seed = call.get("seed", 0)
    array = call.array(x, "the input")
    items = [str(v).encode() if array.dtype == object else v.tobytes() for v in array.reshape(-1)]
    hashes = np.array([murmur3(item, seed) for item in items], np.uint32).reshape(array.shape)
    return hashes if call.get("positive", 1) else hashes.astype(np.int32)


def murmur3(data: bytes, seed: int) -> int:
    """The 32 bits that MurmurHash3_x86_32 makes of `data`."""
    word = 0xFFFFFFFF

    def turned(value: int, bits: int) -> int:
        return (value << bits | value >> (32 - bits)) & word

    def mixed(value: int) -> int:
        return turned(value * 0xCC9E2D51 & word, 15) * 0x1B873593 & word

    state, whole = seed & word, len(data) // 4 * 4
    for i in range(0, whole, 4):
        state = (turned(state ^ mixed(int.from_bytes(data[i : i + 4], "little")), 13) * 5 + 0xE6546B64) & word
    if whole < len(data):
        state ^= mixed(int.from_bytes(data[whole:], "little"))
    state ^= len(data)
    state = (state ^ state >> 16) * 0x85EBCA6B & word
    state = (state ^ state >> 13) * 0xC2B2AE35 & word
    return state ^ state >> 16
