"""ONNX's own backend test cases, as (name, model, data sets, rtol, atol), and the comparison of their outputs."""

from __future__ import annotations

import functools
import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case import node as node_cases

DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"
#: Modules that each make the cases of one operator while they are imported.
MODULES = sorted(
    m.name.removeprefix(f"{node_cases.__name__}.")
    for m in pkgutil.walk_packages(node_cases.__path__, f"{node_cases.__name__}.")
    if not m.ispkg
)
#: Folders of models with their data.
FOLDERS = ("simple", "pytorch-converted", "pytorch-operator", "real")


class Case(NamedTuple):
    name: str
    model: Any
    sets: list[tuple[list[Any], list[Any]]]
    rtol: float = 1e-3
    atol: float = 1e-7


@functools.cache
def of_module(name: str) -> list[Case]:
    """The cases that importing a module made; those of modules that it imports are among them."""
    before = len(node_cases._NodeTestCases)
    with np.errstate(all="ignore"):
        importlib.import_module(f"{node_cases.__name__}.{name}")
    return [Case(c.name, c.model, c.data_sets, c.rtol, c.atol) for c in node_cases._NodeTestCases[before:]]


def of_folder(kind: str) -> list[str]:
    return sorted(p.name for p in (DATA / kind).iterdir())


def of_files(kind: str, name: str) -> Case:
    """A model in a folder; the real architectures are files with constant weights, and inputs made by a rule."""
    folder = DATA / kind / name
    settings = json.loads((folder / "data.json").read_text()) if (folder / "data.json").exists() else {}
    tolerances = settings.get("rtol", 1e-3), settings.get("atol", 1e-7)
    if kind == "real":
        path = DATA / "light" / Path(settings["url"]).name
        proto = onnx.load(path)
        own = {t.name for t in proto.graph.initializer}
        inputs = [_counting(v) for v in proto.graph.input if v.name not in own]
        outputs = [numpy_helper.to_array(onnx.load_tensor(str(path.with_suffix("")) + "_output_0.pb"))]
        return Case(name, path, [(inputs, outputs)], *tolerances)
    proto = onnx.load(folder / "model.onnx")
    sets = []
    for data in sorted(folder.glob("test_data_set_*")):
        sets.append(
            tuple(
                [
                    _value((data / f"{what}_{i}.pb").read_bytes(), values[i].type)
                    for i in range(len(list(data.glob(f"{what}_*.pb"))))
                ]
                for what, values in (("input", proto.graph.input), ("output", proto.graph.output))
            )
        )
    return Case(name, folder / "model.onnx", sets, *tolerances)


def _counting(declared: Any) -> np.ndarray:
    shape = tuple(d.dim_value or 1 for d in declared.type.tensor_type.shape.dim)
    count = int(np.prod(shape))
    return (np.arange(count).reshape(shape) / count).astype(np.float32)


def _value(data: bytes, declared: Any) -> Any:
    kind = declared.WhichOneof("value")
    proto: Any = {"sequence_type": onnx.SequenceProto, "optional_type": onnx.OptionalProto}.get(
        kind, onnx.TensorProto
    )()
    proto.ParseFromString(data)
    return plain(proto)


def plain(value: Any) -> Any:
    """A value of a case as arrays, lists and None."""
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, onnx.SequenceProto):
        return numpy_helper.to_list(value)
    return numpy_helper.to_optional(value) if isinstance(value, onnx.OptionalProto) else value


def compare(want: Any, got: Any, rtol: float, atol: float) -> None:
    """Raise AssertionError unless values have the same structure, dtypes and shapes, and are as close as wanted."""
    if want is None or got is None:
        assert want is None and got is None, (want, got)
    elif isinstance(want, (list, tuple)):
        assert isinstance(got, list) and len(got) == len(want), (want, got)
        for w, g in zip(want, got, strict=True):
            compare(plain(w), g, rtol, atol)
    else:
        want = np.asarray(want)
        assert want.shape == got.shape, (want.shape, got.shape)
        if want.dtype.kind in "OUS":
            assert (want.astype(object) == got).all(), (want, got)
            return
        assert want.dtype == got.dtype, (want.dtype, got.dtype)
        if want.dtype.type.__module__ != "numpy":  # those of ml_dtypes: NumPy cannot compare them
            rtol = max(rtol, 2**-6) if want.dtype.name == "bfloat16" else rtol
            want, got = want.astype(np.float32), got.astype(np.float32)
        np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)
