"""What the four numbers of a box are."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.dtypes import is_float
from unidl.ops._bind import dtype_of

_ABSOLUTE = ("xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw")
FORMATS = (*_ABSOLUTE, *(f"rel_{name}" for name in _ABSOLUTE))


def parse(name: Any, what: str) -> tuple[str, bool]:
    """A format's name without ``rel_``, and whether it had it.

    Raises:
        ValueError: for a name that is no format.
    """
    found = name.lower() if isinstance(name, str) else None
    if found not in FORMATS:
        raise ValueError(f"bounding boxes: `{what}` must be one of {', '.join(FORMATS)}, not {name!r}.")
    return found.removeprefix("rel_"), found.startswith("rel_")


def parts(boxes: Any) -> list[Any]:
    """The four numbers of boxes (..., 4), each of shape (...)."""
    return [ops.getitem(boxes, (..., i)) for i in range(4)]


def joined(numbers: Any) -> Any:
    """The opposite of `parts`."""
    return ops.stack(list(numbers), -1)


def floats(boxes: Any, dtype: str | None = None) -> Any:
    """Boxes as a tensor of floats.

    Raises:
        ValueError: if they are not four numbers each.
    """
    boxes = ops.convert_to_tensor(boxes)
    if len(boxes.shape) == 0 or boxes.shape[-1] not in (4, None):
        raise ValueError(f"bounding boxes have shape (..., 4), but {list(boxes.shape)} came.")
    wanted = dtype or (dtype_of(boxes) if is_float(dtype_of(boxes)) else "float32")
    return ops.cast(boxes, wanted)


def edges(boxes: Any, name: str) -> tuple[Any, Any, Any, Any]:
    """Left, top, right and bottom of boxes of an absolute format."""
    a, b, c, d = parts(boxes)
    if name.endswith(("yxyx", "yxhw")):
        a, b, c, d = b, a, d, c
    if name.startswith("center"):
        a, b = ops.subtract(a, ops.multiply(c, 0.5)), ops.subtract(b, ops.multiply(d, 0.5))
    return (a, b, c, d) if name in ("xyxy", "yxyx") else (a, b, ops.add(a, c), ops.add(b, d))


def from_edges(left: Any, top: Any, right: Any, bottom: Any, name: str) -> Any:
    """Boxes of an absolute format."""
    if name not in ("xyxy", "yxyx"):
        width, height = ops.subtract(right, left), ops.subtract(bottom, top)
        if name.startswith("center"):
            left, top = ops.add(left, ops.multiply(width, 0.5)), ops.add(top, ops.multiply(height, 0.5))
        right, bottom = width, height
    swapped = name.endswith(("yxyx", "yxhw"))
    return joined((top, left, bottom, right) if swapped else (left, top, right, bottom))


def scaled(boxes: Any, name: str, height: Any, width: Any, up: bool) -> Any:
    """Boxes of an absolute format times (`up`) or divided by the image's size."""
    across, down = (ops.cast(ops.convert_to_tensor(n), dtype_of(boxes)) for n in (width, height))
    factors = (down, across, down, across) if name.endswith(("yxyx", "yxhw")) else (across, down, across, down)
    operation = ops.multiply if up else ops.divide
    return joined([operation(p, f) for p, f in zip(parts(boxes), factors, strict=True)])


def convert_format(
    boxes: Any, source: str, target: str, height: Any = None, width: Any = None, dtype: Any = "float32"
) -> Any:
    """Boxes in another format.

    Formats are "xyxy" (two corners: left and top, then right and bottom), "xywh" (left and top, then the size),
    "center_xywh" (the centre, then the size), the same with y before x ("yxyx", "center_yxhw"), and each of them
    after "rel_", where numbers are fractions of the image's width and height.

    Args:
        boxes: shape (..., 4), or a dict with such "boxes"; the rest of it stays as it is.
        source, target: formats; case does not matter.
        height, width: the image's size, for changes from or to fractions.

    Raises:
        ValueError: for an unknown format or shape, or if the size is missing.

    Example:
        >>> import unidl
        >>> boxes = unidl.utils.bounding_boxes.convert_format([[10, 20, 30, 50]], "xyxy", "xywh")
        >>> unidl.ops.convert_to_numpy(boxes).tolist()
        [[10.0, 20.0, 20.0, 30.0]]
    """
    if isinstance(boxes, dict):
        return {**boxes, "boxes": convert_format(boxes["boxes"], source, target, height, width, dtype)}
    (have, have_relative), (want, want_relative) = parse(source, "source"), parse(target, "target")
    result = floats(boxes, dtype)
    if have_relative != want_relative and (height is None or width is None):
        raise ValueError(f"convert_format must receive `height` and `width` to change {source!r} into {target!r}.")
    if have_relative and not want_relative:
        result = scaled(result, have, height, width, True)
    if have != want:
        result = from_edges(*edges(result, have), want)
    return scaled(result, want, height, width, False) if want_relative and not have_relative else result
