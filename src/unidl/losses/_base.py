"""`Loss`: a function of targets and predictions, weighted and reduced to a scalar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl import dtypes, ops, tree
from unidl._objects import Configurable, snake_case
from unidl.losses._shapes import aligned, cast, reduced, same_rank
from unidl.saving.objects import plain

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


class Loss(Configurable):
    """Base of losses: subclasses define ``call(y_true, y_pred)``, one number for each sample.

    Args:
        name: shown in messages.
        reduction: "sum_over_batch_size" (divided by the number of values; "mean" is the same), "sum",
            "mean_with_sample_weight" (divided by the sum of the weights), "none" or None (the values as they are).
        dtype: dtype of the computation, or a dtype policy; None: the default float. Targets and
            predictions are cast to it.
    """

    #: Whether targets are cast to the loss's dtype as well; integers may not survive that.
    _casts_targets = True

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None
    ) -> None:
        if reduction not in REDUCTIONS:
            raise ValueError(
                f"Invalid value for argument `reduction`: {reduction!r}. There are {', '.join(map(repr, REDUCTIONS))}."
            )
        self.name = name or snake_case(type(self).__name__)
        self.reduction = reduction
        self._dtype = dtypes.dtype_name(getattr(dtype, "compute_dtype", dtype))
        self._dtype_given = dtype is not None

    @property
    def dtype(self) -> str:
        """The dtype of the computation."""
        return self._dtype

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One number for each sample."""
        raise NotImplementedError(f"{type(self).__name__} must define call(y_true, y_pred).")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss of a batch.

        A mask that comes with `y_pred` leaves out what it hides; `sample_weight` has the leading
        dimensions of the values of `call`.
        """
        from unidl.layers._calling import mask_of

        mask = mask_of(y_pred)
        y_pred = self._prepared(y_pred, self._dtype)
        y_true = self._prepared(y_true, self._dtype if self._casts_targets else None)
        values = self.call(y_true, y_pred)
        values = cast(values, self._dtype)
        own = self._visible(y_true, values)
        if own is not None and mask is not None:
            mask, own = aligned(mask, own)
            mask = ops.logical_and(mask, own)
        return reduced(values, sample_weight, own if mask is None else mask, self.reduction)

    def _prepared(self, value: Any, dtype: str | None) -> Any:
        """A tensor of this dtype (None: as it is), or a structure of such."""
        if isinstance(value, (list, tuple, dict)) and not all(
            isinstance(leaf, (int, float, bool, str)) for leaf in tree.flatten(value)
        ):
            return tree.map_structure(lambda leaf: self._prepared(leaf, dtype), value)
        return ops.convert_to_tensor(value) if dtype is None else cast(value, dtype)

    def _visible(self, y_true: Any, values: Any) -> Any:
        """Which of the values count, as a mask; None for all."""
        return None

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data."""
        config = {"name": self.name, "reduction": self.reduction}
        return {**config, "dtype": self._dtype} if self._dtype_given else config


class LossFunctionWrapper(Loss):
    """A loss from a function ``fn(y_true, y_pred, **kwargs)``.

    A last dimension of size 1 that only one of targets and predictions has does not matter.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name or getattr(fn, "__name__", None), reduction, dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """What the function gives."""
        if not isinstance(y_true, (list, tuple, dict)) and not isinstance(y_pred, (list, tuple, dict)):
            y_true, y_pred = same_rank(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data."""
        return {**super().get_config(), "fn": plain(self.fn, "fn"), **plain(self._fn_kwargs)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The object that `get_config` described."""
        if isinstance(config.get("fn"), (str, dict)):
            from unidl import losses

            config = {**config, "fn": losses.deserialize(config["fn"], custom_objects)}
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self._fn_kwargs}>"


class Fixed(LossFunctionWrapper):
    """Base of losses of one function: its arguments are attributes, and all of the configuration."""

    def __init__(self, fn: Callable[..., Any], reduction: str | None, name: str, dtype: Any, **kwargs: Any) -> None:
        super().__init__(fn, reduction, name, dtype, **kwargs)
        vars(self).update(kwargs)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data."""
        return {**Loss.get_config(self), **plain(self._fn_kwargs)}
