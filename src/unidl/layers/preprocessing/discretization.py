"""Numbers as indices of ranges."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl.config import floatx
from unidl.graph.symbolic import SymbolicTensor
from unidl.layers._base import structure
from unidl.layers.preprocessing._adapting import batches, numbers
from unidl.layers.preprocessing._encoding import check_output, encode, encoded_shape
from unidl.layers.preprocessing._host import DataLayer

__all__ = ["Discretization"]


class Discretization(DataLayer):
    """The index of the range in which each number lies: range ``i`` is ``[boundaries[i-1], boundaries[i])``.

    Args:
        bin_boundaries: increasing numbers; or
        num_bins: how many ranges `adapt` shall find, with about as many numbers in each.
        epsilon: how coarse the sample of the data is that `adapt` keeps; smaller is more exact.
        output_mode: "int" (the index), "one_hot" (a vector each), "multi_hot" or "count" (a vector a sample: what lies
            along axis 1).

    Example:
        >>> import unidl
        >>> layer = unidl.layers.Discretization(bin_boundaries=[0.0, 1.0, 2.0])
        >>> unidl.ops.convert_to_numpy(layer([[-1.5, 1.0, 3.4, 0.5]])).tolist()
        [[0, 2, 3, 1]]
    """

    def __init__(
        self,
        bin_boundaries: Any = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.output_mode = check_output("Discretization", output_mode, ("int", "one_hot", "multi_hot", "count"), sparse)
        if num_bins is not None and num_bins < 0:
            raise ValueError(f"Discretization: `num_bins` must be at least 0, not {num_bins}.")
        if num_bins is not None and bin_boundaries is not None:
            raise ValueError(
                f"Discretization: Both `num_bins` and `bin_boundaries` were given ({num_bins}, {bin_boundaries}): "
                "boundaries are either known or learned."
            )
        if num_bins is None and bin_boundaries is None:
            raise ValueError("Discretization needs either `num_bins` or `bin_boundaries`.")
        self.bin_boundaries = None if bin_boundaries is None else [float(b) for b in bin_boundaries]
        self.num_bins = num_bins
        self.epsilon = epsilon
        self.sparse = sparse
        self.summary = np.zeros((2, 0), np.float32)

    @property
    def input_dtype(self) -> str:
        return floatx()

    @property
    def output_dtype(self) -> str:
        """int32 for indices, else the layer's dtype."""
        return "int32" if self.output_mode == "int" else self.compute_dtype

    @property
    def _depth(self) -> int:
        return int(self.num_bins or 0) if self.bin_boundaries is None else len(self.bin_boundaries) + 1

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Learn the boundaries from (at most `steps`) batches of `data`, an array or an iterable of arrays."""
        if self.num_bins is None:
            raise ValueError(f"Layer {self.path!r} cannot adapt: its `bin_boundaries` were given; use `num_bins`.")
        self.reset_state()
        for batch in batches(data, steps, self.path):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Add a batch to the sample of the data."""
        self.summary = merged(self.summary, sample(numbers(data).astype(np.float32), self.epsilon), self.epsilon)

    def finalize_state(self) -> None:
        """Make boundaries of the sample."""
        if self.num_bins is not None:
            self.bin_boundaries = compressed(self.summary, 1.0 / self.num_bins)[0, :-1].tolist()
            structure["version"] += 1

    def reset_state(self) -> None:
        """Forget the data seen."""
        self.summary = np.zeros((2, 0), np.float32)

    def save_own_variables(self, store: Any) -> None:
        if self.num_bins is not None and self.summary.shape[1]:
            store["0"] = self.summary

    def load_own_variables(self, store: Any) -> None:
        if len(store.keys()) == 1:
            self.summary = np.asarray(store["0"])
            if self.summary.shape[1]:
                self.finalize_state()

    def call(self, inputs: Any) -> Any:
        if self.bin_boundaries is None:
            raise ValueError(
                f"Layer {self.path!r} has no boundaries. You need to pass `bin_boundaries`, or to call adapt(data) "
                "before."
            )
        if not self.bin_boundaries:
            indices = ops.zeros_like(inputs, "int32")
        else:
            edges = np.asarray(self.bin_boundaries, "float32")
            indices = ops.digitize(ops.cast(inputs, "float32"), edges)
        return encode(indices, self.output_mode, self._depth, self.output_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return encoded_shape(tuple(input_shape), self.output_mode, self._depth)

    def compute_output_spec(self, inputs: Any) -> Any:
        return SymbolicTensor(self.compute_output_shape(inputs.shape), self.output_dtype)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "bin_boundaries": self.bin_boundaries}
        config.pop("trainable", None)  # which Keras's layer does not take
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """A new layer; one that has learned its boundaries has them."""
        config = {k: v for k, v in config.items() if k != "trainable"}
        if config.get("num_bins") is None or config.get("bin_boundaries") is None:
            return super().from_config(config)
        layer = super().from_config({**config, "bin_boundaries": None})
        layer.bin_boundaries = config["bin_boundaries"]
        return layer


# A sample is an array of two rows: sorted numbers, and how many numbers each stands for.


def sample(values: np.ndarray, epsilon: float) -> np.ndarray:
    """About ``1 / epsilon`` evenly spread numbers of the sorted data."""
    values = np.sort(values.ravel())
    gap = values.size * epsilon
    step = max(gap, 1.0)
    kept = values[int(gap) :: int(step)]
    return np.stack([kept, np.full_like(kept, step)])


def merged(first: np.ndarray, second: np.ndarray, epsilon: float) -> np.ndarray:
    """The sample of both data."""
    both = np.concatenate([second, first], axis=1)
    return compressed(both[:, np.argsort(both[0])], epsilon)


def compressed(summary: np.ndarray, epsilon: float) -> np.ndarray:
    """The sample's quantiles at multiples of `epsilon`, if it has more numbers than that."""
    if summary.shape[1] * epsilon < 1:
        return summary
    reached = np.cumsum(summary[1])
    shares = epsilon + np.arange(0.0, 1.0, epsilon)
    numbers_at = np.interp(shares, reached / reached[-1], summary[0])
    counts_at = np.interp(shares, reached / reached[-1], reached)
    return np.stack([numbers_at, np.diff(counts_at, prepend=0)]).astype(np.float32)
