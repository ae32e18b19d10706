"""Images moved, turned, tilted and bent."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.ops._bind import dtype_of
from unidl.ops._declare import OpError, Tensor, composite, need_dtype, need_rank, require
from unidl.ops.image._common import as_before, channels_last, image_axes, number, one_of, real
from unidl.ops.image.filters import blurred
from unidl.ops.image.sampling import sampled

_INTERPOLATIONS = ("nearest", "bilinear")
_FILL_MODES = ("constant", "nearest", "wrap", "reflect")


def _grid(images: Any, dtype: str) -> tuple[Any, Any]:
    """The coordinates of the pixels of (batch, height, width, channels): y (1, height, 1) and x (1, 1, width)."""
    height, width = ops.shape(images)[1:3]
    y, x = (ops.cast(ops.arange(n, None, None, "int32"), dtype) for n in (height, width))
    return ops.reshape(y, (1, -1, 1)), ops.reshape(x, (1, 1, -1))


def _check(images: Any, count: int | None, what: str) -> None:
    """That there is one of `what`, or one for each of the images, which are not empty."""
    batch = images.shape[0] if len(images.shape) == 4 else 1
    require(count is None or batch is None or count in (1, batch), f"`{what}` has {count} entries for {batch} images.")
    spatial = list(images.shape)[-3:]
    require(0 not in spatial, f"`images` has no pixels (shape {list(images.shape)}).")


def _projected(images: Any, rows: list[list[Any]], interpolation: str, fill_mode: str, fill_value: Any) -> Any:
    """`images` at the places that a matrix for each image (rows of columns of shape (batch or 1,)) gives."""
    y, x = _grid(images, dtype_of(rows[0][0]))

    def combined(row: list[Any]) -> Any:
        a, b, c = (ops.reshape(v, (-1, 1, 1)) for v in row)
        return ops.add(ops.add(ops.multiply(a, x), ops.multiply(b, y)), c)

    x_in, y_in, scale = (combined(row) for row in rows)
    return sampled(
        images, ops.divide(y_in, scale), ops.divide(x_in, scale), interpolation, fill_mode, fill_value, "away"
    )


@composite
def affine_transform(
    images: Tensor,
    transform: Tensor,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: Any = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images whose pixel (x, y) is taken from ``((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k)``.

    Args:
        images: one image or a batch.
        transform: (8,) or (batch, 8): ``[a0, a1, a2, b0, b1, b2, c0, c1]``, with ``k = c0 x + c1 y + 1``. There is no
            gradient by it.
        interpolation: "nearest" (halves away from zero) or "bilinear".
        fill_mode: "constant", "nearest", "wrap" or "reflect", as in `map_coordinates`.

    Returns:
        Shape and dtype of `images`; integers are rounded.

    Example:
        >>> from unidl import ops
        >>> images = ops.reshape(ops.arange(4.0), (1, 4, 1))
        >>> moved = ops.image.affine_transform(images, [1.0, 0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0])
        >>> print(ops.convert_to_numpy(moved)[..., 0])
        [[0. 0. 1. 2.]]
    """
    axes = image_axes(images, data_format)
    one_of(interpolation, _INTERPOLATIONS, "interpolation")
    one_of(fill_mode, _FILL_MODES, "fill_mode")
    need_rank(transform, "transform", 1, 2)
    need_dtype(transform, "transform", "real")
    require(transform.shape[-1] in (8, None), f"`transform` must hold 8 numbers, not {transform.shape[-1]}.")
    _check(images, transform.shape[0] if len(transform.shape) == 2 else 1, "transform")
    numbers = ops.stop_gradient(ops.reshape(ops.cast(transform, real(dtype_of(images))), (-1, 8)))
    columns = [ops.getitem(numbers, (slice(None), i)) for i in range(8)]
    rows = [columns[:3], columns[3:6], [*columns[6:], ops.ones_like(columns[0])]]
    moved = _projected(channels_last(images, axes), rows, interpolation, fill_mode, fill_value)
    return as_before(moved, axes, len(images.shape) == 4)


def _homography(source: Any, target: Any) -> list[list[Any]]:
    """The matrix, up to a factor, that maps 4 points `target` (batch, 4, 2) to `source`, as in `_projected`.

    Both are projective images of the same four points of a basis, the weights of which are determinants
    (P. Heckbert, "Fundamentals of texture mapping and image warping", 1989).
    """

    def relative(points: Any) -> tuple[list[Any], list[Any]]:
        """Coordinates of all points, those of the last three relative to the first."""
        xs, ys = ([ops.getitem(points, (slice(None), i, j)) for i in range(4)] for j in range(2))
        return tuple([v[0], *(ops.subtract(other, v[0]) for other in v[1:])] for v in (xs, ys))  # type: ignore[return-value]

    def cross(xs: list[Any], ys: list[Any], i: int, j: int) -> Any:
        return ops.subtract(ops.multiply(xs[i], ys[j]), ops.multiply(xs[j], ys[i]))

    def weights(xs: list[Any], ys: list[Any]) -> tuple[Any, Any, Any, Any]:
        whole, second, third = cross(xs, ys, 1, 2), cross(xs, ys, 3, 2), cross(xs, ys, 1, 3)
        return ops.subtract(ops.subtract(whole, second), third), second, third, whole

    def product(*factors: Any) -> Any:
        result = factors[0]
        for factor in factors[1:]:
            result = ops.multiply(result, factor)
        return result

    (x, y), (u, v) = relative(source), relative(target)
    (a1, a2, a3, _), (b1, b2, b3, area) = weights(x, y), weights(u, v)
    q1, q2, q3 = product(a1, b2, b3), product(a2, b1, b3), product(a3, b1, b2)
    # Places in the basis are linear in those of `target`: second * (U, V) and third * (U, V).
    second, third = (v[2], ops.negative(u[2])), (ops.negative(v[1]), u[1])
    rows = []
    for p2, p3 in ((x[1], x[2]), (y[1], y[2])):
        rows.append([ops.add(product(q2, p2, s), product(q3, p3, t)) for s, t in zip(second, third, strict=True)])
    scale = [
        ops.add(ops.multiply(ops.subtract(q2, q1), s), ops.multiply(ops.subtract(q3, q1), t))
        for s, t in zip(second, third, strict=True)
    ]
    offset = ops.multiply(q1, area)
    # Back from places relative to the first points.
    scale.append(ops.subtract(offset, ops.add(product(scale[0], u[0]), product(scale[1], v[0]))))
    for row, origin in zip(rows, (x[0], y[0]), strict=True):
        row.append(ops.negative(ops.add(product(row[0], u[0]), product(row[1], v[0]))))
        row[:] = [ops.add(a, ops.multiply(k, origin)) for a, k in zip(row, scale, strict=True)]
    # The third row's last number is 1, unless it is 0.
    norm = ops.where(ops.equal(scale[2], 0.0), 1.0, scale[2])
    return [[ops.divide(a, norm) for a in row] for row in (*rows, scale)]


