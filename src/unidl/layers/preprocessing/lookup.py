"""Tokens as indices of a vocabulary, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from unidl import dtypes
from unidl.graph.symbolic import SymbolicTensor, TensorSpec
from unidl.layers.preprocessing._adapting import batches
from unidl.layers.preprocessing._encoding import check_output
from unidl.layers.preprocessing._host import HostLayer, host_values, is_text, strings_of
from unidl.layers.preprocessing._vocabulary import MODES, Vocabulary
from unidl.layers.preprocessing.hashing import output_dtype

__all__ = ["IntegerLookup", "StringLookup"]


class VocabularyLayer(HostLayer):
    """A layer with a vocabulary: learned from data by `adapt`, given, or set.

    Attributes:
        vocabulary: the table of tokens.
    """

    vocabulary: Vocabulary

    @property
    def takes_strings(self) -> bool:
        """Whether what comes in is text, and not indices or integers."""
        return self.vocabulary.text and not self.vocabulary.invert

    def _take_vocabulary(self, given: Any, idf_weights: Any) -> None:
        """What the constructor was given."""
        if idf_weights is not None and self.vocabulary.mode != "tf_idf":
            raise ValueError(
                f"{type(self).__name__}: `idf_weights` are for `output_mode='tf_idf'` only; `output_mode` is "
                f"{self.vocabulary.mode!r}."
            )
        self._given_vocabulary, self._given_idf = given, idf_weights
        if given is not None:
            self.vocabulary.set(given, idf_weights)

    @property
    def idf_weights(self) -> Any:
        """One weight for each index, those outside the vocabulary included; None but in mode "tf_idf"."""
        return self.vocabulary.idf

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Learn the vocabulary from data: the most frequent tokens come first.

        Args:
            data: an array, a list, or an iterable of batches (generator, `PyDataset`, `tf.data.Dataset`, `DataLoader`).
            steps: how many batches to take.
        """
        self.reset_state()
        for batch in batches(data, steps, self.path):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Count the tokens of a batch."""
        self.vocabulary.count_array(data)

    def finalize_state(self) -> None:
        """Make the vocabulary of what was counted."""
        if self.vocabulary.counts:
            self.vocabulary.learn()

    def reset_state(self) -> None:
        """Forget what was counted."""
        self.vocabulary.reset()

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The tokens by index; without the mask and the tokens that stand for unknown ones if so wished."""
        return self.vocabulary.listed(include_special_tokens)

    def vocabulary_size(self) -> int:
        """The number of indices: the tokens, and the special ones."""
        return self.vocabulary.size

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Take these tokens.

        Args:
            vocabulary: list or array of tokens, or the path of a file with one a line.
            idf_weights: one a token, for output mode "tf_idf".
        """
        self.vocabulary.set(vocabulary, idf_weights)

    def save_assets(self, dir_path: Any) -> None:
        """Write the vocabulary into a folder."""
        self.vocabulary.save(dir_path)

    def load_assets(self, dir_path: Any) -> None:
        """Read the vocabulary from a folder."""
        self.vocabulary.load(dir_path)

    def load_own_variables(self, store: Any) -> None:
        """There are none: the vocabulary is an asset."""

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The layer that `get_config` described; Keras says more, and a float where the layer puts out integers."""
        ignored = ("vocabulary_size",) if cls is IntegerLookup else ("vocabulary_size", "oov_method")
        config = {k: v for k, v in config.items() if k not in ignored}
        dtype = config.get("dtype")
        name = dtype["config"].get("name") if isinstance(dtype, dict) and "config" in dtype else dtype
        if config.get("output_mode", "int") == "int" and name in dtypes.FLOATS:
            config = {**config, "dtype": None}
        return super().from_config(config)

    def get_config(self) -> dict[str, Any]:
        vocabulary, idf = self._given_vocabulary, self._given_idf
        if isinstance(vocabulary, (str, Path)):
            vocabulary = idf = None  # the file may be gone: the tokens are an asset
        return {
            **super().get_config(),
            "vocabulary": None if vocabulary is None else self.vocabulary._plain(vocabulary),
            "idf_weights": None if idf is None else np.asarray(host_values(idf), np.float64).tolist(),
        }


class _Lookup(VocabularyLayer):
    """What the lookup layers share."""

    invert = False

    def output_spec(self, *specs: TensorSpec) -> TensorSpec:
        if self.invert:
            return TensorSpec(specs[0].shape, "string" if self.vocabulary.text else "int64")
        return TensorSpec(self.vocabulary.shape(specs[0].shape), self.compute_dtype)

    def compute(self, *arrays: np.ndarray) -> np.ndarray:
        (values,) = arrays
        table = self.vocabulary
        if self.invert:
            return table.inverted(values.astype(np.int64))
        tokens = strings_of(values) if table.text else [int(v) for v in values.ravel().tolist()]
        return table.encode(table.indices(tokens).reshape(np.shape(values)), self.compute_dtype)

    def compute_output_spec(self, inputs: Any) -> Any:
        spec = self.output_spec(TensorSpec(tuple(inputs.shape), "string"))
        return SymbolicTensor(spec.shape, spec.dtype)


