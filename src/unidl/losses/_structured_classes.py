"""Losses of regions, embeddings and sequences, as objects."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.losses import _structured as functions
from unidl.losses._base import Fixed


class Dice(Fixed):
    """One minus twice the overlap in proportion to both sizes."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "dice", axis: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(functions.dice, reduction, name, dtype, axis=axis)


class Tversky(Fixed):
    """`Dice` with missed parts weighed by `alpha` and wrongly found ones by `beta`."""

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str = "tversky",
        axis: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(functions.tversky, reduction, name, dtype, alpha=alpha, beta=beta, axis=axis)


class Circle(Fixed):
    """Circle loss of embeddings of length 1: near those of the same class, far from the others.

    A mean is over the samples that have both, and of which something is left to be learnt.
    """

    _casts_targets = False

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str = "circle",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            functions.circle, reduction, name, dtype, gamma=gamma, margin=margin, remove_diagonal=remove_diagonal
        )

    def _visible(self, y_true: Any, values: Any) -> Any:
        return ops.greater(values, 0.0)


class CTC(Fixed):
    """Connectionist temporal classification of sequences padded with 0, from logits."""

    _casts_targets = False

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "ctc", dtype: Any = None) -> None:
        super().__init__(functions.ctc, reduction, name, dtype)
