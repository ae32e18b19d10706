"""Cases of ops on images."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.testing.draw import ANY, NUMBER, SMALL, Draw, Tolerance, add

_SUM = Tolerance(8, True)


def _format(last: bool) -> str:
    return "channels_last" if last else "channels_first"


def _images(r: Draw, channels: int | None = None, low: int = 1, batch: int | None = None, **options: Any) -> Any:
    """Images (one, or a batch), and their data format."""
    last = r.flag()
    if batch is None:
        batch = r.integer(0, 2)
    channels = r.integer(1, 3) if channels is None else channels
    spatial = (r.integer(low, low + 4), r.integer(low, low + 4))
    shape = (*spatial, channels) if last else (channels, *spatial)
    return r.array((batch,) * bool(batch) + shape, **options), _format(last)


def _grayscale(r: Draw) -> tuple[Any, ...]:
    return _images(r, r.choice(3, 3, 1))


def _color(r: Draw) -> tuple[Any, ...]:
    images, layout = _images(r, 3)
    # From -4 … 4 to 0 … 1; equal channels (gray) and black stay among the round ones.
    return ((np.abs(images.astype("float32")) / 4).astype(images.dtype), layout)


def _hsv(r: Draw) -> tuple[Any, ...]:
    images, layout = _images(r, 3)
    return ((images.astype("float32") / 8.5 + 0.5).astype(images.dtype), layout)


def _resize(r: Draw) -> tuple[Any, ...]:
    images, layout = _images(r)
    size = (r.integer(1, 8), r.integer(1, 8))
    method = r.choice("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area")
    crop, pad = r.choice((False, False), (False, False), (True, False), (False, True))
    return images, size, method, r.flag(), crop, pad, "constant", r.choice(0.0, 2.0), layout


def _bilinear(r: Draw) -> tuple[Any, ...]:
    images, layout = _images(r, batch=r.integer(1, 2))
    return images, (r.integer(1, 8), r.integer(1, 8)), layout == "channels_last"


def _scaled(r: Draw) -> tuple[Any, ...]:
    rank = r.integer(1, 4)
    shape = tuple(r.integer(1, 5) for _ in range(rank))
    axes = tuple(int(a) for a in r.numbers.permutation(rank)[: r.integer(1, min(rank, 3))])
    want = tuple(r.integer(1, 6) if i in axes else d for i, d in enumerate(shape))
    scale = r.numbers.uniform(0.4, 2.5, len(axes)).astype("float32")
    shift = r.numbers.uniform(-1.5, 1.5, len(axes)).astype("float32")
    signed = tuple(a - rank if r.flag() else a for a in axes)
    method = r.choice("linear", "trilinear", "triangle", "cubic", "bicubic", "lanczos3", "lanczos5")
    return r.array(shape), want, scale, shift, signed, method, r.flag()


def _edges(r: Draw, cut: bool, size: int) -> tuple[Any, Any, Any]:
    """(before, after, target), one of them None."""
    most = size // 2 if cut else 3
    before, after = r.integer(0, most), r.integer(0, most)
    target = size - before - after if cut else size + before + after
    return r.choice((before, after, None), (before, None, target), (None, after, target))


def _bordered(cut: bool) -> Any:
    def build(r: Draw) -> tuple[Any, ...]:
        images, layout = _images(r)
        height, width = images.shape[-3:-1] if layout == "channels_last" else images.shape[-2:]
        top, bottom, high = _edges(r, cut, height)
        left, right, wide = _edges(r, cut, width)
        return images, top, left, bottom, right, high, wide, layout

    return build


def _patches(n: int) -> Any:
    def build(r: Draw) -> tuple[Any, ...]:
        last, padding, batch = r.flag(), r.choice("valid", "same"), (r.integer(1, 2),) if r.flag() else ()
        window = tuple(r.integer(1, 3) for _ in range(n))
        size: Any = r.choice(window, list(window), 2 if n == 2 else window)
        spatial = tuple(r.integer(5, 7) if padding == "valid" else r.integer(1, 7) for _ in range(n))
        strides = r.choice(None, 1, 2, tuple(r.integer(1, 3) for _ in range(n)))
        channels = r.integer(1, 3)
        x = r.array((*batch, *spatial, channels) if last else (*batch, channels, *spatial))
        return x, size, strides, r.choice(1, 1, 2), padding, _format(last)

    return build


def _blur(r: Draw) -> tuple[Any, ...]:
    images, layout = _images(r)
    sigma = (r.choice(0.5, 1.0), r.choice(1.0, 2.0))
    return images, (r.integer(1, 4), r.integer(1, 5)), sigma, layout


def _sobel(r: Draw) -> tuple[Any, ...]:
    return _images(r, low=2, batch=r.integer(1, 2))


def _ssim(r: Draw) -> tuple[Any, ...]:
    first, layout = _images(r, low=3)
    second = (first + r.array(first.shape, low=-1, high=1)).astype(first.dtype)
    return first, second, r.choice(1.0, 8.0), r.choice(1, 3), r.choice(1.0, 1.5), 0.01, 0.03, layout


def _places(r: Draw) -> tuple[Any, ...]:
    shape = tuple(r.integer(1, 5) for _ in range(r.integer(1, 3)))
    where = r.shape(1, 2, side=1)
    coordinates = r.array((len(shape), *where), "float32", low=-8, high=12)
    mode = r.choice("constant", "nearest", "wrap", "mirror", "reflect")
    return r.array(shape), coordinates, r.integer(0, 1), mode, r.choice(0, 2, 1.5)


def _affine(r: Draw) -> tuple[Any, ...]:
    images, layout = _images(r)
    many = images.shape[0] if images.ndim == 4 and r.flag() else 1
    turn = np.rint(r.numbers.uniform(-6, 6, (many, 8))) / 4
    turn[:, 6:] = np.where(r.flag(), np.abs(turn[:, 6:]) / 8, 0)
    turn = turn.astype("float32")
    mode = r.choice("constant", "nearest", "wrap", "reflect")
    transform = turn[0] if many == 1 and r.flag() else turn
    return images, transform, r.choice("nearest", "bilinear"), mode, r.choice(0, 2), layout


def _perspective(r: Draw) -> tuple[Any, ...]:
    images, layout = _images(r)
    many = images.shape[0] if images.ndim == 4 and r.flag() else 1
    corners = np.asarray([[0, 0], [5, 0], [0, 5], [5, 5]])
    start, end = ((corners + r.numbers.uniform(-0.8, 0.8, (many, 4, 2))).astype("float32") for _ in range(2))
    if many == 1 and r.flag():
        start, end = start[0], end[0]
    return images, start, end, r.choice("bilinear", "bilinear", "nearest"), r.choice(0, 2), layout


def _elastic(r: Draw) -> tuple[Any, ...]:
    images, layout = _images(r)
    mode = r.choice("constant", "nearest", "wrap", "reflect")
    alpha, sigma = r.choice(1.0, 4.0), r.choice(0.5, 1.0, 2.0)
    return images, alpha, sigma, r.choice("nearest", "bilinear"), mode, r.choice(0.0, 2.0), r.integer(0, 9), layout


add("rgb_to_grayscale", _grayscale, (*NUMBER, "uint16"), refuses=True, gradient="images")
add("rgb_to_hsv", _color, refuses=True, gradient="images", tolerance=Tolerance(4))
add("hsv_to_rgb", _hsv, refuses=True, gradient="images", tolerance=Tolerance(4, True))
add("resize", _resize, (*NUMBER, *SMALL), refuses=True, gradient="images", tolerance=_SUM)
add("resize_bilinear", _bilinear, refuses=True, gradient="images", tolerance=_SUM)
add(
    "scale_and_translate", _scaled, NUMBER, unknown="images", gradient="images scale translation",
    tolerance=_SUM, gradient_tolerance=4,
)  # fmt: skip
add("pad_images", _bordered(False), (*ANY, *SMALL), refuses=True, gradient="images")
add("crop_images", _bordered(True), (*ANY, *SMALL), refuses=True, gradient="images")
add("extract_patches", _patches(2), (*ANY, *SMALL), refuses=True, gradient="images")
add("extract_patches_3d", _patches(3), (*ANY, *SMALL), refuses=True, gradient="volumes")
add("gaussian_blur", _blur, NUMBER, refuses=True, gradient="images", tolerance=_SUM)
add("sobel_edges", _sobel, NUMBER, refuses=True, gradient="images", tolerance=_SUM)
add("ssim", _ssim, NUMBER, refuses=True, gradient="image1 image2", tolerance=Tolerance(20, True), gradient_tolerance=4)
add(
    "map_coordinates", _places, NUMBER, refuses=True, gradient="inputs coordinates", tolerance=_SUM,
)  # fmt: skip
add("affine_transform", _affine, NUMBER, gradient="images", tolerance=_SUM)
add(
    "perspective_transform", _perspective, NUMBER, gradient="images start_points end_points", tolerance=_SUM,
    gradient_tolerance=4,
)  # fmt: skip
add("elastic_transform", _elastic, NUMBER, refuses=True, gradient="images", tolerance=_SUM)
