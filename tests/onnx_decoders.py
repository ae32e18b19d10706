"""Cases of operators of language models and support vector machines."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from onnx_one import Draws, One

from unidl.interchange.onnx.importing._table import ML

_DRAWS = Draws(8)
_R, _f = _DRAWS.numbers, _DRAWS.floats


def _whole(low: int, high: int, *shape: int, dtype: str = "uint8") -> np.ndarray:
    return _R.integers(low, high, shape).astype(dtype)


_ANGLES = _R.uniform(0, 3, (16, 8))
_TURNS = {"cos": np.cos(_ANGLES).astype("float32"), "sin": np.sin(_ANGLES).astype("float32")}
_STILL = dict.fromkeys(_TURNS)
_OUT = ("y", "pk", "pv")


def grouped(
    batch: int, steps: int, past: int = 0, total: int = 0, ends: Any = None, packed: bool = False, turns: Any = _STILL,
    room: int = 0, more: Any = (), outputs: Any = _OUT, **attributes: Any,
) -> One:  # fmt: skip
    """GroupQueryAttention of 4 heads of size 16 over 2 of keys: `steps` new ones after `past`, in a cache of `room`."""
    total = total or past + steps
    cache = {n: _f(batch, 2, room or past, 16) if room or past else None for n in ("k0", "v0")}
    parts = {"q": _f(batch, steps, 64), "k": _f(batch, steps, 32), "v": _f(batch, steps, 32)}
    if packed:
        parts = {"q": np.concatenate(list(parts.values()), -1), "k": None, "v": None}  # type: ignore[dict-item]
    last = np.full(batch, total - 1) if ends is None else np.asarray(ends)
    inputs = {
        **parts,
        **cache,
        "ends": last.astype("int32"),
        "total": np.array([total], "int32"),
        **turns,
        **dict(more),
    }
    return One("GroupQueryAttention", inputs, {"num_heads": 4, "kv_num_heads": 2, **attributes}, outputs)


_ROWS_OF_BLOCKS = np.array([[0, 1, 3, 5, 8], [0, 1, 3, 6, 9]], "int32")
_BLOCKS = np.array([[0, 0, 1, 1, 2, 1, 2, 3, -1], [0, 0, 1, 0, 1, 2, 0, 2, 3]], "int32")


def _sparse(batch: int, steps: int, total: int, packed: bool = False, turns: Any = _STILL,
            **attributes: Any) -> One:  # fmt: skip
    """SparseAttention in a cache of 64 rows: 4 blocks of 16, in two layouts."""
    dense = grouped(batch, steps, room=64, total=total, packed=packed).inputs
    turns = {n: None if v is None else np.tile(v, (4, 1)) for n, v in turns.items()}
    inputs = {**{n: dense[n] for n in ("q", "k", "v", "k0", "v0")}, "rows": _ROWS_OF_BLOCKS, "blocks": _BLOCKS,
              "total": np.array([total], "int32"), "ends": np.full(batch, total, "int32"), **turns}  # fmt: skip
    given = {"num_heads": 4, "kv_num_heads": 2, "sparse_block_size": 16, **attributes}
    return One("SparseAttention", inputs, given, _OUT, constants=("rows", "blocks"))


#: The kernel of onnxruntime writes into the caches that it is given.
SPARSE = [
    _sparse(2, 40, 40),
    _sparse(1, 1, 50),
    _sparse(2, 1, 60, packed=True, turns=_TURNS, do_rotary=1),
    _sparse(1, 20, 20, turns=_TURNS, do_rotary=1, rotary_interleaved=1, scale=0.3),
]

_PLACES = {"places": np.array([[3, 5, 6], [2, 3, 4]], "int64")}
_NO_PLACES = {"places": None}
_GROUPED = [
    grouped(2, 3),
    grouped(2, 3, packed=True),
    grouped(1, 1, 4),
    grouped(2, 1, 4, scale=0.3, softcap=2.0),
    grouped(1, 3, 4),
    grouped(2, 5, local_window_size=2),
    grouped(1, 1, 6, local_window_size=3),
    grouped(1, 3, 6, local_window_size=4),
    grouped(2, 3, turns=_TURNS, do_rotary=1),
    grouped(2, 3, turns=_TURNS, do_rotary=1, rotary_interleaved=1),
    grouped(2, 1, 5, turns=_TURNS, do_rotary=1, packed=True, local_window_size=3, softcap=5.0),
    grouped(1, 3, 2, turns=_TURNS, do_rotary=1),
    grouped(2, 1, 5, turns=_TURNS, do_rotary=1, more={"places": np.array([[7], [2]], "int64")}),
    grouped(2, 3, turns=_TURNS, do_rotary=1, more=_PLACES),
    grouped(2, 3, more={**_NO_PLACES, "bias": _f(2, 4, 3, 3)}),
    grouped(1, 1, 4, more={**_NO_PLACES, "bias": _f(1, 1, 1, 5)}, softcap=3.0),
    grouped(2, 3, smooth_softmax=1),
    grouped(2, 1, 3, more={**_NO_PLACES, "bias": None, "sink": _f(4)}, packed=True),
    grouped(2, 3, causal=0),
    grouped(1, 3, 2, outputs=(*_OUT, "qk"), qk_output=1, causal=0),
    grouped(1, 3, 2, outputs=(*_OUT, "qk"), qk_output=2),
]

_KEPT = {8: ("int8", -128, 128, 16), 4: ("uint8", 0, 256, 8)}


def windowed(batch: int, steps: int, total: int, capacity: int = 5, window: int = 4, **attributes: Any) -> One:
    """A cache that holds a window only."""
    attributes = {"local_window_size": window, "sliding_window_cache": 1, **attributes}
    return grouped(batch, steps, room=capacity, total=total, **attributes)


def quantized(case: One, bits: int, each: bool = False) -> One:
    """The same with a cache of 8 or 4 bits; `each` channel has a scale, or all have one."""
    dtype, low, high, size = _KEPT[bits]
    caches = {n: _whole(low, high, *case.inputs[n].shape[:3], size, dtype=dtype) for n in ("k0", "v0")}
    scales = {
        n: _R.uniform(0.01, 0.02, (1, 2, 1, 16) if each else (1,)) * (8 if bits == 4 else 1) for n in ("ks", "vs")
    }
    more = {n: case.inputs.get(n) for n in ("cos", "sin", "places", "bias", "sink")}
    inputs = {**case.inputs, **more, **caches, **{n: v.astype("float32") for n, v in scales.items()}}
    kind = "PER_CHANNEL" if each else "PER_TENSOR"
    given = {"k_quant_type": kind, "v_quant_type": kind, "kv_cache_bit_width": bits}
    return case._replace(inputs=inputs, attributes={**case.attributes, **given})


#: Caches that are windows, or quantized.
CACHES = [
    *[windowed(1, 1, total) for total in (3, 5, 6, 7, 8)],
    *[windowed(1, steps, total) for steps, total in ((3, 3), (6, 6), (9, 9), (3, 8), (6, 11))],
    windowed(1, 2, 9, 4, 4),
    windowed(1, 2, 12, 9, 4),
    windowed(2, 1, 7, ends=[4, 6]),
    windowed(2, 1, 7, ends=[1, 6], packed=True, turns=_TURNS, do_rotary=1, softcap=3.0),
    windowed(2, 1, 7, more={**_NO_PLACES, "bias": _f(2, 4, 1, 7)}, smooth_softmax=1),
    windowed(1, 3, 8, more={**_NO_PLACES, "bias": _f(1, 1, 3, 8), "sink": _f(4)}),
    *[quantized(grouped(2, 1, 4), bits, each) for bits in _KEPT for each in (False, True)],
    quantized(grouped(1, 3, 4, local_window_size=3, softcap=5.0, turns=_TURNS, do_rotary=1), 8, True),
    quantized(grouped(2, 1, room=9, total=5, ends=[2, 4]), 4),
    quantized(windowed(2, 1, 7, ends=[4, 6]), 8),
]

#: Those in which elements of a batch have different lengths: what lies behind these may be anything.
RAGGED = [
    grouped(2, 1, 6, ends=[4, 6]),
    grouped(2, 1, room=9, total=5, ends=[2, 4]),
    grouped(2, 3, ends=[0, 2]),
    grouped(3, 1, 5, ends=[3, 5, 0], turns=_TURNS, do_rotary=1, local_window_size=3, softcap=5.0),
    grouped(2, 1, 5, ends=[3, 5], turns=_TURNS, do_rotary=1, packed=True, smooth_softmax=1),
    grouped(
        2, 4, room=9, total=9, ends=[5, 3], turns=_TURNS, do_rotary=1,
        more={**dict.fromkeys(("places", "bias", "sink", "ks", "vs", "qn", "kn")), "n": np.array([2, 4], "int32")},
    ),
]  # fmt: skip

_TABLE = _whole(0, 256, 6, 32)
_IDS = np.array([[1, 5, -2], [0, 3, 3]], "int64")


def _rows(data: np.ndarray, scales: np.ndarray, zeros: Any = None, **attributes: Any) -> One:
    given = {"d": data, "i": _IDS, "s": scales} | ({} if zeros is None else {"z": zeros})
    return One("GatherBlockQuantized", given, attributes, constants=("d", "s", "z"))


def _int4(*shape: int, dtype: Any = ml_dtypes.int4) -> np.ndarray:
    low = -8 if dtype is ml_dtypes.int4 else 0
    return _R.integers(low, low + 16, shape).astype(dtype)


_GATHERED = [
    _rows(_TABLE, _f(6, 2), block_size=16, bits=8),
    _rows(_TABLE, _f(6, 2), _whole(0, 256, 6, 2), block_size=16, bits=8),
    _rows(_TABLE, _f(6, 4), block_size=16),
    _rows(_TABLE, _f(6, 4), _whole(0, 256, 6, 2), block_size=16, bits=4),
    _rows(_whole(0, 256, 6, 2, 8), _f(6, 2, 1), _whole(0, 256, 6, 2, 1), block_size=16, bits=4, quantize_axis=2),
    _rows(_int4(6, 40), _f(6, 3), block_size=16),
    _rows(_int4(6, 40), _f(6, 3), _int4(6, 3), block_size=16),
    _rows(_int4(6, 40, dtype=ml_dtypes.uint4), _f(6, 3), _int4(6, 3, dtype=ml_dtypes.uint4), block_size=16),
    _rows(_int4(2, 6, 20), _f(2, 6, 2), block_size=16, gather_axis=1, quantize_axis=2),
    _rows(_int4(20, 6), _f(2, 6), block_size=16, gather_axis=1, quantize_axis=0),
    _rows(_int4(6, 4), _f(1, 4), _int4(1, 4), block_size=16, gather_axis=0, quantize_axis=0),
]


def _lstm(kind: str, each: bool = False, directions: int = 1, more: Any = (), **attributes: Any) -> One:
    # int8 of seven bits: on processors without VNNI onnxruntime adds pairs of products in 16 bits, which saturate.
    low, high = (0, 256) if kind == "uint8" else (-63, 64)
    columns = (12,) if each else ()
    w, r = (_whole(low, high, directions, n, 12, dtype=kind) for n in (4, 3))
    scales = {n: _R.uniform(0.002, 0.01, (directions, *columns)).astype("float32") for n in ("ws", "rs")}
    zeros = {n: np.full((directions, *columns), 130 if kind == "uint8" else 0, kind) for n in ("wz", "rz")}
    inputs = {"x": _f(5, 1, 4), "w": w, "r": r, "b": None, "l": None, "h": None, "c": None, "p": None} | dict(more)
    inputs |= {"ws": scales["ws"], "wz": zeros["wz"], "rs": scales["rs"], "rz": zeros["rz"]}
    constants = ("w", "r", "ws", "rs", "wz", "rz")
    return One("DynamicQuantizeLSTM", inputs, {"hidden_size": 3, **attributes}, ("y", "yh", "yc"), constants=constants)


_LSTMS = [
    _lstm("uint8", more={"b": _f(1, 24)}),
    _lstm("int8", each=True, more={"b": _f(1, 24), "h": _f(1, 1, 3), "c": _f(1, 1, 3)}),
    _lstm("int8", directions=2, direction="bidirectional"),
    _lstm("uint8", direction="reverse", more={"p": _f(1, 9), "l": np.array([3], "int32")}),
]


def _quantized_words(segments: bool, mask: bool) -> One:
    tables = {n: _whole(0, 256, rows, 6) for n, rows in (("w", 4), ("p", 5), ("t", 2))}
    rows = {n: _whole(0, 256, 6) for n in ("g", "b")}
    parts = {"i": np.array([[1, 2, 0]], "int32"), "s": np.array([[0, 1, 1]], "int32"), **tables, **rows}
    parts["m"] = np.array([[1, 1, 0]], "int32")
    names = "wptgb"
    scales = {f"{n}s": np.float32(0.01 * (i + 1)) for i, n in enumerate(names)}
    zeros = {f"{n}z": np.uint8(100 + 7 * i) for i, n in enumerate(names)}
    left_out = ({"s", "t", "ts", "tz"} if not segments else set()) | ({"m"} if not mask else set())
    inputs = {n: None if n in left_out else v for n, v in {**parts, **scales, **zeros}.items()}
    return One("QEmbedLayerNormalization", inputs, {"epsilon": 1e-5}, ("y", "mi"))


DECODERS = [
    *_GROUPED,
    *_GATHERED,
    *_LSTMS,
    *[_quantized_words(*flags) for flags in ((True, True), (True, False), (False, True))],
    One("Trilu", {"x": _f(2, 3, 4)}),
    One("Trilu", {"x": _f(3, 4), "k": np.array(-1)}, {"upper": 0}),
    One("Pad", {"x": _f(2, 3), "p": np.array([0, 1, 2, 0])}),
    One("Pad", {"x": _f(2, 3), "p": np.array([[1, 1, 0, -1]]), "v": np.array([4.0], "float32")}),
    *[One("Pad", {"x": _f(3, 4), "p": np.array([1, 2, 1, 0])}, {"mode": m}) for m in ("reflect", "edge")],
]  # fmt: skip

_ROWS = _f(7, 3)
_KERNELS = {"LINEAR": [], "RBF": [0.4, 0.0, 0.0], "POLY": [0.5, 2.0, 3.0], "SIGMOID": [0.3, 0.1, 0.0]}
_POSTS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO")


def _machine(each: list[int], kernel: str = "RBF", probable: bool = False, **attributes: Any) -> One:
    """A classifier with `each` support vectors of its classes."""
    classes, count = len(each), sum(each)
    pairs = classes * (classes - 1) // 2
    given: dict[str, Any] = {
        "kernel_type": kernel, "kernel_params": _KERNELS[kernel] or [0.0] * 3, "vectors_per_class": each,
        "support_vectors": _f(count * 3).tolist(), "coefficients": _f(count * (classes - 1)).tolist(),
        "rho": (_f(pairs) * 0.2).tolist(), "classlabels_ints": [5, 7, 9, 11][:classes],
    }  # fmt: skip
    if probable:
        given |= {"prob_a": (-1.5 - _R.random(pairs)).tolist(), "prob_b": (_f(pairs) * 0.1).tolist()}
    if "classlabels_strings" in attributes:
        del given["classlabels_ints"]
    return One("SVMClassifier", {"x": _ROWS}, {**given, **attributes}, ("l", "s"), ML, 1)


def _regressor(kernel: str, supports: int = 4, **attributes: Any) -> One:
    given = {
        "kernel_type": kernel, "kernel_params": _KERNELS[kernel] or [0.0] * 3, "rho": [0.3], "n_supports": supports,
        "coefficients": _f(supports or 3).tolist(), "support_vectors": _f(supports * 3).tolist(),
    }  # fmt: skip
    if not supports:
        del given["support_vectors"], given["n_supports"]
    return One("SVMRegressor", {"x": _ROWS}, {**given, **attributes}, ("y",), ML, 1)


MACHINES = [
    *[_machine([2, 3, 2], kernel) for kernel in _KERNELS],
    *[_machine([2, 3], kernel) for kernel in _KERNELS],
    *[_machine(each, post_transform=post) for each in ([2, 3], [1, 2, 3]) for post in _POSTS],
    *[_machine(each, probable=True) for each in ([2, 3], [2, 2, 1], [1, 2, 1, 3])],
    _machine([2, 2, 1], probable=True, post_transform="SOFTMAX"),
    _machine([2, 3], classlabels_strings=["no", "yes"]),
    _machine([2, 3, 1], classlabels_strings=["a", "b", "c"]),
    *[One("SVMClassifier", {"x": _ROWS}, {"coefficients": _f(3 * n).tolist(), "rho": [0.2], "kernel_params": [0.0] * 3,
        "classlabels_ints": [4, 5, 6][:n]}, ("l", "s"), ML, 1) for n in (2, 3)],
    One("SVMClassifier", {"x": np.abs(_ROWS)}, {"coefficients": np.abs(_f(6) * 0.1).tolist(), "rho": [0.2],
        "kernel_params": [0.0] * 3, "classlabels_ints": [4, 5]}, ("l", "s"), ML, 1),
    *[_regressor(kernel) for kernel in _KERNELS],
    _regressor("RBF", one_class=1),
    _regressor("LINEAR", 0),
]  # fmt: skip
