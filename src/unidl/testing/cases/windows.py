"""Cases of convolution, pooling and resizing."""

from __future__ import annotations

from typing import Any

from unidl.testing.draw import FLOAT, Draw, Tolerance, add

_SUM = Tolerance(8, True)


def _images(r: Draw, spatial: tuple[int, ...], channels: int, last: bool) -> Any:
    batch = r.integer(1, 2)
    return r.array((batch, *spatial, channels) if last else (batch, channels, *spatial))


def _window(r: Draw, n: int) -> tuple[int, ...]:
    return tuple(r.integer(1, 3) for _ in range(n))


def _steps(r: Draw, n: int) -> Any:
    """Strides and dilation, of which only one exceeds 1."""
    step = r.choice(1, 1, 2, 3) if r.flag() else tuple(r.integer(1, 3) for _ in range(n))
    return (step, 1) if r.flag() else (1, step)


def _conv(kind: str) -> Any:
    def build(r: Draw) -> tuple[Any, ...]:
        n, last, padding = r.integer(1, 3), r.flag(), r.choice("valid", "same")
        window, (strides, dilation) = _window(r, n), _steps(r, n)
        # Large enough for the farthest reach of a window under "valid".
        spatial = tuple(r.integer(7, 9) if padding == "valid" else r.integer(1, 7) for _ in range(n))
        groups, per_group, filters = r.choice((1, 2, 3), (1, 1, 1), (2, 2, 4), (3, 1, 3), (1, 3, 2), (2, 1, 2))
        if kind == "depthwise":
            kernel = r.array((*window, groups * per_group, r.integer(1, 2)))
        else:
            kernel = r.array((*window, per_group, filters))
        bias = (r.array((filters,)),) if kind == "bias" else ()
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
    spatial = tuple(r.integer(3, 7) if padding == "valid" else r.integer(1, 7) for _ in range(n))
    x = _images(r, spatial, r.integer(1, 3), last)
    return x, window, strides, padding, "channels_last" if last else "channels_first"


def _resize(r: Draw) -> tuple[Any, ...]:
    last, batch = r.flag(), (r.integer(1, 2),) if r.flag() else ()
    high, wide, channels = r.integer(1, 5), r.integer(1, 5), r.integer(1, 3)
    x = r.array((*batch, high, wide, channels) if last else (*batch, channels, high, wide))
    size = (r.integer(1, 8), r.integer(1, 8))
    return x, size, r.choice("nearest", "bilinear"), "channels_last" if last else "channels_first"


add("conv", _conv("plain"), unknown="inputs", gradient="inputs kernel", tolerance=_SUM)
add("conv_bias", _conv("bias"), unknown="inputs", gradient="inputs kernel bias", tolerance=_SUM)
add("depthwise_conv", _conv("depthwise"), unknown="inputs", gradient="inputs kernel", tolerance=_SUM)
add("conv_transpose", _transposed, unknown="inputs", gradient="inputs kernel", tolerance=_SUM)
add("max_pool", _pool, gradient="inputs")
add("average_pool", _pool, (*FLOAT, "int32"), gradient="inputs", tolerance=Tolerance(2, True))
add("resize", _resize, refuses=True, gradient="images", tolerance=_SUM)
