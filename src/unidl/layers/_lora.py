"""LoRA: training a product of two thin matrices beside a large weight that stays as it is."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl._state import state
from unidl.backend import active
from unidl.layers._base import Layer, structure


class LowRank(Layer):
    """A layer with one large weight, to which a product of low rank can be added (Hu et al., arXiv:2106.09685).

    The effective weight is ``W + lora_alpha / rank * A @ B``: W (…, in, out) is frozen, A is (…, in, rank) and
    B (rank, out). Subclasses make W with `_add_main`, whose regularizer A and B share.

    Attributes:
        lora_rank: `rank`; None as long as there is no such product.
        lora_alpha: strength of the product; by default the rank, which makes its factor 1.
        lora_enabled: whether A and B are there.
    """

    _main_name = "kernel"
    lora_enabled = False

    def _set_lora(self, rank: int | None, alpha: Any, quantization_config: Any = None) -> None:
        if quantization_config is not None or self.quantization_mode is not None:
            self.quantize(self.quantization_mode, config=quantization_config)
        if rank is not None:
            self._check_lora(rank)
        self.lora_rank = rank
        self.lora_alpha = rank if alpha is None else alpha
        setattr(self, f"_{self._main_name}", None)
        self._factors: tuple[Any, Any] | None = None

    def _add_main(self, shape: tuple[int, ...], initializer: Any, regularizer: Any, constraint: Any) -> None:
        """Make W, and A and B if the constructor was given a rank."""
        if self.quantization_mode is not None:
            self.quantize(self.quantization_mode)
        main = self.add_weight(shape, initializer, regularizer=regularizer, constraint=constraint, name=self._main_name)
        # PyTorch would register it under the attribute's name; it is adopted under its own.
        object.__setattr__(self, f"_{self._main_name}", main)

    def _finish_build(self) -> None:
        if self.lora_rank is not None and not self.lora_enabled:
            self._add_factors(self.lora_rank, "he_uniform", "zeros")
        super()._finish_build()

    def _effective(self) -> Any:
        """W with the product, or W itself if there is none; None before there is one."""
        main = self._main
        if self._factors is None:
            return main
        a, b = self._factors
        product = ops.multiply(ops.matmul(a, b), self._lora_scale)
        # Under a mixed policy the ops of a call read W in the dtype of computation.
        dtype = state.autocast if state.autocast is not None and main.autocast else _dtype(main)
        return ops.add(main, ops.cast(product, dtype))

    @property
    def _main(self) -> Any:
        return getattr(self, f"_{self._main_name}")

    @property
    def _lora_scale(self) -> float:
        return float(self.lora_alpha) / int(self.lora_rank)  # type: ignore[arg-type]

    def _lora_factors(self, like: Any) -> tuple[Any, Any]:
        """A and B in the dtype of the tensor `like`."""
        assert self._factors is not None
        dtype = _dtype(like)
        a, b = self._factors
        return ops.cast(a, dtype), ops.cast(b, dtype)

    def enable_lora(
        self, rank: int, lora_alpha: Any = None, a_initializer: Any = "he_uniform", b_initializer: Any = "zeros"
    ) -> None:
        """Freeze the weight and train a product of rank `rank` beside it. Once, on a built layer.

        Args:
            rank: size between the two factors.
            lora_alpha: strength; the product is multiplied by ``lora_alpha / rank``. None: `rank`.
            a_initializer, b_initializer: of the factors. With zeros in one the layer computes what it did.

        Raises:
            ValueError: if the layer is not built, has a constraint on the weight, or has LoRA already.
        """
        self._check_lora(rank)
        if not self.built:
            raise ValueError(f"Layer {self.path!r} isn't built: call it or build(shape) before enable_lora.")
        if self.lora_enabled:
            raise ValueError(f"Layer {self.path!r}: lora is already enabled, with rank {self.lora_rank}.")
        self.lora_rank = rank
        self.lora_alpha = rank if lora_alpha is None else lora_alpha
        self._add_factors(rank, a_initializer, b_initializer)
        self._finish_build()
        structure["version"] += 1

    def _check_lora(self, rank: Any) -> None:
        if not isinstance(rank, int) or isinstance(rank, bool) or rank <= 0:
            raise ValueError(f"{type(self).__name__}: the rank of LoRA must be a positive integer, not {rank!r}.")
        if getattr(self, f"{self._main_name}_constraint", None) is not None:
            what = "embedding" if self._main_name == "embeddings" else self._main_name
            raise ValueError(
                f"Layer {self.path!r}: LoRA is incompatible with {what} constraints, "
                f"which would see only a part of the weight. Leave out `{self._main_name}_constraint`."
            )

    def _add_factors(self, rank: int, a_initializer: Any, b_initializer: Any) -> None:
        from unidl import initializers

        shape = tuple(active.shape(self._main))
        regularizer = getattr(self, f"{self._main_name}_regularizer", None)
        # They are small and change in small steps: in float32 whatever the weight is kept in.
        made = [
            self.add_weight(
                size,
                initializers.get(initializer),
                "float32",
                regularizer=regularizer,
                name=f"lora_{self._main_name}_{x}",
            )
            for x, size, initializer in (
                ("a", (*shape[:-1], rank), a_initializer),
                ("b", (rank, shape[-1]), b_initializer),
            )
        ]
        self._factors = (made[0], made[1])
        setattr(self, f"lora_{self._main_name}_a", made[0])
        setattr(self, f"lora_{self._main_name}_b", made[1])
        self._main._wants_training = False  # also when the layer is frozen and thawed
        self._main._listed_first = True
        self._main.trainable = False
        self.lora_enabled = True

    # -- files ------------------------------------------------------------------------------

    def _stored(self) -> list[Any]:
        """The variables that files hold: all but the factors."""
        factors = {id(v) for v in self._factors or ()}
        return [v for v in self._own_variables() if id(v) not in factors]

    def _stored_value(self, variable: Any, read: Any = active.to_numpy) -> Any:
        """The weight goes into files with the product merged into it, for layers without LoRA as well."""
        return read(self._effective() if variable is self._main else variable)

    def _after_loading(self) -> None:
        """What was loaded is all of the weight: the product starts from 0 again."""
        if self._factors is not None:
            b = self._factors[1]
            b.assign(ops.zeros_like(b))

    @property
    def variable_serialization_spec(self) -> dict[Any, list[str]]:
        """The names of the weights in the order of `save_own_variables`, for each way of quantizing: None only."""
        return {None: [v.name for v in self._stored()]}

    # -- configuration ----------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "lora_rank": self.lora_rank}
        config["lora_alpha"] = self.lora_alpha if self.lora_enabled or self.lora_rank is not None else None
        return config


def _dtype(tensor: Any) -> str:
    from unidl.ops._bind import dtype_of

    return dtype_of(tensor)
