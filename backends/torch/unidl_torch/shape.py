"""Creation, rearranging and picking."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from unidl.backend.attributes import copied_places, pad_pairs
from unidl.dtypes import floatx, result_dtype, weak_kind
from unidl_torch.device import default_device
from unidl_torch.dtypes import DTYPES


def zeros(shape: Any, dtype: str | None = None) -> Tensor:
    return torch.zeros(shape, dtype=DTYPES[dtype or floatx()], device=default_device())


def ones(shape: Any, dtype: str | None = None) -> Tensor:
    return torch.ones(shape, dtype=DTYPES[dtype or floatx()], device=default_device())


def zeros_like(x: Tensor, dtype: str | None = None) -> Tensor:
    return torch.zeros_like(x, dtype=DTYPES[dtype] if dtype else None)


def ones_like(x: Tensor, dtype: str | None = None) -> Tensor:
    return torch.ones_like(x, dtype=DTYPES[dtype] if dtype else None)


def arange(start: Any, stop: Any = None, step: Any = None, dtype: str | None = None) -> Tensor:
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    dtype = dtype or result_dtype(*(weak_kind(v) or "i*" for v in (start, stop, step)))
    if (stop - start) * step <= 0:
        return torch.zeros(0, dtype=DTYPES[dtype], device=default_device())
    return torch.arange(start, stop, step, dtype=DTYPES[dtype], device=default_device())


def reshape(x: Tensor, newshape: Any) -> Tensor:
    try:
        return x.reshape(newshape)
    except TypeError:  # an array in place of a tuple
        return x.reshape(tuple(int(d) for d in newshape))


def transpose(x: Tensor, axes: Any = None) -> Tensor:
    return x.permute(tuple(range(x.dim() - 1, -1, -1)) if axes is None else tuple(axes))


def expand_dims(x: Tensor, axis: Any) -> Tensor:
    if isinstance(axis, (tuple, list)):
        places = range(x.dim() + len(axis))
        at = sorted(places[a] for a in axis)
        if len(set(at)) < len(at):
            raise ValueError("an axis twice")
        for a in at:
            x = x.unsqueeze(a)
        return x
    return x.unsqueeze(axis)


def squeeze(x: Tensor, axis: Any = None) -> Tensor:
    if axis is None:
        return x.squeeze()
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    for a in sorted((range(x.dim())[a] for a in axes), reverse=True):
        if x.shape[a] != 1:
            raise ValueError(f"dimension {a} has size {x.shape[a]}, not 1")
        x = x.squeeze(a)
    return x


def broadcast_to(x: Tensor, shape: Any) -> Tensor:
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if -1 in shape:  # which PyTorch takes for "as it is"
        raise ValueError("a negative size")
    return x.expand(shape)


def concatenate(xs: Any, axis: int = 0) -> Tensor:
    return torch.cat(xs, axis)


def stack(x: Any, axis: int = 0) -> Tensor:
    return torch.stack(x, axis)


def split(x: Tensor, indices_or_sections: Any, axis: int = 0) -> tuple[Tensor, ...]:
    size = x.shape[axis]
    if not hasattr(indices_or_sections, "__len__"):
        if size % indices_or_sections:
            raise ValueError(f"{size} elements cannot be cut into {indices_or_sections} equal parts")
        if size == 0:
            return (x,) * indices_or_sections
        return torch.split(x, size // int(indices_or_sections), axis)
    ends = [*(int(i) for i in indices_or_sections), size]
    parts = [range(*slice(a, b).indices(size)) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    return tuple(x.narrow(axis, p.start, len(p)) if len(p) else x.narrow(axis, 0, 0) for p in parts)


def pad(x: Tensor, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Tensor:
    pairs = pad_pairs(pad_width, x.dim())
    if mode == "constant":
        flat = [n for pair in reversed(pairs) for n in pair]
        if x.dtype is torch.bool:
            return torch.nn.functional.pad(x.to(torch.uint8), flat, value=int(bool(constant_values))).bool()
        return torch.nn.functional.pad(x, flat, value=constant_values or 0)
    for axis, (before, after) in enumerate(pairs):
        if before or after:
            places = copied_places(x.shape[axis], before, after, mode)
            x = x.index_select(axis, torch.tensor(places, dtype=torch.int64, device=x.device))
    return x


def repeat(x: Tensor, repeats: int, axis: int | None = None) -> Tensor:
    return torch.repeat_interleave(x, repeats, axis)


def repeat_each(x: Tensor, repeats: Tensor, axis: int) -> Tensor:
    return torch.repeat_interleave(x, repeats.to(torch.int64), axis)


def view(x: Tensor, dtype: str) -> Tensor:
    wanted = torch.uint8 if dtype == "bool" else DTYPES[dtype]
    have, want = x.dtype.itemsize, wanted.itemsize
    if have != want and not x.numel():  # of which PyTorch looks at the strides all the same
        return x.new_empty((*x.shape[:-1], x.shape[-1] * have // want), dtype=DTYPES[dtype])
    if have != want:
        x = x.clone(memory_format=torch.contiguous_format)
    return x.view(wanted) != 0 if dtype == "bool" else x.view(wanted)


def flip(x: Tensor, axis: Any = None) -> Tensor:
    axes = tuple(range(x.dim())) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    return torch.flip(x, [range(x.dim())[a] for a in axes])


def getitem(x: Tensor, key: Any) -> Tensor:
    keys = key if isinstance(key, tuple) else (key,)
    if sum(k is Ellipsis for k in keys) > 1:
        raise IndexError("more than one ...")
    if any(isinstance(k, slice) and k.step is not None and k.step < 0 for k in keys):
        return _reversed_slices(x, keys)
    return Tensor.__getitem__(x, key)


def _reversed_slices(x: Tensor, keys: tuple[Any, ...]) -> Tensor:
    """Slices with a negative step, which PyTorch lacks: pick by index, then apply the rest."""
    used = sum(k is not None and k is not Ellipsis for k in keys)
    if Ellipsis in keys:
        at = keys.index(Ellipsis)
        keys = keys[:at] + (slice(None),) * (x.dim() - used) + keys[at + 1 :]
    axis, rest = 0, []
    for k in keys:
        if isinstance(k, slice) and k.step is not None and k.step < 0:
            picked = range(*k.indices(x.shape[axis]))
            x = x.index_select(axis, torch.tensor(list(picked), dtype=torch.int64, device=x.device))
            k = slice(None)
        axis += k is not None
        rest.append(k)
    return Tensor.__getitem__(x, tuple(rest))


def take(x: Tensor, indices: Tensor, axis: int | None = None) -> Tensor:
    if axis is None:
        x, axis = x.reshape(-1), 0
    axis = range(x.dim())[axis]
    if indices.dtype not in (torch.int32, torch.int64):
        if indices.dtype is torch.bool or indices.dtype.is_floating_point or indices.dtype.is_complex:
            raise TypeError(f"indices of dtype {indices.dtype}")
        indices = indices.to(torch.int64)
    indices = torch.where(indices < 0, indices + x.shape[axis], indices)
    if axis == 0 and x.dim() == 2:
        return torch.nn.functional.embedding(indices, x)
    return x.index_select(axis, indices.reshape(-1)).reshape(x.shape[:axis] + indices.shape + x.shape[axis + 1 :])


def take_along_axis(x: Tensor, indices: Tensor, axis: int | None = None) -> Tensor:
    if indices.dtype is torch.bool or indices.dtype.is_floating_point or indices.dtype.is_complex:
        raise TypeError(f"indices of dtype {indices.dtype}")
    indices = indices.to(torch.int64)
    if axis is None:
        x, axis = x.reshape(-1), 0
    indices = torch.where(indices < 0, indices + x.shape[axis], indices)
    return torch.take_along_dim(x, indices, axis)


TABLE: dict[str, Any] = {
    "zeros": zeros,
    "ones": ones,
    "zeros_like": zeros_like,
    "ones_like": ones_like,
    "arange": arange,
    "reshape": reshape,
    "transpose": transpose,
    "expand_dims": expand_dims,
    "squeeze": squeeze,
    "broadcast_to": broadcast_to,
    "concatenate": concatenate,
    "stack": stack,
    "split": split,
    "pad": pad,
    "repeat": repeat,
    "repeat_each": repeat_each,
    "view": view,
    "flip": flip,
    "getitem": getitem,
    "take": take,
    "take_along_axis": take_along_axis,
}
