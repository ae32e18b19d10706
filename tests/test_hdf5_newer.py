"""HDF5 files with the structures of HDF5 1.8 and 1.10 (h5py's ``libver="latest"``, ``track_order=True``)."""

from __future__ import annotations

import itertools
import random
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import unidl
from unidl.saving import _h5

RNG = np.random.default_rng(4)
pytestmark = pytest.mark.once

STYLES: list[dict[str, Any]] = [
    {"libver": "latest"}, {"libver": ("v110", "v110")}, {"libver": ("earliest", "v108"), "track_order": True},
    {"libver": ("v112", "latest"), "track_order": True}, {"track_order": True},
]  # fmt: skip


def same(mine: Any, theirs: Any) -> None:
    """The reader finds what h5py does: names, attributes, values."""
    assert set(mine) == set(theirs) and set(mine.attrs) == set(theirs.attrs)
    for name, value in theirs.attrs.items():
        found = mine.attrs[name]
        if isinstance(value, np.ndarray) and value.dtype.kind == "S":
            assert found == [v.decode() for v in value]
        else:
            np.testing.assert_array_equal(found, value)
    for name, item in theirs.items():
        if isinstance(item, h5py.Group):
            same(mine[name], item)
        else:
            np.testing.assert_array_equal(mine[name][()], item[()], err_msg=name)


@pytest.mark.parametrize("style", range(len(STYLES)))
@pytest.mark.parametrize("count", [1, 9, 300, 3000])
def test_many_links_and_attributes(style: int, count: int, tmp_path: Path) -> None:
    options = STYLES[style]
    with h5py.File(tmp_path / "x.h5", "w", **options) as file:
        for i in range(count):
            name = f"{i}{'x' * (i % 90)}"
            if i % 3:
                file.create_dataset(name, data=np.arange(i % 4))
            else:
                file.create_group(name)
        group = file["0"]
        for i in range(min(count, 400)):
            group.attrs[f"a{i}"] = "v" * i if i % 2 else np.arange(i)
        group.attrs["names"] = np.array([b"one", b"three"])
        if "libver" in options:
            group.attrs["large"], group.attrs["largest"] = "h" * 70_000, "i" * 300_000
    with h5py.File(tmp_path / "x.h5") as theirs, _h5.File(tmp_path / "x.h5") as mine:
        same(mine, theirs)


def chunked(file: Any, rows: int = 30, columns: int = 40) -> None:
    """Data sets whose chunks are listed in each of the ways for those that cannot grow."""
    shape = rows, columns
    file["whole"] = RNG.random(shape).astype("float32")
    for number, (chunks, packed) in enumerate(itertools.product([(4, 5), shape, (1, 1), (rows, 1)], [None, "gzip"])):
        data = RNG.random(shape).astype("float32")
        more = {"compression": packed, "shuffle": bool(packed), "fletcher32": bool(packed)}
        file.create_dataset(f"chunks{number}", data=data, chunks=chunks, **more)
    for packed in (None, "gzip"):  # so many that their list is in pages, most of which are empty
        few = file.create_dataset(f"few {packed}", shape=(1100,), dtype="float32", chunks=(1,), compression=packed)
        few[500], few[1099] = 3, 4
    file.create_dataset("nothing", shape=(30,), dtype="float32", chunks=(4,))
    early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    early.set_chunk((4, 3))
    early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    space = h5py.h5s.create_simple((10, 7))
    row = h5py.Dataset(h5py.h5d.create(file.id, b"in a row", h5py.h5t.NATIVE_FLOAT, space, early))
    row[...] = RNG.random((10, 7))


