"""Ops on images against references written out in NumPy: compositions are their own oracle in the conformance kit."""

from __future__ import annotations

import colorsys
import itertools
import math

import numpy as np
import pytest

from unidl import ops
from unidl.errors import OpError
from unidl.testing import assert_close

image = ops.image


def numbers(*shape: int, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    return np.random.default_rng(0).uniform(low, high, shape).astype("float32")


def value(x: object) -> np.ndarray:
    return ops.convert_to_numpy(x)


# -- places between and beyond pixels --------------------------------------------------------------


def continued(index: int, size: int, mode: str) -> int | None:
    """The element that stands at `index`, found by walking along the continued axis; None: the fill value."""
    if 0 <= index < size:
        return index
    if mode == "constant":
        return None
    if mode == "nearest":
        return 0 if index < 0 else size - 1
    turn = {
        "wrap": list(range(size)),
        "reflect": [*range(size), *reversed(range(size))],
        "mirror": [*range(size), *reversed(range(1, size - 1))],
    }[mode]
    return turn[index % len(turn)]


def mapped(x: np.ndarray, place: np.ndarray, order: int, mode: str, fill: float) -> float:
    low = np.floor(place) if order else np.rint(place)
    total = 0.0
    for corner in itertools.product(*[(0, 1) if order else (0,)] * x.ndim):
        index = [continued(int(i + c), n, mode) for i, c, n in zip(low, corner, x.shape, strict=True)]
        part = place - low
        weight = math.prod(p if c else 1 - p for p, c in zip(part, corner, strict=True)) if order else 1.0
        total += weight * (fill if None in index else x[tuple(index)])
    return total


@pytest.mark.parametrize("mode", ["constant", "nearest", "wrap", "mirror", "reflect"])
@pytest.mark.parametrize("order", [0, 1])
def test_map_coordinates(order: int, mode: str) -> None:
    for shape in ((5,), (1,), (4, 3), (2, 1, 3)):
        x, places = numbers(*shape), numbers(len(shape), 20, low=-9, high=13)
        places[:, 0] = np.arange(len(shape))  # whole numbers are elements
        expected = [mapped(x, places[:, i].astype("float64"), order, mode, 0.25) for i in range(20)]
        assert_close(image.map_coordinates(x, places, order, mode, 0.25), np.asarray(expected, "float32"), atol=1e-5)


def test_map_coordinates_integers_are_rounded() -> None:
    x = image.map_coordinates(np.asarray([0, 1, 4], "uint8"), [[0.5, 1.25, 1.5, 9.0]], 1)
    np.testing.assert_array_equal(value(x), np.asarray([0, 2, 2, 0], "uint8"))


@pytest.mark.parametrize("mode", ["constant", "nearest", "wrap", "reflect"])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_affine_transform(interpolation: str, mode: str) -> None:
    x = numbers(2, 4, 5, 3)
    a = np.asarray([[0.9, 0.3, -1.3, -0.2, 1.1, 0.7, 0.01, 0.02], [1, 0, 2, 0, 1, -3, 0, 0]], "float32")
    expected = np.zeros_like(x)
    for n, i, j, c in np.ndindex(x.shape):
        k = a[n, 6] * j + a[n, 7] * i + 1
        place = np.asarray([a[n, 3] * j + a[n, 4] * i + a[n, 5], a[n, 0] * j + a[n, 1] * i + a[n, 2]]) / k
        expected[n, i, j, c] = mapped(x[n, ..., c], place, int(interpolation == "bilinear"), mode, 0.5)
    assert_close(image.affine_transform(x, a, interpolation, mode, 0.5), expected, atol=2e-5)
    first = image.affine_transform(np.moveaxis(x, -1, 1), a, interpolation, mode, 0.5, "channels_first")
    assert_close(first, np.moveaxis(expected, -1, 1), atol=2e-5)
    assert_close(image.affine_transform(x[0], a[0], interpolation, mode, 0.5), expected[0], atol=2e-5)


def test_perspective_transform() -> None:
    x = numbers(5, 6, 2)
    start = np.asarray([[0, 0], [5, 0.5], [0.5, 4], [6, 5]], "float32")
    end = np.asarray([[0.3, -0.4], [5.5, 0], [0, 4.5], [5, 4.8]], "float32")
    rows = []
    for (u, v), (a, b) in zip(start, end, strict=True):
        rows += [[a, b, 1, 0, 0, 0, -u * a, -u * b], [0, 0, 0, a, b, 1, -v * a, -v * b]]
    transform = np.linalg.solve(np.asarray(rows, "float64"), start.reshape(-1)).astype("float32")
    expected = value(image.affine_transform(x, transform, fill_value=3))
    assert_close(image.perspective_transform(x, start, end, fill_value=3), expected, atol=1e-4)


def test_elastic_transform() -> None:
    x = numbers(2, 8, 9, 3)
    bent = value(image.elastic_transform(x, 2.0, 1.0, seed=3))
    assert bent.shape == x.shape and np.abs(bent - x).max() > 0.01
    np.testing.assert_array_equal(bent, value(image.elastic_transform(x, 2.0, 1.0, seed=3)))
    assert np.abs(bent - value(image.elastic_transform(x, 2.0, 1.0, seed=4))).max() > 0.01
    first = value(image.elastic_transform(np.moveaxis(x, -1, 1), 2.0, 1.0, seed=3, data_format="channels_first"))
    assert_close(np.moveaxis(first, 1, -1), bent)
    assert value(image.elastic_transform(x)).shape == x.shape


# -- resampling ------------------------------------------------------------------------------------


def kernel(method: str, x: float) -> float:
    x = abs(x)
    if method == "bilinear":
        return max(0.0, 1 - x)
    if method == "bicubic":
        near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
        return near if x < 1 else far if x < 2 else 0.0
    radius = int(method[-1])
    return float(np.sinc(x) * np.sinc(x / radius)) if x < radius else 0.0


def resampling(have: int, want: int, method: str, antialias: bool) -> np.ndarray:
    step = have / want
    rows = np.zeros((want, have))
    for i, j in np.ndindex(want, have):
        if method == "nearest":
            rows[i, j] = j == int((i + 0.5) * step + 1e-9)
        elif method == "area":
            rows[i, j] = max(0.0, min((i + 1) * step, j + 1) - max(i * step, j))
        else:
            rows[i, j] = kernel(method, ((i + 0.5) * step - 0.5 - j) / (max(step, 1) if antialias else 1))
    return rows / rows.sum(1, keepdims=True)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area"])
def test_resize(method: str, antialias: bool) -> None:
    x = numbers(2, 5, 8, 3)
    for size in ((7, 3), (5, 16), (2, 8), (1, 1)):
        rows, columns = (resampling(n, m, method, antialias) for n, m in zip((5, 8), size, strict=True))
        expected = np.einsum("ph,qw,bhwc->bpqc", rows, columns, x).astype("float32")
        assert_close(image.resize(x, size, method, antialias), expected, atol=1e-5)
        first = image.resize(np.moveaxis(x, -1, 1), size, method, antialias, data_format="channels_first")
        assert_close(first, np.moveaxis(expected, -1, 1), atol=1e-5)
        assert_close(image.resize(x[0], size, method, antialias), expected[0], atol=1e-5)


def test_resize_keeps_the_dtype() -> None:
    x = np.asarray([0, 1, 254, 255], "uint8").reshape(1, 4, 1)
    np.testing.assert_array_equal(value(image.resize(x, (1, 8)))[0, :, 0], [0, 0, 1, 64, 191, 254, 255, 255])
    sharp = np.asarray([0, 0, 255, 255], "uint8").reshape(1, 4, 1)
    assert value(image.resize(sharp, (1, 9), "bicubic")).max() == 255, "what overshoots is cut off"
    for dtype in ("int32", "float16", "float64"):
        assert value(image.resize(x.astype(dtype), (2, 2))).dtype == dtype


def test_resize_aspect_ratio() -> None:
    x = numbers(4, 8, 1)
    assert_close(image.resize(x, (2, 2), crop_to_aspect_ratio=True), value(image.resize(x[:, 2:6], (2, 2))))
    padded = np.pad(x, ((2, 2), (0, 0), (0, 0)), constant_values=0.5)
    both = image.resize(x, (4, 4), pad_to_aspect_ratio=True, fill_value=0.5)
    assert_close(both, value(image.resize(padded, (4, 4))))


def test_scale_and_translate() -> None:
    x = np.arange(9, dtype="float32").reshape(3, 3)
    scale = np.asarray([2.0, 2.0], "float32")
    result = image.scale_and_translate(x, (5, 5), scale, 0.5 - scale / 2, (0, 1), "linear")
    assert_close(result, np.add.outer(np.arange(5) * 1.5, np.arange(5) * 0.5).astype("float32"), atol=1e-5)
    # Shifted by one, and nothing where the source is not.
    assert_close(
        image.scale_and_translate(x, (3, 3), [1.0], [1.0], (-1,), "cubic"),
        np.pad(x, ((0, 0), (1, 0)))[:, :3],
        atol=1e-5,
    )


# -- colours, filters, patches, borders ------------------------------------------------------------


def test_colors() -> None:
    x = numbers(4, 5, 3)
    hsv = np.asarray([colorsys.rgb_to_hsv(*p) for p in x.reshape(-1, 3)]).reshape(x.shape).astype("float32")
    assert_close(image.rgb_to_hsv(x), hsv, atol=1e-5)
    assert_close(image.hsv_to_rgb(hsv), x, atol=1e-5)
    first = image.rgb_to_hsv(np.moveaxis(x, -1, 0), "channels_first")
    assert_close(first, np.moveaxis(hsv, -1, 0), atol=1e-5)
    assert_close(image.rgb_to_grayscale(x)[..., 0], x @ np.asarray([0.2989, 0.587, 0.114], "float32"))


def test_filters() -> None:
    x = numbers(2, 6, 7, 2)
    edges = np.zeros((*x.shape, 2), "float32")
    blurred = np.zeros_like(x)
    mirrored = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect")
    zeros = np.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)))
    down = np.outer([-1, 0, 1], [1, 2, 1])
    bell = np.exp(-0.5 * (np.arange(-1, 2) / 0.8) ** 2)
    for i, j in np.ndindex(6, 7):
        window = mirrored[:, i : i + 3, j : j + 3]
        edges[:, i, j] = np.stack([np.einsum("bhwc,hw->bc", window, k) for k in (down, down.T)], -1)
        blurred[:, i, j] = np.einsum("bhc,h->bc", zeros[:, i : i + 3, j], bell / bell.sum())
    assert_close(image.sobel_edges(x), edges, atol=1e-5)
    first = image.sobel_edges(np.moveaxis(x, -1, 1), "channels_first")
    assert_close(first, np.moveaxis(edges, 3, 1), atol=1e-5)
    assert_close(image.gaussian_blur(x, (1, 3), (2.0, 0.8)), blurred, atol=1e-5)  # width first


