"""Cases of convolution and pooling."""

from __future__ import annotations

from typing import Any

from unidl.testing.draw import FLOAT, INTEGER, NUMBER, Draw, Tolerance, add

_SUM = Tolerance(8, True)


def _images(r: Draw, spatial: tuple[int, ...], channels: int, last: bool) -> Any:
    batch = r.integer(1, 2) if r.smooth or r.die(6) else 0
    return r.array((batch, *spatial, channels) if last else (batch, channels, *spatial))


def _window(r: Draw, n: int) -> tuple[int, ...]:
    return tuple(r.integer(1, 4 if n < 3 else 3) for _ in range(n))


def _steps(r: Draw, n: int) -> Any:
    """Strides and dilation; usually only one exceeds 1."""
    step = r.choice(1, 1, 2, 3) if r.flag() else tuple(r.integer(1, 3) for _ in range(n))
    other = tuple(r.integer(1, 3) for _ in range(n)) if r.die(3) == 0 else 1
    return (step, other) if r.flag() else (other, step)


def _conv(kind: str) -> Any:
    def build(r: Draw) -> tuple[Any, ...]:
        n, last, padding = r.integer(1, 3), r.flag(), r.choice("valid", "same")
        window, (strides, dilation) = _window(r, n), _steps(r, n)
        # Large enough for the farthest reach of a window under "valid".
        spatial = tuple(r.integer(10, 12) if padding == "valid" else r.integer(1, 7) for _ in range(n))
        groups, per_group, filters = r.choice((1, 2, 3), (1, 1, 1), (2, 2, 4), (3, 1, 3), (1, 3, 2), (2, 1, 2))
        if kind in ("depthwise", "separable"):
            multiplier = r.integer(1, 2)
            kernel = r.array((*window, groups * per_group, multiplier))
        else:
            kernel = r.array((*window, per_group, filters))
        bias = (r.array((filters,)),) if kind == "bias" else ()
        if kind == "separable":
            bias = (r.array((*[1] * n, groups * per_group * multiplier, filters)),)
        x = _images(r, spatial, groups * per_group, last)
        return x, kernel, *bias, strides, padding, "channels_last" if last else "channels_first", dilation

    return build


def _transposed(r: Draw) -> tuple[Any, ...]:
    n, last = r.integer(1, 3), r.flag()
    window, (strides, dilation) = _window(r, n), _steps(r, n)
    channels, filters = r.integer(1, 3), r.integer(1, 3)
    x = _images(r, tuple(r.integer(2, 4) for _ in range(n)), channels, last)
    smallest = strides if isinstance(strides, int) else min(strides)
    extra = r.choice(None, None, 0, smallest - 1)
    layout = "channels_last" if last else "channels_first"
    return x, r.array((*window, filters, channels)), strides, r.choice("valid", "same"), extra, layout, dilation


def _pool(r: Draw) -> tuple[Any, ...]:
    n, last, padding = r.integer(1, 3), r.flag(), r.choice("valid", "same")
    window = r.choice(1, 2, 3) if r.flag() else _window(r, n)
    strides = r.choice(None, 1, 2, 3) if r.flag() else tuple(r.integer(1, 3) for _ in range(n))
    spatial = tuple(r.integer(4, 7) if padding == "valid" else r.integer(1, 7) for _ in range(n))
    x = _images(r, spatial, r.integer(1, 3), last)
    if not r.smooth and r.die(3) == 0 and "u" not in r.dtype:
        x = -abs(x) - x.dtype.type(1)  # padding must not win against negative numbers
    return x, window, strides, padding, "channels_last" if last else "channels_first"


def _adaptive(r: Draw) -> tuple[Any, ...]:
    n, last = r.integer(1, 3), r.flag()
    size = r.integer(1, 4) if r.flag() else tuple(r.integer(1, 5) for _ in range(n))
    x = _images(r, tuple(r.integer(1, 7) for _ in range(n)), r.integer(1, 2), last)
    return x, size, "channels_last" if last else "channels_first"


def _blocks(r: Draw) -> tuple[tuple[int, int], tuple[Any, ...], tuple[int, int]]:
    """Size of an image, (kernel, dilation, padding, stride), and how many blocks there are."""
    kernel, stride = (r.integer(1, 3), r.integer(1, 3)), (r.integer(1, 3), r.integer(1, 3))
    dilation, padding = r.choice((1, 1), (1, 2), (2, 1)), r.choice((0, 0), (1, 0), (2, 1))
    size = (r.integer(5, 7), r.integer(5, 7))
    room = [s + 2 * p - (k - 1) * d - 1 for s, p, k, d in zip(size, padding, kernel, dilation, strict=True)]
    counts = (room[0] // stride[0] + 1, room[1] // stride[1] + 1)
    attributes: tuple[Any, ...] = kernel, dilation, padding, stride
    if r.flag():
        return size, tuple(a[0] if a[0] == a[1] else a for a in attributes), counts
    return size, attributes, counts


def _unfold(r: Draw) -> tuple[Any, ...]:
    size, attributes, _ = _blocks(r)
    return r.array((r.integer(1, 2), r.integer(1, 2), *size)), *attributes


def _fold(r: Draw) -> tuple[Any, ...]:
    size, attributes, counts = _blocks(r)
    kernel = (attributes[0],) * 2 if isinstance(attributes[0], int) else attributes[0]
    x = r.array((r.integer(1, 2), r.integer(1, 2) * kernel[0] * kernel[1], counts[0] * counts[1]))
    return x, size, *attributes


add("conv", _conv("plain"), unknown="inputs", gradient="inputs kernel", tolerance=_SUM)
add("conv_bias", _conv("bias"), unknown="inputs", gradient="inputs kernel bias", tolerance=_SUM)
add("depthwise_conv", _conv("depthwise"), unknown="inputs", gradient="inputs kernel", tolerance=_SUM)
add("separable_conv", _conv("separable"), unknown="inputs",
    gradient="inputs depthwise_kernel pointwise_kernel", tolerance=_SUM)  # fmt: skip
add("conv_transpose", _transposed, unknown="inputs", gradient="inputs kernel", tolerance=_SUM)
add("max_pool", _pool, (*FLOAT, *INTEGER, "int8"), gradient="inputs")
add("average_pool", _pool, (*FLOAT, "int32"), gradient="inputs", tolerance=Tolerance(2, True))
add("adaptive_average_pool", _adaptive, (*FLOAT, "int32"), refuses=True, gradient="inputs", tolerance=_SUM)
add("adaptive_max_pool", _adaptive, (*FLOAT, "int32"), refuses=True, gradient="inputs")
add("unfold", _unfold, NUMBER, gradient="x")
add("fold", _fold, NUMBER, refuses=True, gradient="x", tolerance=Tolerance(2, True))
