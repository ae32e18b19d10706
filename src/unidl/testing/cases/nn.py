"""Cases of normalization, attention and losses."""

from __future__ import annotations

from typing import Any

from unidl.testing.draw import FLOAT, Draw, Tolerance, add

_SUM = Tolerance(8, True)


def _linear(r: Draw) -> tuple[Any, ...]:
    features, units = r.side(1), r.side(1)
    bias = (r.array((units,)),) if r.flag() else ()
    return r.array((*r.shape(1, 3), features)), r.array((features, units)), *bias


add("linear", _linear, gradient="x kernel bias", tolerance=_SUM)


# -- normalization ---------------------------------------------------------------------------------


def _moments(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(1, 3, 1)
    return x, r.choice(-1, list(range(r.integer(1, x.ndim))), tuple(range(r.integer(1, x.ndim)))), r.flag()


def _vectors(r: Draw, size: int) -> tuple[Any, Any]:
    """Shift and scale, each of which may be absent."""
    return (r.array((size,)) if r.flag() else None), (r.array((size,), low=0.5, high=2) if r.flag() else None)


def _batch_norm(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(2, 4, 1)
    axis = r.axis(x.ndim)
    size = x.shape[axis]
    return x, r.array((size,)), r.array((size,), low=0.2, high=3), axis, *_vectors(r, size), r.choice(1e-3, 1e-5)


def _batch_norm_training(r: Draw) -> tuple[Any, ...]:
    # With two or more elements for each channel, so that they differ.
    x = r.array((r.integer(2, 4), *r.shape(0, 2, 1), r.integer(1, 4)))
    axis = r.choice(-1, x.ndim - 1) if x.ndim < 3 or r.flag() else 1
    return x, axis, *_vectors(r, x.shape[axis]), r.choice(1e-3, 1e-2)


def _layer_norm(r: Draw) -> tuple[Any, ...]:
    x = r.array((*r.shape(1, 2, 1), r.integer(2, 5)))
    axis = r.choice(-1, x.ndim - 1, (x.ndim - 1,), (x.ndim - 2, x.ndim - 1), (0,) if x.shape[0] > 1 else -1)
    axes = sorted(a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,)))
    shape = tuple(x.shape[a] for a in axes)
    beta = r.array(shape) if r.flag() else None
    return x, (r.array(shape, low=0.5, high=2) if r.flag() else None), beta, axis, r.choice(1e-3, 1e-2)


def _group_norm(r: Draw) -> tuple[Any, ...]:
    groups, each = r.integer(1, 3), r.integer(1, 3)
    shape = [r.integer(1, 2), *(r.integer(2, 3) for _ in range(r.integer(1, 2))), groups * each]
    axis = r.choice(-1, len(shape) - 1, 1)
    if axis == 1:
        shape.insert(1, shape.pop())
    gamma = r.array((groups * each,), low=0.5, high=2) if r.flag() else None
    return r.array(shape), groups, gamma, (r.array((groups * each,)) if r.flag() else None), axis, 1e-2


def _rms_norm(r: Draw) -> tuple[Any, ...]:
    x, gamma, _, axis, epsilon = _layer_norm(r)
    if gamma is not None and r.die(3) == 0:
        gamma = r.array(x.shape[-1:], low=0.5, high=2) if axis in (-1, x.ndim - 1) else r.array(x.shape)
    return x, gamma, axis, epsilon


