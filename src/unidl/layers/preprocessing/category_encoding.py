"""Integers as vectors."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.layers.preprocessing._encoding import check_output, encode, encoded_shape
from unidl.layers.preprocessing._host import DataLayer

__all__ = ["CategoryEncoding"]


class CategoryEncoding(DataLayer):
    """Integers from 0 to ``num_tokens - 1`` as vectors of that size; other integers count nowhere.

    Args:
        output_mode: "one_hot" (a vector for each integer), "multi_hot" or "count" (one for each sample: what lies along
            axis 1).

    Example:
        >>> import unidl
        >>> layer = unidl.layers.CategoryEncoding(num_tokens=4, output_mode="count")
        >>> unidl.ops.convert_to_numpy(layer([[0, 1, 1], [3, 3, 3]])).tolist()
        [[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 3.0]]
    """

    def __init__(
        self, num_tokens: int | None = None, output_mode: str = "multi_hot", sparse: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.output_mode = check_output("CategoryEncoding", output_mode, ("count", "one_hot", "multi_hot"), sparse)
        if num_tokens is None:
            raise ValueError("CategoryEncoding: num_tokens must be set, for it is the vectors' size.")
        if num_tokens < 1:
            raise ValueError(f"CategoryEncoding: `num_tokens` must be >= 1, not {num_tokens}.")
        self.num_tokens = num_tokens
        self.sparse = sparse

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        return self._encode(inputs, count_weights)

    def _encode(self, inputs: Any, count_weights: Any = None) -> Any:
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(
                f"Layer {self.path!r}: `count_weights` go with `output_mode='count'` only, not with "
                f"{self.output_mode!r}."
            )
        indices = ops.cast(inputs, "int32")
        return encode(indices, self.output_mode, self.num_tokens, self.compute_dtype, count_weights)

    def compute_output_shape(self, input_shape: Any, *_: Any) -> Any:
        return encoded_shape(tuple(input_shape), self.output_mode, self.num_tokens)
