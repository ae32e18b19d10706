"""Rows and columns added to images, or cut off."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.ops._declare import OpError, Tensor, composite, require
from unidl.ops.image._common import image_axes


def _two_given(before: Any, after: Any, target: Any, names: tuple[str, str, str]) -> None:
    given = dict(zip(names, (before, after, target), strict=True))
    require(
        sum(v is None for v in given.values()) == 1,
        f"exactly two of `{names[0]}`, `{names[1]}` and `{names[2]}` must be given, "
        f"not {', '.join(repr(v) for v in given.values())}.",
    )
    for name, value in given.items():
        require(
            value is None or (hasattr(value, "__index__") and int(value) >= 0),
            f"`{name}` must be an int of at least 0, not {value!r}.",
        )


def _completed(before: Any, after: Any, total: Any, names: tuple[str, str, str], size: Any) -> tuple[int, int]:
    """(before, after), of which the one that is None follows from what they add up to."""
    if total is not None:
        if before is None:
            before = total - after
        elif after is None:
            after = total - before
    for name, value in zip(names, (before, after), strict=False):
        if value < 0:
            raise OpError(f"`{name}` would be {value}: `{names[2]}` does not fit images of size {size} there.")
    return int(before), int(after)


@composite
def pad_images(
    images: Tensor,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """`images` (one or a batch) with rows and columns of zeros added at their edges.

    Of `top_padding`, `bottom_padding` and `target_height` exactly two are given, and of `left_padding`,
    `right_padding` and `target_width`.

    Raises:
        OpError: if a target is smaller than the images, or given while their size is unknown.

    Example:
        >>> from unidl import ops
        >>> ops.image.pad_images(ops.zeros((2, 3, 1)), 1, 2, target_height=5, target_width=6).shape == (5, 6, 1)
        True
    """
    axes = image_axes(images, data_format)
    widths = [(0, 0)] * len(images.shape)
    for axis, before, after, target, names in (
        (axes.rows, top_padding, bottom_padding, target_height, ("top_padding", "bottom_padding", "target_height")),
        (axes.columns, left_padding, right_padding, target_width, ("left_padding", "right_padding", "target_width")),
    ):
        _two_given(before, after, target, names)
        size = images.shape[axis]
        require(target is None or size is not None, f"with `{names[2]}` the size of the images must be known.")
        total = None if target is None else int(target) - size
        widths[axis] = _completed(before, after, total, names, size)
    return ops.pad(images, tuple(widths))


@composite
def crop_images(
    images: Tensor,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """`images` (one or a batch) without some rows and columns at their edges.

    Of `top_cropping`, `bottom_cropping` and `target_height` exactly two are given, and of `left_cropping`,
    `right_cropping` and `target_width`.

    Raises:
        OpError: if more is cut off than there is.

    Example:
        >>> from unidl import ops
        >>> images = ops.reshape(ops.arange(9), (3, 3, 1))
        >>> print(ops.convert_to_numpy(ops.image.crop_images(images, 1, 0, target_height=1, target_width=2))[..., 0])
        [[3 4]]
    """
    axes = image_axes(images, data_format)
    key = [slice(None)] * len(images.shape)
    vertical, horizontal = (
        ("top_cropping", "bottom_cropping", "target_height"), ("left_cropping", "right_cropping", "target_width"),
    )  # fmt: skip
    for axis, before, after, target, names in (
        (axes.rows, top_cropping, bottom_cropping, target_height, vertical),
        (axes.columns, left_cropping, right_cropping, target_width, horizontal),
    ):
        _two_given(before, after, target, names)
        size = images.shape[axis]
        if size is not None:
            before, after = _completed(before, after, None if target is None else size - int(target), names, size)
            require(
                before + after <= size,
                f"`{names[0]}` {before} and `{names[1]}` {after} cut off more than the size {size}.",
            )
            key[axis] = slice(before, size - after)
        elif target == 0:
            key[axis] = slice(0, 0)
        elif before is None:
            assert after is not None and target is not None
            key[axis] = slice(-(after + target), -after if after else None)
        else:
            key[axis] = slice(before, before + target if target is not None else -(after or 0) or None)
    return ops.getitem(images, tuple(key))


__all__ = ["pad_images", "crop_images"]