@pytest.mark.parametrize("style", range(len(STYLES)))
def test_chunks(style: int, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w", **STYLES[style]) as file:
        chunked(file)
    with h5py.File(tmp_path / "x.h5") as theirs, _h5.File(tmp_path / "x.h5") as mine:
        same(mine, theirs)


def test_data_sets_that_can_grow_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w", libver="latest") as file:
        for number, most in enumerate([(None,), (20,)]):
            file.create_dataset(str(number), data=np.arange(10.0), maxshape=most, chunks=(2,))
        file.create_dataset("2", data=np.ones((4, 4)), maxshape=(None, None), chunks=(2, 2))
    with _h5.File(tmp_path / "x.h5") as file:
        for name in "012":
            with pytest.raises(_h5.DamagedFile, match=rf"'{name}': a data set .*can grow, which is not read"):
                file[name]


@pytest.mark.parametrize("style", range(len(STYLES)))
def test_models_whose_files_were_written_anew(style: int, tmp_path: Path) -> None:
    """Such as by ``h5repack``: the file of a model, and that of its weights, with enough layers for dense groups."""
    model = unidl.Sequential([unidl.Input((3,)), *(unidl.layers.Dense(3, name=f"d{i}") for i in range(12))])
    want = model.predict(np.ones((2, 3), "float32"), verbose=0)
    for end in (".h5", ".weights.h5"):
        (model.save if end == ".h5" else model.save_weights)(tmp_path / f"old{end}")
        with h5py.File(tmp_path / f"old{end}") as old, h5py.File(tmp_path / f"new{end}", "w", **STYLES[style]) as new:
            for name, value in old.attrs.items():
                new.attrs[name] = value
            copied(old, new)
    again = unidl.saving.load_model(tmp_path / "new.h5")
    np.testing.assert_allclose(again.predict(np.ones((2, 3), "float32"), verbose=0), want, rtol=1e-6)
    model.set_weights([w * 0 for w in model.get_weights()])
    model.load_weights(tmp_path / "new.weights.h5")
    np.testing.assert_allclose(model.predict(np.ones((2, 3), "float32"), verbose=0), want, rtol=1e-6)


def copied(old: Any, new: Any) -> None:
    for name, item in old.items():
        if isinstance(item, h5py.Group):
            made = new.create_group(name)
            copied(item, made)
        else:
            made = new.create_dataset(name, data=item[()])
        for key, value in item.attrs.items():
            made.attrs[key] = value


def walked(item: Any) -> int:
    """Read all of a file; how many of its parts were refused."""
    assert item.attrs is not None
    refused = 0
    for name in item if isinstance(item, _h5.Group) else ():
        try:
            refused += walked(item[name])
        except _h5.DamagedFile:
            refused += 1
    if isinstance(item, _h5.Dataset):
        assert item[()].shape == item.shape
    return refused


def test_changed_files_are_read_or_refused(tmp_path: Path) -> None:
    """Each change is in what describes the file, most near one of the newer structures."""
    with h5py.File(tmp_path / "x.h5", "w", libver="latest") as file:
        chunked(file, 5, 6)
        for i in range(300):
            file.create_group(f"g{i}")
        for i in range(30):
            file["g0"].attrs[f"a{i}"] = "v" * i
        file["g0"].attrs["large"] = "h" * 70_000
    whole = (tmp_path / "x.h5").read_bytes()
    marks = (b"FRHP", b"FHDB", b"FHIB", b"BTHD", b"BTIN", b"BTLF", b"FAHD", b"FADB", b"OHDR")
    places = [at for mark in marks for at in found(whole, mark)]
    assert {whole[at : at + 4] for at in places} == set(marks)
    seen = {"read": 0, "refused": 0}
    rng, slowest = random.Random(5), 0.0
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 1, 2, 4))):
            at = rng.choice(places) + rng.randrange(4, 120)
            size = rng.choice((1, 1, 2, 4, 8))
            data[at : at + size] = rng.choice((b"\xff" * size, bytes(size), rng.randbytes(size)))
        del data[len(whole) :]
        began = time.process_time()
        try:
            seen["refused" if walked(_h5.File(bytes(data))) else "read"] += 1
        except _h5.DamagedFile:
            seen["refused"] += 1
        slowest = max(slowest, time.process_time() - began)
    assert min(seen.values()) > 30 and slowest < 5, (seen, slowest)


def found(data: bytes, mark: bytes) -> list[int]:
    at, places = data.find(mark), []
    while at >= 0:
        places.append(at)
        at = data.find(mark, at + 1)
    return places