class StringLookup(_Lookup):
    """Strings as indices of a vocabulary, or indices as strings.

    Args:
        max_tokens: most indices there may be; None: no limit.
        num_oov_indices: how many indices are for unknown strings, which are hashed to them if there are several.
        mask_token: what gets index 0 in output mode "int"; None: nothing.
        oov_token: what unknown strings are called.
        vocabulary: list, array, or path of a file with one token a line; None: call `adapt`.
        idf_weights: one for each token, for output mode "tf_idf".
        invert: whether to turn indices into strings.
        output_mode: "int"; "one_hot", a vector each; "multi_hot", "count" or "tf_idf", a vector for each sample.
        pad_to_max_tokens: whether vectors have `max_tokens` elements.
        encoding: of bytes; only UTF-8.
        salt: as in `Hashing`, for unknown strings.

    Example:
        >>> import unidl
        >>> layer = unidl.layers.StringLookup(vocabulary=["a", "b", "c"])
        >>> unidl.ops.convert_to_numpy(layer([["a", "c"], ["b", "z"]])).tolist()
        [[1, 3], [2, 0]]
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: Any = None,
        oov_token: str = "[UNK]",
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        salt: Any = None,
        **kwargs: Any,
    ) -> None:
        check_output("StringLookup", output_mode, MODES, sparse)
        check_encoding("StringLookup", encoding)
        kwargs["dtype"] = output_dtype("StringLookup", output_mode, kwargs.get("dtype"))
        super().__init__(name=name, **kwargs)
        self.invert = invert
        self.vocabulary = Vocabulary(
            self, True, max_tokens, num_oov_indices, mask_token, oov_token, output_mode, pad_to_max_tokens, invert, salt
        )
        self._take_vocabulary(vocabulary, idf_weights)

    def call(self, inputs: Any) -> Any:
        outputs = self.on_host(inputs)
        # Engines without strings: a list, as users of those engines know it.
        return outputs.tolist() if self.invert and is_text(outputs) else outputs


class IntegerLookup(_Lookup):
    """Integers as indices of a vocabulary, or indices as integers.

    Args:
        max_tokens: most indices there may be; None: no limit.
        num_oov_indices: how many indices are for unknown integers.
        mask_token: what gets index 0 in output mode "int"; None: nothing.
        oov_token: what unknown integers are called.
        vocabulary: list, array, or path of a file with one integer a line; None: call `adapt`.
        vocabulary_dtype: "int64".
        idf_weights, invert, output_mode, pad_to_max_tokens, salt: as in `StringLookup`.
        oov_method: how unknown integers choose among several indices: "floormod" or "farmhash".

    Example:
        >>> import unidl
        >>> layer = unidl.layers.IntegerLookup(vocabulary=[12, 36, 1138, 42])
        >>> unidl.ops.convert_to_numpy(layer([[12, 1138], [42, 7]])).tolist()
        [[1, 3], [4, 0]]
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: Any = None,
        oov_token: int = -1,
        vocabulary: Any = None,
        vocabulary_dtype: str = "int64",
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        salt: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_output("IntegerLookup", output_mode, MODES, sparse)
        if vocabulary_dtype != "int64":
            raise ValueError(f"IntegerLookup: `vocabulary_dtype` must be 'int64', not {vocabulary_dtype!r}.")
        if oov_method not in ("floormod", "farmhash"):
            raise ValueError(f"IntegerLookup: `oov_method` must be 'floormod' or 'farmhash', not {oov_method!r}.")
        kwargs["dtype"] = output_dtype("IntegerLookup", output_mode, kwargs.get("dtype"))
        super().__init__(name=name, **kwargs)
        self.invert = invert
        self.vocabulary = Vocabulary(
            self, False, max_tokens, num_oov_indices, mask_token, oov_token, output_mode, pad_to_max_tokens, invert,
            salt, oov_method,
        )  # fmt: skip
        self._take_vocabulary(vocabulary, idf_weights)

    def call(self, inputs: Any) -> Any:
        integers = type(inputs) is SymbolicTensor and (inputs.dtype in dtypes.INTEGERS or inputs.dtype == "bool")
        if integers and self.vocabulary.recordable:
            return self.vocabulary.recorded(inputs, self.compute_dtype)
        return self.on_host(inputs)


def check_encoding(layer: str, encoding: str) -> None:
    """Only UTF-8 is read."""
    if encoding.lower().replace("-", "") != "utf8":
        raise ValueError(f"{layer}: `encoding` must be 'utf-8', not {encoding!r}: decode other texts before.")