@composite
def perspective_transform(
    images: Tensor,
    start_points: Tensor,
    end_points: Tensor,
    interpolation: str = "bilinear",
    fill_value: Any = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images seen in another perspective: what was at `start_points` comes to `end_points`.

    Args:
        images: one image or a batch.
        start_points, end_points: four points (x, y), no three of them on a line: (4, 2) or (batch, 4, 2).
        interpolation: "nearest" (halves away from zero) or "bilinear".
        fill_value: what lies outside of the images.

    Returns:
        Shape and dtype of `images`; integers are rounded.

    Example:
        >>> from unidl import ops
        >>> images = ops.reshape(ops.arange(4.0), (1, 4, 1))
        >>> corners = ops.array([[0.0, 0.0], [4.0, 0.0], [0.0, 1.0], [4.0, 1.0]])
        >>> moved = ops.image.perspective_transform(images, corners, corners + ops.array([1.0, 0.0]))
        >>> print(ops.convert_to_numpy(moved)[..., 0])
        [[0. 0. 1. 2.]]
    """
    axes = image_axes(images, data_format)
    one_of(interpolation, _INTERPOLATIONS, "interpolation")
    for what, points in (("start_points", start_points), ("end_points", end_points)):
        need_rank(points, what, 2, 3)
        need_dtype(points, what, "real")
        require(
            points.shape[-2] in (4, None) and points.shape[-1] in (2, None),
            f"`{what}` must have shape (4, 2) or (batch, 4, 2), not {list(points.shape)}.",
        )
        _check(images, points.shape[0] if len(points.shape) == 3 else 1, what)
    require(
        len(start_points.shape) == len(end_points.shape)
        and (None in (start_points.shape[0], end_points.shape[0]) or start_points.shape[0] == end_points.shape[0]),
        f"`start_points` {list(start_points.shape)} and `end_points` {list(end_points.shape)} differ in shape.",
    )
    # Products of many coordinates: float64 for these few numbers.
    start, end = (ops.reshape(ops.cast(p, "float64"), (-1, 4, 2)) for p in (start_points, end_points))
    rows = [[ops.cast(v, real(dtype_of(images))) for v in row] for row in _homography(start, end)]
    moved = _projected(channels_last(images, axes), rows, interpolation, "constant", fill_value)
    return as_before(moved, axes, len(images.shape) == 4)


@composite
def elastic_transform(
    images: Tensor,
    alpha: float = 20.0,
    sigma: float = 5.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: Any = 0.0,
    seed: Any = None,
    data_format: str | None = None,
) -> Tensor:
    """Images bent by a random smooth field of displacements (P. Simard et al., ICDAR 2003).

    Displacements are `alpha` times normal numbers of standard deviation `sigma`, blurred by a Gaussian of that width.

    Args:
        images: one image or a batch, each of which gets a field of its own.
        interpolation, fill_mode, fill_value: as in `affine_transform`.
        seed: an int (the same field at each call and on every backend; sizes must be known), None or a
            `unidl.random.SeedGenerator`.

    Returns:
        Shape and dtype of `images`; integers are rounded.

    Example:
        >>> from unidl import ops
        >>> images = ops.reshape(ops.arange(6.0), (2, 3, 1))
        >>> print(ops.convert_to_numpy(ops.image.elastic_transform(images, alpha=0.0, seed=1))[..., 0])
        [[0. 1. 2.]
         [3. 4. 5.]]
    """
    from unidl import random

    axes = image_axes(images, data_format)
    one_of(interpolation, _INTERPOLATIONS, "interpolation")
    one_of(fill_mode, _FILL_MODES, "fill_mode")
    alpha, sigma = number(alpha, "alpha"), number(sigma, "sigma", 0.0)
    _check(images, 1, "images")
    try:
        seed = random.checked_seed(seed)
    except ValueError as error:
        raise OpError(str(error)) from None
    source = channels_last(images, axes)
    dtype = real(dtype_of(images))
    field = random.normal((*ops.shape(source)[:3], 2), 0.0, sigma, dtype, seed)
    width = 6 * int(sigma) + 1
    if width > 1:
        field = blurred(field, (width, width), (sigma, sigma))
    field = ops.multiply(field, alpha)
    y, x = _grid(source, dtype)
    y, x = (ops.add(v, ops.getitem(field, (..., i))) for i, v in enumerate((y, x)))
    return as_before(sampled(source, y, x, interpolation, fill_mode, fill_value), axes, len(images.shape) == 4)


__all__ = ["affine_transform", "perspective_transform", "elastic_transform"]
