"""Initializers, in the model or in a file beside it."""

from __future__ import annotations

import os
import sys
from typing import Any, BinaryIO

import numpy as np

from unidl.interchange.onnx.exporting._library import library
from unidl.interchange.onnx.exporting._writer import Value, Writer

#: A protobuf message cannot have more bytes; some room is left for the nodes.
LARGEST = 2**31 - 2**24
#: Smaller tensors stay in the model: shapes and axes, which readers want to see at once.
_SMALL = 1024
_ALIGNED = 4096


def nowhere() -> BinaryIO:
    """A file that keeps nothing: for looking at a model without its large weights."""
    return open(os.devnull, "wb")


def size(writer: Writer) -> int:
    """The bytes of all initializers."""
    return sum(_bytes(v) for v in writer.initializers.values())


def _bytes(value: Value) -> int:
    from unidl.ops._bind import numpy_dtype

    return int(np.prod(value.shape, dtype="int64")) * int(numpy_dtype(value.dtype).itemsize)


def initializers(writer: Writer, data: BinaryIO | None, location: str) -> list[Any]:
    """A TensorProto for each initializer; the large ones are written to `data`, one at a time."""
    onnx = library()
    found = []
    for name, value in writer.initializers.items():
        tensor = onnx.TensorProto(name=name, data_type=writer.type(value.dtype), dims=value.shape)
        array = writer.array(value)
        assert array is not None
        if tuple(array.shape) != tuple(value.shape):
            raise AssertionError(f"initializer {name!r} has shape {array.shape}, not {value.shape}")
        array = np.ascontiguousarray(array)
        if sys.byteorder == "big":
            array = array.byteswap()
        if data is None or array.nbytes < _SMALL:
            tensor.raw_data = array.tobytes()
        else:
            data.write(bytes(-data.tell() % _ALIGNED))
            tensor.data_location = onnx.TensorProto.EXTERNAL
            for key, entry in (("location", location), ("offset", data.tell()), ("length", array.nbytes)):
                tensor.external_data.add(key=key, value=str(entry))
            data.write(array.reshape(-1).view(np.uint8).data)
        found.append(tensor)
    return found
