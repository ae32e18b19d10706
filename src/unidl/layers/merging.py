"""Layers that join several tensors into one, and the same as functions."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.backend.attributes import require
from unidl.layers._base import Layer
from unidl.ops._declare import axis_index

__all__ = [
    "Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract", "add", "average",
    "concatenate", "dot", "maximum", "minimum", "multiply", "subtract",
]  # fmt: skip


def _several(shape: Any) -> bool:
    """Whether this is a list of shapes, and not one."""
    return isinstance(shape, (list, tuple)) and all(isinstance(s, (tuple, list)) for s in shape)


class Merge(Layer):
    """What the layers that combine tensors element by element share.

    Shapes broadcast. A tensor of fewer dimensions gets new ones of size 1 after the batch.
    """

    least = 1

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.makes_mask = False

    def build(self, input_shape: Any) -> None:
        require(
            _several(input_shape) and len(input_shape) >= self.least,
            f"takes a list of at least {self.least} tensors, but an input of shape {input_shape} came.",
        )

    def call(self, inputs: Any) -> Any:
        return self.merge(self._of_one_rank(inputs))

    @staticmethod
    def _of_one_rank(inputs: Any) -> Any:
        ranks = {len(x.shape) for x in inputs}
        if len(ranks) == 1:
            return inputs
        most = max(ranks)
        return [
            ops.expand_dims(x, tuple(range(1, 1 + most - len(x.shape)))) if len(x.shape) < most else x for x in inputs
        ]

    def merge(self, inputs: Any) -> Any:
        raise NotImplementedError

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """An element is left out if all tensors leave it out; a tensor without a mask leaves out none."""
        if previous_mask is None:
            return None
        _check_masks(inputs, previous_mask)
        if not previous_mask or any(mask is None for mask in previous_mask):
            return None
        merged = previous_mask[0]
        for mask in previous_mask[1:]:
            merged = ops.logical_or(merged, mask)
        return merged


def _check_masks(inputs: Any, masks: Any) -> None:
    for name, value in (("mask", masks), ("inputs", inputs)):
        require(isinstance(value, (list, tuple)), f"`{name}` should be a list, one element for each tensor.")
    require(
        len(masks) == len(inputs),
        f"`mask` and `inputs` should have the same length, but have {len(masks)} and {len(inputs)}.",
    )


class Add(Merge):
    """The sum of a list of tensors."""

    def merge(self, inputs: Any) -> Any:
        total = inputs[0]
        for x in inputs[1:]:
            total = ops.add(total, x)
        return total


class Subtract(Merge):
    """The first of two tensors minus the second."""

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        require(len(input_shape) == 2, f"the layer subtracts exactly 2 inputs, but {len(input_shape)} came.")

    def merge(self, inputs: Any) -> Any:
        return ops.subtract(inputs[0], inputs[1])


class _Masked(Merge):
    """What layers share to which a masked element is as if it were not there."""

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if not isinstance(mask, (list, tuple)) or all(m is None for m in mask):
            return super().call(inputs)
        inputs = self._of_one_rank(inputs)
        result, counts = inputs[0], self._wide(mask[0], inputs[0])
        for x, m in zip(inputs[1:], mask[1:], strict=True):
            own = self._wide(m, x)
            both = self.pair(result, x)
            if own is not None:
                # Where neither counts the outcome is masked, too, and of no matter.
                both = ops.where(own, both, result)
            if counts is not None:
                both = ops.where(counts, both, x)
            counts = None if counts is None or own is None else ops.logical_or(counts, own)
            result = both
        return result

    @staticmethod
    def _wide(mask: Any, x: Any) -> Any:
        if mask is None:
            return None
        missing = len(x.shape) - len(mask.shape)
        return ops.expand_dims(mask, tuple(range(-missing, 0))) if missing else mask

    def pair(self, x: Any, y: Any) -> Any:
        raise NotImplementedError

    def merge(self, inputs: Any) -> Any:
        result = inputs[0]
        for x in inputs[1:]:
            result = self.pair(result, x)
        return result


class Multiply(_Masked):
    """The product of a list of tensors, element by element. Masked elements do not count."""

    def pair(self, x: Any, y: Any) -> Any:
        return ops.multiply(x, y)


class Average(Merge):
    """The mean of a list of tensors, element by element."""

    def merge(self, inputs: Any) -> Any:
        total = inputs[0]
        for x in inputs[1:]:
            total = ops.add(total, x)
        return ops.divide(total, float(len(inputs)))


class Maximum(_Masked):
    """The largest of a list of tensors, element by element. Masked elements do not count."""

    def pair(self, x: Any, y: Any) -> Any:
        return ops.maximum(x, y)


class Minimum(_Masked):
    """The smallest of a list of tensors, element by element. Masked elements do not count."""

    def pair(self, x: Any, y: Any) -> Any:
        return ops.minimum(x, y)


class Concatenate(Merge):
    """A list of tensors one after the other along `axis`; all other dimensions must agree."""

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        shapes = [tuple(s) for s in input_shape]
        rank = len(shapes[0])
        same = all(len(s) == rank for s in shapes)
        axis = axis_index(self.axis, rank) if same else 0
        if same:
            same = all(i == axis or len(set(sizes) - {None}) <= 1 for i, sizes in enumerate(zip(*shapes, strict=True)))
        require(
            same,
            f"requires inputs with matching shapes, axis {self.axis} aside, but {shapes} came.",
        )

    def call(self, inputs: Any) -> Any:
        return ops.concatenate(inputs, self.axis)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        if previous_mask is None:
            return None
        _check_masks(inputs, previous_mask)
        if all(mask is None for mask in previous_mask):
            return None
        masks = []
        for x, mask in zip(inputs, previous_mask, strict=True):
            if mask is None:
                masks.append(ops.ones_like(x, "bool"))
            elif missing := len(x.shape) - len(mask.shape):
                wide = ops.expand_dims(mask, tuple(range(-missing, 0)))
                masks.append(ops.logical_and(ops.ones_like(x, "bool"), wide))
            else:
                masks.append(ops.cast(mask, "bool"))
        return ops.any(ops.concatenate(masks, self.axis), -1)


class Dot(Layer):
    """For each element of the batch, the product of two tensors summed over one axis of each.

    Args:
        axes: the axis of both, or a pair (one of each); the batch, axis 0, cannot be one.
        normalize: make the vectors along `axes` of length 1 first, so that the result is the cosine.

    ``Dot((2, 1))`` of (batch, a, n) and (batch, n, b) is (batch, a, b); of two vectors it is (batch, 1).
    """

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        pair = (axes, axes) if isinstance(axes, int) else tuple(axes) if isinstance(axes, (tuple, list)) else ()
        if len(pair) != 2 or not all(isinstance(a, int) for a in pair):
            raise ValueError(f"Dot: `axes` must be an int or a pair of ints, not {axes!r}.")
        if 0 in pair:
            raise ValueError(f"Dot: `axes` {axes!r} names axis 0, the batch, which stays.")
        self.axes = axes
        self.normalize = normalize
        self._pair = pair
        self.supports_masking = True
        self.makes_mask = False

    def build(self, input_shape: Any) -> None:
        require(
            _several(input_shape) and len(input_shape) == 2,
            f"takes a list of two tensors, but an input of shape {input_shape} came.",
        )
        for shape, axis in zip(input_shape, self._pair, strict=True):
            require(axis_index(axis, len(shape), "axes") > 0, f"axis {axis} of {shape} is the batch, which stays.")
        sizes = [s[a] for s, a in zip(input_shape, self._pair, strict=True)]
        require(
            None in sizes or sizes[0] == sizes[1],
            f"axes {self._pair} of shapes {input_shape} have sizes {sizes}, which differ.",
        )

    def call(self, inputs: Any) -> Any:
        a, b = inputs
        i, j = self._pair[0] % len(a.shape), self._pair[1] % len(b.shape)
        if self.normalize:
            a, b = _unit(a, i), _unit(b, j)
        letters = iter("cdefghijklmnop")
        left = ["b" if k == 0 else "a" if k == i else next(letters) for k in range(len(a.shape))]
        right = ["b" if k == 0 else "a" if k == j else next(letters) for k in range(len(b.shape))]
        out = ["b", *(c for c in left + right if c not in "ab")]
        result = ops.einsum(f"{''.join(left)},{''.join(right)}->{''.join(out)}", a, b)
        return ops.expand_dims(result, -1) if len(out) == 1 else result

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None


def _unit(x: Any, axis: int) -> Any:
    squares = ops.sum(ops.square(x), axis, True)
    return ops.multiply(x, ops.rsqrt(ops.maximum(squares, 1e-12)))


def add(inputs: Any, **kwargs: Any) -> Any:
    """`Add` as a function."""
    return Add(**kwargs)(inputs)


def subtract(inputs: Any, **kwargs: Any) -> Any:
    """`Subtract` as a function."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Any, **kwargs: Any) -> Any:
    """`Multiply` as a function."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Any, **kwargs: Any) -> Any:
    """`Average` as a function."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Any, **kwargs: Any) -> Any:
    """`Maximum` as a function."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Any, **kwargs: Any) -> Any:
    """`Minimum` as a function."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """`Concatenate` as a function."""
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Any, axes: Any = -1, **kwargs: Any) -> Any:
    """`Dot` as a function."""
    return Dot(axes=axes, **kwargs)(inputs)