def test_ssim() -> None:
    x, y = numbers(2, 6, 5, 3), numbers(2, 6, 5, 3)[::-1].copy()
    bell = np.exp(-0.5 * (np.arange(-1, 2) / 1.5) ** 2)
    weights = np.outer(bell, bell) / bell.sum() ** 2
    values = []
    for i, j in np.ndindex(4, 3):
        a, b = (v[:, i : i + 3, j : j + 3].astype("float64") for v in (x, y))
        ma, mb, aa, bb, ab = (np.einsum("bhwc,hw->bc", v, weights) for v in (a, b, a * a, b * b, a * b))
        over = (2 * ma * mb + 1e-4) * (2 * (ab - ma * mb) + 9e-4)
        values.append(over / ((ma**2 + mb**2 + 1e-4) * (aa - ma**2 + bb - mb**2 + 9e-4)))
    expected = np.mean(values, (0, 2)).astype("float32")
    assert_close(image.ssim(x, y, filter_size=3), expected, atol=1e-4)
    assert_close(image.ssim(x[0], y[0], filter_size=3), expected[0], atol=1e-4)
    assert_close(image.ssim(x, x, filter_size=3), np.ones(2, "float32"), atol=1e-5)


@pytest.mark.parametrize("strides, dilation", [(None, 1), (1, 1), (2, 1), (1, 2), ((1, 3), (2, 1))])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_extract_patches(padding: str, strides: object, dilation: object) -> None:
    x, size = np.arange(2 * 7 * 6 * 2).reshape(2, 7, 6, 2), (2, 3)
    step = size if strides is None else strides if isinstance(strides, tuple) else (strides,) * 2
    rate = dilation if isinstance(dilation, tuple) else (dilation,) * 2
    y = x
    if padding == "same":
        reach = [(w - 1) * d + 1 for w, d in zip(size, rate, strict=True)]
        more = [max((-(-n // s) - 1) * s + r - n, 0) for n, s, r in zip((7, 6), step, reach, strict=True)]
        y = np.pad(x, ((0, 0), *((m // 2, m - m // 2) for m in more), (0, 0)))
    counts = [(n - (w - 1) * d - 1) // s + 1 for n, w, d, s in zip(y.shape[1:3], size, rate, step, strict=True)]
    expected = np.zeros((2, *counts, 12), x.dtype)
    for i, j in np.ndindex(*counts):
        rows, columns = (np.arange(w) * d + k * s for w, d, k, s in zip(size, rate, (i, j), step, strict=True))
        expected[:, i, j] = y[:, rows][:, :, columns].reshape(2, -1)
    np.testing.assert_array_equal(value(image.extract_patches(x, size, strides, dilation, padding)), expected)
    first = image.extract_patches(np.moveaxis(x, -1, 1), size, strides, dilation, padding, "channels_first")
    np.testing.assert_array_equal(value(first), np.moveaxis(expected, -1, 1))


def test_volumes() -> None:
    x = numbers(2, 4, 6, 4, 3)
    patches = value(image.extract_patches_3d(x, (2, 3, 2)))
    assert patches.shape == (2, 2, 2, 2, 36)
    np.testing.assert_array_equal(patches[1, 1, 0, 1], x[1, 2:4, :3, 2:].reshape(-1))
    np.testing.assert_array_equal(value(image.extract_patches(x, (2, 3, 2))), patches)


def test_borders() -> None:
    x = numbers(4, 5, 2)
    np.testing.assert_array_equal(value(image.crop_images(x, 1, None, None, 1, 2, 3)), x[1:3, 1:4])
    np.testing.assert_array_equal(
        value(image.pad_images(x, 1, None, None, 2, 7, 8)), np.pad(x, ((1, 2), (1, 2), (0, 0)))
    )
    for wrong in ((1, 1, 1), (1, 1, 1, 1, 1), (None, 0, None, 0), (5, 0, 0, 0), (-1, 0, 0, 0)):
        with pytest.raises(OpError):
            image.crop_images(x, *wrong)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: image.resize(numbers(2, 2), (1, 1)), "`images` has 2 dimensions"),
        (lambda: image.resize(numbers(2, 2, 1), (1, 1), "cubic"), "`interpolation` must be 'nearest'"),
        (lambda: image.resize(numbers(2, 2, 1), (1, 0)), "`size` must be"),
        (lambda: image.rgb_to_hsv(np.ones((2, 2, 3), "int32")), "`images` is int32"),
        (lambda: image.map_coordinates(numbers(3), numbers(2, 4), 1), "must be 1, the rank of `inputs`"),
        (lambda: image.map_coordinates(numbers(3), numbers(1, 4), 2), "`order` must be 0 or 1"),
        (lambda: image.affine_transform(numbers(2, 3, 3, 1), numbers(3, 8)), "`transform` has 3 entries for 2 images"),
        (lambda: image.ssim(numbers(8, 8, 1), numbers(8, 8, 1)), "the filter covers 11 pixels"),
    ],
)
def test_errors(call: object, message: str) -> None:
    with pytest.raises(OpError, match=message):
        call()  # type: ignore[operator]