def _normalize(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(0 if not r.smooth else 1, 3, specials=(0.0, 1e3))
    axis = -1 if not x.ndim else r.choice(-1, x.ndim - 1, None, tuple(range(r.integer(1, x.ndim))))
    return x, axis, r.choice(1, 2, 2, 3), r.choice(None, 1e-3)


add("moments", _moments, (*FLOAT, "int32"), gradient="x", tolerance=_SUM)
add("batch_normalization", _batch_norm, unknown="x", gradient="x mean variance offset scale", tolerance=_SUM)
# Dividing by a small deviation enlarges rounding errors; 16-bit floats would need tolerances that say nothing.
_PRECISE: Any = {"dtypes": ("float32", "float64"), "tolerance": Tolerance(20, True), "gradient_tolerance": 10.0}
add("batch_normalization_training", _batch_norm_training, unknown="x", gradient="x offset scale", differentiated=1,
    **_PRECISE)  # fmt: skip
add("layer_normalization", _layer_norm, unknown="x", gradient="x gamma beta", **_PRECISE)
add("rms_normalization", _rms_norm, unknown="x", gradient="x scale", **_PRECISE)
add("normalize", _normalize, (*FLOAT, "int32"), gradient="x", tolerance=Tolerance(4))
add("group_normalization", _group_norm, unknown="x", refuses=True, gradient="x gamma beta", **_PRECISE)


# -- attention -------------------------------------------------------------------------------------


def _attention(r: Draw) -> tuple[Any, ...]:
    batch, heads, targets, sources = r.integer(1, 2), r.integer(1, 2), r.integer(1, 4), r.integer(1, 4)
    depth, width = r.integer(1, 4), r.integer(1, 4)
    causal = r.flag()
    if causal:
        sources = targets
    mask = None
    if r.flag():
        mask = r.numbers.random(r.broadcasting((batch, heads, targets, sources))) < 0.7
    if mask is not None and mask.ndim > 1 and r.die(2) == 0:
        mask[..., :1, :] = False  # a target that sees nothing
    query = r.array((batch, heads, targets, depth), low=-2, high=2)
    key = r.array((batch, heads, sources, depth), low=-2, high=2)
    value = r.array((batch, heads, sources, width))
    return query, key, value, mask, r.choice(None, 0.5), causal


def _heads_second(r: Draw) -> tuple[Any, ...]:
    batch, targets, sources, depth = r.integer(1, 2), r.integer(1, 4), r.integer(1, 4), r.integer(1, 4)
    shared, each = r.choice((1, 1), (2, 1), (1, 3), (2, 2))
    query = r.array((batch, targets, shared * each, depth), low=-2, high=2)
    key, value = (r.array((batch, sources, shared, depth), low=-2, high=2) for _ in range(2))
    scores = (batch, shared * each, targets, sources)
    bias = r.array(r.broadcasting(scores)) if r.flag() else None
    mask = r.numbers.random(r.broadcasting(scores)) < 0.6 if r.flag() else None
    return query, key, value, bias, mask, r.choice(None, 0.5), r.flag(), None, r.choice(None, None, 2.0)


add("dot_product_attention", _heads_second, refuses=True, gradient="query key value bias", tolerance=_SUM)
add("scaled_dot_product_attention", _attention, FLOAT, refuses=True, gradient="query key value", tolerance=_SUM)


# -- losses ----------------------------------------------------------------------------------------


def _categorical(r: Draw) -> tuple[Any, ...]:
    shape = (*r.shape(0, 2, 1), r.integer(2, 4))
    logits = r.flag()
    output = r.array(shape) if logits else r.array(shape, low=0.1, high=0.9)
    axis = r.choice(-1, len(shape) - 1)
    if not logits and not r.smooth and r.die(3) == 0:
        output = (output > output.dtype.type(0.5)).astype(r.dtype)  # probabilities of 0 and 1 are moved away from them
        output[..., :1] = 1
    return r.array(shape, low=0, high=1), output, logits, axis


def _sparse(r: Draw) -> tuple[Any, ...]:
    shape = (*r.shape(0, 2, 1), r.integer(2, 4))
    logits = r.flag()
    output = r.array(shape) if logits else r.array(shape, low=0.1, high=0.9)
    axis = r.choice(-1, len(shape) - 1)
    target = r.numbers.integers(0, shape[-1], shape[:-1]).astype(r.choice("int32", "int64", "uint8", "float32"))
    return target[..., None] if r.flag() else target, output, logits, axis


def _binary(r: Draw) -> tuple[Any, ...]:
    shape, logits = r.shape(), r.flag()
    output = r.array(shape, low=-30, high=30) if logits else r.array(shape, low=0.1, high=0.9)
    if not logits and not r.smooth and r.die(3) == 0:
        output = (output > output.dtype.type(0.5)).astype(r.dtype)
    return r.array(shape, low=0, high=1), output, logits


def _signals(r: Draw) -> tuple[Any, ...]:
    shape = r.shape(0, 3, 1)
    return r.array(shape), r.array(shape), r.choice(1.0, 255.0, 10)


add("categorical_crossentropy", _categorical, gradient="target output", tolerance=Tolerance(8, True))
add("sparse_categorical_crossentropy", _sparse, gradient="output", tolerance=Tolerance(8, True))
add("binary_crossentropy", _binary, gradient="target output", tolerance=Tolerance(8, True))
add("psnr", _signals, (*FLOAT, "uint8"), gradient="x1 x2", tolerance=Tolerance(8))
