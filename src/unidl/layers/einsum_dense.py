"""EinsumDense: a dense layer whose product is written in Einstein's notation."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

from unidl import ops
from unidl.errors import OpError
from unidl.initializers import VarianceScaling
from unidl.layers._common import activation_of, leading, resolve, weight_settings
from unidl.layers._lora import LowRank

__all__ = ["EinsumDense"]

Shape = tuple["int | None", ...]


class Einsum(NamedTuple):
    """An equation ``inputs,kernel->outputs``, the ``...`` cut off.

    Attributes:
        inputs, kernel, outputs: letters.
        dots: where ``...`` is in inputs and outputs: "left", "right", or "".
    """

    inputs: str
    kernel: str
    outputs: str
    dots: str

    @classmethod
    def parse(cls, equation: str) -> Einsum:
        """Read an equation.

        Raises:
            ValueError: if it has another form than ``ab,bc->ac``, ``...b,bc->...c`` or ``ab...,bc->ac...``.
        """
        match = re.fullmatch(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?", str(equation))
        if match:
            before, inputs, after, kernel, out_before, outputs, out_after = match.groups()
            if (before, after) == (out_before, out_after) and not (before and after):
                return cls(inputs, kernel, outputs, "left" if before else "right" if after else "")
        raise ValueError(
            f"EinsumDense: invalid `equation` {equation!r}. It has the form 'ab,bc->ac', "
            "with '...' on the same side of inputs and outputs, or nowhere."
        )

    @property
    def contracted(self) -> str:
        """The letters that are summed over, if they are the end of inputs and the start of kernel."""
        shared = len(self.inputs) - len(_common_start(self.inputs, self.outputs))
        letters = self.inputs[len(self.inputs) - shared :]
        rest = self.kernel[shared:]
        fits = self.kernel[:shared] == letters and self.outputs == self.inputs[: len(self.inputs) - shared] + rest
        return letters if fits and shared and self.dots != "right" else ""

    def sizes(self, input_shape: Shape, output_shape: Shape) -> dict[str, int | None]:
        """The size of each letter; `output_shape` is without the batch dimension.

        Raises:
            ValueError: if the shapes contradict each other.
        """
        found: dict[str, int | None] = {}
        inputs = self.inputs[::-1] if self.dots == "left" else self.inputs
        shape = input_shape[::-1] if self.dots == "left" else input_shape
        found.update(zip(inputs, shape, strict=False))
        if self.dots == "left":
            pairs = list(zip(self.outputs[::-1], output_shape[::-1], strict=False))
        else:
            pairs = list(zip(self.outputs[1:], output_shape, strict=False))
        for letter, size in pairs:
            if size is not None and found.get(letter) not in (None, size):
                raise ValueError(
                    f"EinsumDense: `output_shape` {output_shape} says {size} for {letter!r}, "
                    f"the input of shape {input_shape} has {found[letter]}."
                )
            found[letter] = found.get(letter) if size is None else size
        if unknown := [c for c in (*self.kernel, *self.outputs) if c not in found]:
            raise ValueError(
                f"EinsumDense: the size of {unknown[0]!r} is neither in the input of shape {input_shape} "
                f"nor in `output_shape` {output_shape}."
            )
        return found


def _common_start(a: str, b: str) -> str:
    n = 0
    while n < min(len(a), len(b)) and a[n] == b[n]:
        n += 1
    return a[:n]


class EinsumDense(LowRank):
    """``activation(einsum(equation, inputs, kernel) + bias)``.

    Args:
        equation: e.g. ``"abc,cd->abd"``; ``...`` may begin or end inputs and outputs.
        output_shape: shape of the output without the batch dimension (and without what ``...`` stands for);
            None where it is that of the input.
        activation: function or name; None: none.
        bias_axes: letters of the output that the bias has; None: no bias.
        lora_rank, lora_alpha: train a product of this rank beside a frozen kernel; see `enable_lora`.

    Weights: kernel, with a dimension for each of its letters; bias, from the first of its letters to the end of the
    output, with size 1 where it has no letter.

    Example:
        >>> import unidl
        >>> heads = unidl.layers.EinsumDense("btf,fhd->bthd", (None, 4, 8), bias_axes="hd")
        >>> tuple(heads(unidl.ops.ones((2, 5, 3))).shape), tuple(heads.kernel.shape), tuple(heads.bias.shape)
        ((2, 5, 4, 8), (3, 4, 8), (4, 8))
    """

    def __init__(
        self,
        equation: str,
        output_shape: Any,
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: Any = None,
        gptq_unpacked_column_size: Any = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.equation = equation
        self._einsum = Einsum.parse(equation)
        self.partial_output_shape: Shape = (
            tuple(output_shape) if isinstance(output_shape, (tuple, list)) else (output_shape,)
        )
        self.bias_axes = bias_axes or None
        if unknown := set(bias_axes or "") - set(self._einsum.outputs):
            raise ValueError(
                f"EinsumDense: `bias_axes` {bias_axes!r} names {sorted(unknown)}, "
                f"which the output of {equation!r} has not."
            )
        self.activation = activation_of(activation)
        self.bias: Any = None
        resolve(self, **weight_settings(locals()))
        self._set_lora(
            lora_rank, lora_alpha, gptq_unpacked_column_size if quantization_config is None else quantization_config
        )

    @property
    def kernel(self) -> Any:
        """The weight of the product, with LoRA's product; None before `build`."""
        return self._effective()

    def build(self, input_shape: Any) -> None:
        einsum, shape = self._einsum, tuple(input_shape)
        sizes = einsum.sizes(shape, self.partial_output_shape)
        kernel_shape = self._known(einsum.kernel, sizes, "kernel", shape)
        initializer = self.kernel_initializer
        if isinstance(initializer, VarianceScaling):
            places = range(len(kernel_shape))
            outputs = [i for i in places if einsum.kernel[i] in einsum.outputs]
            initializer = initializer.along([i for i in places if i not in outputs], outputs)
        self._add_main(kernel_shape, initializer, self.kernel_regularizer, self.kernel_constraint)
        if self.bias_axes is not None:
            first = min(einsum.outputs.index(c) for c in self.bias_axes)
            letters = einsum.outputs[first:]
            bias_sizes = {c: sizes[c] if c in self.bias_axes else 1 for c in letters}
            after = (1,) * (len(shape) - len(einsum.inputs)) if einsum.dots == "right" else ()
            self.bias = self.add_weight(
                self._known(letters, bias_sizes, "bias", shape) + after,
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )
        # Most equations are one product of matrices.
        n = len(einsum.contracted)
        self._summed = n
        self._new = kernel_shape[n:]
        self._matrix = (math.prod(kernel_shape[:n]), math.prod(self._new)) if n else None
        self._flat_bias = (
            bool(n)
            and self.bias is not None
            and einsum.kernel[n:] == "".join(c for c in einsum.outputs if c in (self.bias_axes or ""))
        )

    def _known(self, letters: str, sizes: dict[str, int | None], what: str, shape: Shape) -> tuple[int, ...]:
        for c in letters:
            if sizes[c] is None:
                raise OpError(
                    f"needs to know the size of {c!r} in {self.equation!r} for its {what}, which is unknown in an "
                    f"input of shape {shape} and in `output_shape` {self.partial_output_shape}."
                )
        return tuple(int(sizes[c]) for c in letters)  # type: ignore[arg-type]

    def call(self, inputs: Any) -> Any:
        rank, letters = len(inputs.shape), len(self._einsum.inputs)
        if self._matrix is None or rank < letters or (rank > letters and not self._einsum.dots):
            x = ops.einsum(self.equation, inputs, self.kernel)
            bias = self.bias
        else:
            x, bias = self._product(inputs), None if self._flat_bias else self.bias
        if bias is not None:
            x = ops.add(x, bias)
        return self._activated(self.activation, x)

    def _product(self, inputs: Any) -> Any:
        """The product as one of matrices, with the bias if that fits."""
        width, height = self._matrix or (0, 0)
        kept = len(inputs.shape) - self._summed
        sizes = [leading(inputs, i) for i in range(kept)]
        rows = inputs if self._summed == 1 else ops.reshape(inputs, (*sizes, width))
        bias = ops.reshape(self.bias, (height,)) if self._flat_bias else None
        factored = self._factors is not None and self._new
        kernel = self._kernel if factored else self.kernel
        x = ops.linear(rows, ops.reshape(kernel, (width, height)), bias)
        if factored:
            a, b = self._lora_factors(x)
            rank = int(self.lora_rank or 0)
            thin = ops.matmul(rows, ops.reshape(a, (width, -1)))
            if len(self._new) > 1:
                thin = ops.reshape(thin, (*sizes, height // self._new[-1], rank))
            update = ops.multiply(ops.matmul(thin, b), self._lora_scale)
            x = ops.add(x, ops.reshape(update, (*sizes, height)) if len(self._new) > 1 else update)
        return x if len(self._new) == 1 else ops.reshape(x, (*sizes, *self._new))

    def compute_output_shape(self, input_shape: Any) -> Any:
        einsum, shape = self._einsum, tuple(input_shape)
        sizes = einsum.sizes(shape, self.partial_output_shape)
        outputs = tuple(sizes[c] for c in einsum.outputs)
        extra = len(shape) - len(einsum.inputs)
        if einsum.dots == "left":
            return (*shape[:extra], *outputs)
        return (*outputs, *shape[len(shape) - extra :]) if einsum.dots == "right" else outputs
