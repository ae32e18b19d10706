"""Initializers, in the model or in a file beside it."""

from __future__ import annotations

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


def size(writer: Writer) -> int:
    """The bytes of all initializers."""
    return sum(_bytes(v) for v in writer.initializers.values())


def _bytes(value: Value) -> int:
    from unidl.ops._bind import numpy_dtype

    return int(np.prod(value.shape, dtype="int64")) * int(numpy_dtype(value.dtype).itemsize)


def outlines(writer: Writer) -> list[Any]:
    """A TensorProto for each initializer, the large ones without their numbers."""
    onnx = library()
    found = []
    for name, value in writer.initializers.items():
        if _bytes(value) < _SMALL:
            found.append(_tensor(writer, name, value, np.ascontiguousarray(writer.array(value))))
        else:
            tensor = onnx.TensorProto(name=name, data_type=writer.type(value.dtype), dims=value.shape)
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="none")
            found.append(tensor)
    return found


def _tensor(writer: Writer, name: str, value: Value, array: np.ndarray) -> Any:
    swapped = array.byteswap() if sys.byteorder == "big" else array
    return library().TensorProto(
        name=name, data_type=writer.type(value.dtype), dims=value.shape, raw_data=swapped.tobytes()
    )


def initializers(writer: Writer, data: BinaryIO | None, location: str) -> list[Any]:
    """A TensorProto for each initializer; the large ones are written to `data`, one at a time."""
    onnx = library()
    found = []
    for name, value in writer.initializers.items():
        # (`ascontiguousarray` gives tensors without dimensions one.)
        array = np.ascontiguousarray(writer.array(value)).reshape(value.shape)
        if data is None or array.nbytes < _SMALL:
            found.append(_tensor(writer, name, value, array))
            continue
        tensor = onnx.TensorProto(name=name, data_type=writer.type(value.dtype), dims=value.shape)
        data.write(bytes(-data.tell() % _ALIGNED))
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, entry in (("location", location), ("offset", data.tell()), ("length", array.nbytes)):
            tensor.external_data.add(key=key, value=str(entry))
        swapped = array.byteswap() if sys.byteorder == "big" else array
        data.write(swapped.reshape(-1).view(np.uint8).data)
        found.append(tensor)
    return found
