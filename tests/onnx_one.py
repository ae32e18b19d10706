"""Models of one operator, and how they compare with onnxruntime."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnx_models import reference

from unidl import onnx
from unidl.interchange.onnx.importing._table import MICROSOFT


class Draws:
    """Arrays of random numbers, the same ones in each run.

    Attributes:
        numbers: where they come from.
    """

    def __init__(self, seed: int) -> None:
        self.numbers = np.random.default_rng(seed)

    def floats(self, *shape: int) -> np.ndarray:
        """Normal ones."""
        return self.numbers.normal(size=shape).astype("float32")

    def bytes(self, *shape: int) -> np.ndarray:
        """Of uint8."""
        return self.numbers.integers(0, 255, shape).astype("uint8")

    def signed(self, *shape: int) -> np.ndarray:
        """Of int8 and seven bits: without VNNI onnxruntime adds pairs of products in 16 bits, which saturate."""
        return self.numbers.integers(-63, 64, shape).astype("int8")


class One(NamedTuple):
    """One operator: its inputs (None: left out), attributes, and the names of its outputs ("": left out).

    Inputs named in `constants` are initializers.
    """

    op: str
    inputs: dict[str, Any]
    attributes: dict[str, Any] = {}
    outputs: tuple[str, ...] = ("y",)
    domain: str = MICROSOFT
    version: int = 1
    constants: tuple[str, ...] = ()

    def model(self) -> tuple[bytes, list[np.ndarray]]:
        names = [n if v is not None else "" for n, v in self.inputs.items()]
        node = helper.make_node(self.op, names, self.outputs, domain=self.domain, **self.attributes)
        given = {n: np.asarray(v) for n, v in self.inputs.items() if v is not None}

        def kind(array: np.ndarray) -> int:
            return TensorProto.STRING if array.dtype.kind in "OU" else helper.np_dtype_to_tensor_dtype(array.dtype)

        weights = [numpy_helper.from_array(v, n) for n, v in given.items() if n in self.constants]
        given = {n: v for n, v in given.items() if n not in self.constants}
        values = [helper.make_tensor_value_info(n, kind(v), v.shape) for n, v in given.items()]
        outputs = [helper.ValueInfoProto(name=n) for n in self.outputs if n]
        graph = helper.make_graph([node], "one", values, outputs, weights)
        imports = [helper.make_opsetid("", 21), helper.make_opsetid(self.domain, self.version)]
        data = helper.make_model(graph, opset_imports=imports, ir_version=10).SerializeToString()
        return data, list(given.values())


def compare(case: One, loose: float = 1e-4) -> None:
    data, given = case.model()
    for want, got in zip(reference(data, *given), onnx.prepare(data)(given), strict=True):
        if isinstance(want, list) or want.dtype.kind in "OUS":
            assert np.asarray(want).tolist() == np.asarray(got).tolist()
            continue
        assert got.dtype == want.dtype and got.shape == want.shape
        if want.dtype in (np.uint8, np.int8):
            assert np.abs(want.astype(int) - got.astype(int)).max() <= 1
        else:
            np.testing.assert_allclose(got, want, rtol=max(loose, 1e-4), atol=loose)


def ids(cases: list[One]) -> list[str]:
    return [f"{c.op}-{i}" for i, c in enumerate(cases)]
