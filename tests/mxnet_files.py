"""Writes files of MXNet's arrays in all their layouts, and symbols, without MXNet."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

NUMBERS = {
    "float32": 0, "float64": 1, "float16": 2, "uint8": 3, "int32": 4, "int8": 5, "int64": 6, "bool": 7, "bfloat16": 12,
}  # fmt: skip
MAGIC = {"first": 0xF993FAC8, "storage": 0xF993FAC9, "numpy": 0xF993FACA}


def array_bytes(array: np.ndarray, layout: str, storage: int = 0) -> bytes:
    """One array; `layout` is "oldest" (no magic number), "first", "storage" or "numpy"."""
    data = b"" if layout == "oldest" else struct.pack("<I", MAGIC[layout])
    if layout in ("storage", "numpy"):
        data += struct.pack("<i", storage)
    sizes = "I" if layout == "oldest" else "q"
    data += struct.pack(f"<I{array.ndim}{sizes}", array.ndim, *array.shape)
    return data + struct.pack("<iii", 1, 0, NUMBERS[array.dtype.name]) + array.tobytes()


def params_bytes(arrays: dict[str, np.ndarray], layout: str = "storage", names: bool = True) -> bytes:
    data = struct.pack("<QQQ", 0x112, 0, len(arrays))
    data += b"".join(array_bytes(a, layout) for a in arrays.values())
    data += struct.pack("<Q", len(arrays) if names else 0)
    return data + b"".join(struct.pack("<Q", len(n)) + n.encode() for n in arrays if names)


def node(op: str, name: str, inputs: list[int] | tuple[int, ...] = (), **attributes: Any) -> dict[str, Any]:
    said = {"attrs": {k: str(v) for k, v in attributes.items()}} if attributes else {}
    return {"op": op, "name": name, "inputs": [[i, 0, 0] for i in inputs], **said}


def symbol(*nodes: dict[str, Any], heads: Any = None) -> dict[str, Any]:
    leaves = [i for i, n in enumerate(nodes) if n["op"] == "null"]
    return {"nodes": list(nodes), "arg_nodes": leaves, "heads": heads or [[len(nodes) - 1, 0, 0]]}


def save(
    folder: Path, content: dict[str, Any], arrays: dict[str, np.ndarray], name: str = "net", epoch: int = 0
) -> Path:
    """Write both files; the prefix of their names."""
    (folder / f"{name}-symbol.json").write_text(json.dumps(content))
    (folder / f"{name}-{epoch:04d}.params").write_bytes(params_bytes(arrays))
    return folder / name


def dense(units: int = 3, features: int = 4) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A dense layer with softmax, and its arrays."""
    content = symbol(
        node("null", "data"), node("null", "fc_weight"), node("null", "fc_bias"),
        node("FullyConnected", "fc", [0, 1, 2], num_hidden=units),
        node("null", "softmax_label"), node("SoftmaxOutput", "softmax", [3, 4]),
    )  # fmt: skip
    rng = np.random.default_rng(1)
    weight, bias = rng.standard_normal((units, features)), rng.standard_normal(units)
    return content, {"arg:fc_weight": weight.astype("float32"), "arg:fc_bias": bias.astype("float32")}


# -- the files of one case of `mxnet_cases` --------------------------------------------------------------


def identifier(given: Any, index: int) -> str:
    op, attributes, _ = given
    said = ",".join(f"{k}={v}" for k, v in attributes.items())
    return f"{index}-{op}-{said}".replace(" ", "")[:100]


def array(shape: str, seed: str) -> np.ndarray:
    words, _, kind = shape.removeprefix("w ").partition(":")
    size, rng = [int(d) for d in words.split()], np.random.default_rng(zlib.crc32(seed.encode()))
    if kind == "halves":
        return np.linspace(-2, 2, 9).astype("float32")
    if kind == "int3distinct":
        return np.array([[0, 1, 2], [2, 0, 3]], "float32")
    if kind == "rois":
        return np.array([[0, 2, 1, 11, 13], [1, 4, 3, 9, 8]], "float32")
    if kind in ("boxes", "scored"):
        corner = rng.uniform(0, 0.5, (*size[:-1], 2))
        parts = [corner, corner + rng.uniform(0.2, 0.5, corner.shape)]
        if kind == "scored":
            parts = [rng.integers(0, 2, (*size[:-1], 1)), rng.uniform(0.2, 0.9, (*size[:-1], 1)), *parts]
        return np.concatenate(parts, -1).astype("float32")
    if kind == "pos":
        return rng.uniform(0.2, 0.9, size).astype("float32")
    if kind == "big":
        return rng.uniform(1.2, 3, size).astype("float32")
    if kind == "bool":
        return rng.random(size) < 0.5
    if kind.startswith("len"):
        return rng.integers(1, int(kind[3:]) + 1, size).astype("float32")
    if kind.startswith("int"):
        return rng.integers(0, int(kind[3:]), size).astype("float32")
    if kind.startswith("l"):
        return rng.integers(1, int(kind[1:]) + 1, size).astype("int32")
    if kind.startswith("i"):
        return rng.integers(0, int(kind[1:]), size).astype("int32")
    return rng.standard_normal(size).astype("float32")


def single(given: Any, key: str = "attrs") -> tuple[str, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The symbol's text, the arrays of the file, and the data."""
    op, attributes, inputs = given
    values = {f"{'w' if s.startswith('w ') else 'x'}{i}": array(s, f"{op}{i}{s}") for i, s in enumerate(inputs)}
    nodes = []
    for name, value in values.items():
        said = {"__dtype__": str(NUMBERS[value.dtype.name])} if value.dtype != np.float32 else {}
        nodes.append({"op": "null", "name": name, "inputs": [], **({key: said} if said else {})})
    nodes.append({"op": op, "name": "node", key: attributes, "inputs": [[i, 0, 0] for i in range(len(values))]})
    numpy = op.startswith("_np")
    count = _outputs(given)
    content = {
        "nodes": nodes, "arg_nodes": list(range(len(values))), "heads": [[len(values), i, 0] for i in range(count)],
        "attrs": {"mxnet_version": ["int", 10901], **({"is_np_shape": ["int", 1]} if numpy else {})},
    }  # fmt: skip
    weights = {n: v for n, v in values.items() if n.startswith("w")}
    return json.dumps(content), weights, {n: v for n, v in values.items() if n.startswith("x")}


def _outputs(given: Any) -> int:
    op, attributes, inputs = given
    if op in ("SliceChannel",):
        return int(attributes["num_outputs"])
    if op in ("_split_v2", "_npi_split"):
        return 3
    if op == "moments" or attributes.get("ret_typ") == "both":
        return 2
    if op == "RNN" and attributes["state_outputs"] == "True":
        return len(inputs) - 1
    return 1
