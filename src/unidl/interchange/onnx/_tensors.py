"""`TensorProto` to NumPy, with the size checked before memory is taken and files kept to one folder."""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np

from unidl.interchange.onnx._structures import OnnxError

#: Elements that one tensor of a model may have: what is larger is taken for a damaged or hostile file.
MOST_ELEMENTS = 2**33

#: Bits of one element in `raw_data` where NumPy's `itemsize` does not say it.
_PACKED = {"UINT4": 4, "INT4": 4, "FLOAT4E2M1": 4, "UINT2": 2, "INT2": 2}

#: The field that holds the values if `raw_data` is not used, and how many of its entries make one element.
_FIELDS = {
    "FLOAT": ("float_data", 1), "COMPLEX64": ("float_data", 2), "DOUBLE": ("double_data", 1),
    "COMPLEX128": ("double_data", 2), "INT64": ("int64_data", 1), "UINT32": ("uint64_data", 1),
    "UINT64": ("uint64_data", 1), "STRING": ("string_data", 1),
}  # fmt: skip


def elements(dims: Any, what: str) -> int:
    """The number of elements of a tensor of shape `dims`.

    Raises:
        OnnxError: if a size is negative or the number is absurd.
    """
    if any(d < 0 for d in dims):
        raise OnnxError(f"{what} has the shape {list(dims)}: sizes cannot be negative.")
    count = math.prod(dims)
    if count > MOST_ELEMENTS:
        raise OnnxError(f"{what} has the shape {list(dims)}, {count} elements; at most {MOST_ELEMENTS} are read.")
    return count


def array(proto: Any, folder: Path | None, what: str) -> np.ndarray:
    """The values of a `TensorProto`; strings as an array of `str`.

    Args:
        folder: where files with external data lie; None if there is none.
        what: for messages.

    Raises:
        OnnxError: if the shape does not fit the data, or external data are out of reach.
    """
    import onnx
    from onnx import numpy_helper

    what = f"{what} {proto.name!r}" if proto.name else what
    try:
        kind = onnx.TensorProto.DataType.Name(proto.data_type)
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(proto.data_type))
    except (ValueError, KeyError):
        raise OnnxError(f"{what} has the unknown element type {proto.data_type}.") from None
    dims = tuple(proto.dims)
    count = elements(dims, what)
    bits = _PACKED.get(kind, dtype.itemsize * 8)
    size = -(-count * bits // 8)
    if proto.data_location == onnx.TensorProto.EXTERNAL:
        if kind == "STRING":
            raise OnnxError(f"{what} holds strings as external data, which ONNX does not allow.")
        data = _external(proto, size, folder, what)
        inline = onnx.TensorProto(dims=dims, data_type=proto.data_type, raw_data=data) if bits < 8 else None
        if inline is None:
            return np.frombuffer(data, dtype.newbyteorder("<") if dtype.isbuiltin else dtype).reshape(dims)
        return numpy_helper.to_array(inline)
    if proto.HasField("raw_data"):
        if len(proto.raw_data) != size:
            raise OnnxError(
                f"{what} is {kind}{list(dims)}, which takes {size} bytes, but the file holds {len(proto.raw_data)}."
            )
    else:
        name, times = _FIELDS.get(kind, ("int32_data", 1))
        have = len(getattr(proto, name))
        entries = -(-count * bits // 8) if bits < 8 else count * times
        if have != entries:
            raise OnnxError(f"{what} is {kind}{list(dims)}, {entries} values in `{name}`, but the file holds {have}.")
    if kind == "STRING":
        return text(list(proto.string_data)).reshape(dims)
    try:
        return numpy_helper.to_array(proto)
    except (ValueError, TypeError) as error:
        raise OnnxError(f"{what} ({kind}{list(dims)}) cannot be read: {error}") from error


def text(values: list[Any]) -> np.ndarray:
    """Strings of a file as an array of `str` objects."""
    result = np.empty(len(values), object)
    result[:] = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values]
    return result


def _external(proto: Any, size: int, folder: Path | None, what: str) -> bytes:
    entries = {e.key: e.value for e in proto.external_data}
    location = entries.get("location", "")
    if folder is None:
        raise OnnxError(
            f"{what} is kept in another file, {location!r}: give the path of the model in place of its bytes."
        )
    path = _inside(location, folder, what)
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
    except ValueError:
        raise OnnxError(f"{what}: offset or length of its external data is no number: {entries}.") from None
    if length != size or offset < 0:
        raise OnnxError(f"{what} takes {size} bytes, but its external data are {length} bytes from {offset} on.")
    if offset + length > path.stat().st_size:
        raise OnnxError(f"{what}: file {location!r} ends before byte {offset + length}; is it complete?")
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


def _inside(location: str, folder: Path, what: str) -> Path:
    """The file of external data, which must lie under `folder`, also after links are followed."""
    root = Path(os.path.realpath(folder))
    if not location or "\0" in location or Path(location).is_absolute() or "\\" in location or ":" in location[1:2]:
        raise OnnxError(f"{what}: its external data are at {location!r}; a path relative to the model is expected.")
    path = Path(os.path.realpath(root / location))
    if not path.is_relative_to(root):
        raise OnnxError(
            f"{what}: its external data are at {location!r}, outside the model's folder {str(folder)!r}. Such a path "
            "may read any file of this machine. If you trust the model, put the file beside it."
        )
    if not path.exists():
        raise OnnxError(f"{what}: the file of its external data, {location!r}, is missing in {str(folder)!r}.")
    if not stat.S_ISREG(path.stat().st_mode):
        raise OnnxError(f"{what}: its external data, {location!r}, are no regular file.")
    return path
